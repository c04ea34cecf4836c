import time
from typing import Any

import pytest

from engine.errors import NodeInputError
from engine.nodes.memories import run_buffer, run_elsewhere, run_summary, run_summary_buffer, run_window
from engine.providers.base import Message
from engine.providers.fake import FakeChatModel
from engine.recall import summary_buffer
from engine.spec import NodeRun
from tests.engine.node_world import NodeWorld

TALK = [Message("user" if turn % 2 == 0 else "assistant", str(turn)) for turn in range(12)]


@pytest.fixture
def nodes(nodes: NodeWorld) -> NodeWorld:
    nodes.history.sessions = {"s1": TALK, "other": [Message("user", "secret")]}
    return nodes


async def contents(memory: Any) -> list[str]:
    return [message.content for message in await memory.load()]


async def test_a_buffer_holds_the_conversation(nodes: NodeWorld) -> None:
    memory = (await run_buffer(nodes.context(), {})).value

    assert await contents(memory) == [str(turn) for turn in range(12)]
    assert memory.key == "chat_history"


async def test_what_came_with_the_request_stands_before_what_is_stored(nodes: NodeWorld) -> None:
    ctx = nodes.context(history=(Message("user", "given"),))

    memory = (await run_buffer(ctx, {"memoryKey": "talk"})).value

    assert (await contents(memory))[:2] == ["given", "0"]
    assert memory.key == "talk"


async def test_another_session_may_be_remembered(nodes: NodeWorld) -> None:
    memory = (await run_buffer(nodes.context(), {"sessionId": "other"})).value

    assert await contents(memory) == ["secret"]


@pytest.mark.parametrize(("size", "kept"), [(1, ["10", "11"]), ("2", ["8", "9", "10", "11"]), (0, [])])
async def test_a_window_holds_the_last_exchanges(nodes: NodeWorld, size: Any, kept: list[str]) -> None:
    memory = (await run_window(nodes.context(), {"k": size})).value

    assert await contents(memory) == kept


async def test_a_window_holds_four_exchanges_unless_told_otherwise(nodes: NodeWorld) -> None:
    memory = (await run_window(nodes.context(), {"k": ""})).value

    assert len(await contents(memory)) == 8


@pytest.mark.parametrize("size", [-1, "many"])
async def test_a_size_that_makes_no_sense_is_refused(nodes: NodeWorld, size: Any) -> None:
    with pytest.raises(NodeInputError, match=r"cannot be -1|must be a number, not 'many'"):
        await run_window(nodes.context(), {"k": size})


SUMMARIES = [(run_summary, {}), (run_summary_buffer, {"maxTokenLimit": 0})]


@pytest.mark.parametrize(("run", "limit"), SUMMARIES, ids=["summary", "buffer"])
async def test_a_summary_stands_for_the_conversation(nodes: NodeWorld, run: NodeRun, limit: dict[str, Any]) -> None:
    model = FakeChatModel(["They counted."])

    memory = (await run(nodes.context(), {"model": model, **limit})).value

    assert model.calls == []
    assert await contents(memory) == ["Previous conversation summary: They counted."]
    assert "user: 0\nassistant: 1\n" in model.calls[0].messages[0].content


async def test_a_summary_buffer_keeps_the_newest_messages_as_they_were(nodes: NodeWorld) -> None:
    model = FakeChatModel(["They counted."])

    memory = (await run_summary_buffer(nodes.context(), {"model": model, "maxTokenLimit": 7})).value

    assert await contents(memory) == ["Previous conversation summary: They counted.", "10", "11"]


@pytest.mark.parametrize(("run", "limit"), SUMMARIES, ids=["summary", "buffer"])
async def test_nothing_is_summed_up_before_anything_was_said(
    nodes: NodeWorld, run: NodeRun, limit: dict[str, Any]
) -> None:
    model = FakeChatModel()
    memory = (await run(nodes.context(), {"model": model, "sessionId": "new", **limit})).value

    assert await contents(memory) == []
    assert model.calls == []


async def test_a_long_conversation_is_measured_in_no_time() -> None:
    earlier = [Message("user", "x" * 500)] * 5000
    began = time.process_time()

    recalled = await summary_buffer(FakeChatModel(["short"]), earlier, (), token_limit=1000, has_system=False)

    assert [len(message.content) for message in recalled.messages] == [
        len("Previous conversation summary: short"),
        *[500] * 7,
    ]
    assert time.process_time() - began < 1


async def test_a_summary_needs_a_model(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="needs a chat model"):
        await run_summary(nodes.context(), {})


async def test_a_limit_below_nothing_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="cannot be -5"):
        await run_summary_buffer(nodes.context(), {"model": FakeChatModel(), "maxTokenLimit": "-5"})


@pytest.mark.parametrize(("inputs", "kept"), [({}, 12), ({"windowSize": "1"}, 2), ({"sessionId": "other"}, 1)])
async def test_a_memory_of_another_database_is_the_stored_conversation(
    nodes: NodeWorld, inputs: dict[str, Any], kept: int
) -> None:
    memory = (await run_elsewhere(nodes.context(credential="gone"), inputs)).value

    assert len(await contents(memory)) == kept
