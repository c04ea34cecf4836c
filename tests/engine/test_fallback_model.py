import asyncio
from typing import Any

import pytest

from engine.checks.nodes import node_problems
from engine.errors import FlowError, MissingTypes, NodeInputError, ProviderError
from engine.events import NodeFinished, RunFinished
from engine.flow import Drawing
from engine.providers.base import Completion, ToolCall, ToolSpec
from engine.providers.fake import FakeChatModel
from tests.engine.drawing import Board, entry_of, error_of

DOWN = ProviderError("The vendor is down.", retryable=True, status=503)
REFUSED = ProviderError("The key is wrong.", retryable=False, status=401)
POLICY = {"fallbackModel": {"name": "second", "config": {"modelName": "b"}}}


def models(board: Board, *replies: Any, second: Any = "I stood in.") -> tuple[FakeChatModel, FakeChatModel]:
    made = FakeChatModel(replies, "model-a"), FakeChatModel([second], "model-b")
    board.components |= {"first": made[0], "second": made[1]}
    return made


def asks(board: Board, kind: str = "llm", **inputs: Any) -> None:
    board.types["a"] = f"{kind}Agentflow"
    board.inputs["a"] = {f"{kind}Model": "first", f"{kind}ModelConfig": {}, **inputs}
    board.policies["a"] = POLICY


@pytest.mark.parametrize("failure", [DOWN, REFUSED])
@pytest.mark.parametrize("kind", ["llm", "agent"])
async def test_another_model_answers_when_the_nodes_own_fails(board: Board, failure: Exception, kind: str) -> None:
    models(board, failure)
    asks(board, kind)

    events = await board.run("start -> a")

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "I stood in."
    (warning,) = entry_of(events, "a")["data"]["warnings"]
    assert warning.startswith("model-a failed, so model-b was asked instead:")
    assert str(failure.args[0]) in warning


async def test_a_model_that_answers_is_not_replaced(board: Board) -> None:
    _, second = models(board, "I am here.")
    asks(board)

    events = await board.run("start -> a")

    assert "warnings" not in entry_of(events, "a")["data"]
    assert second.calls == []


async def test_without_the_policy_the_failure_stands(board: Board) -> None:
    _, second = models(board, DOWN)
    asks(board)
    del board.policies["a"]

    events = await board.run("start -> a")

    assert "The vendor is down." in error_of(events).error
    assert second.calls == []


async def test_the_retries_come_first(board: Board) -> None:
    first, second = models(board, DOWN, "Back again.")
    asks(board)
    board.policies["a"] = {**POLICY, "retry": {"max": 1, "baseSeconds": 0}}

    events = await board.run("start -> a")

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "Back again."
    assert (len(first.calls), len(second.calls)) == (2, 0)


async def test_when_both_fail_the_run_fails_with_the_second_and_tells_of_the_first(board: Board) -> None:
    models(board, DOWN, second=REFUSED)
    asks(board)

    events = await board.run("start -> a")

    assert "The key is wrong." in error_of(events).error


async def test_a_users_mistake_does_not_change_the_model(board: Board) -> None:
    _, second = models(board, NodeInputError("no such thing"))
    asks(board, llmMemoryType="nonsense", llmEnableMemory=True)

    events = await board.run("start -> a")

    assert "nonsense" in error_of(events).error
    assert second.calls == []


class Breaking(FakeChatModel):
    async def stream(self, messages: Any, **more: Any) -> Any:
        async for chunk in super().stream(messages, **more):
            yield chunk
            raise DOWN


async def test_what_has_been_heard_is_not_said_by_another_model(board: Board) -> None:
    _, second = models(board)
    board.components["first"] = Breaking(["Half an answer"])
    asks(board)

    events = await board.run("start -> a", is_streaming=True)

    assert "The vendor is down." in error_of(events).error
    assert second.calls == []


class Counting:
    spec = ToolSpec("count", "Counts.", {"type": "object", "properties": {}})
    return_direct = False

    def __init__(self) -> None:
        self.calls = 0

    async def call(self, arguments: Any) -> str:
        self.calls += 1
        return str(self.calls)


async def test_an_agent_that_has_called_a_tool_begins_no_more(board: Board) -> None:
    first, second = models(board, Completion("", (ToolCall("1", "count", {}),)), DOWN)
    board.components["count"] = tool = Counting()
    asks(board, "agent", agentTools=[{"agentSelectedTool": "count", "agentSelectedToolConfig": {}}])
    board.policies["a"] = {**POLICY, "retry": {"max": 2, "baseSeconds": 0}}

    events = await board.run("start -> a")

    assert "The vendor is down." in error_of(events).error
    assert (tool.calls, len(first.calls), len(second.calls)) == (1, 2, 0)


class Silent(FakeChatModel):
    async def complete(self, messages: Any, **more: Any) -> Completion:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_model_that_takes_too_long_is_replaced(board: Board) -> None:
    models(board)
    board.components["first"] = Silent(model_name="model-a")
    asks(board)
    board.policies["a"] = {**POLICY, "timeoutSeconds": 0.05}

    events = await board.run("start -> a")

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "I stood in."


async def test_a_classic_chain_has_another_model_too(board: Board) -> None:
    models(board, DOWN)
    board.types |= {"model": "first", "prompt": "promptTemplate", "chain": "llmChain"}
    board.inputs["prompt"] = {"template": "Say {question}"}
    board.policies["chain"] = POLICY

    events = await board.run("model[model] -> chain\nprompt[prompt] -> chain", classic=True)

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "I stood in."
    assert any("model-b" in str(e.entry) for e in events if isinstance(e, NodeFinished))


async def test_what_is_no_chat_model_cannot_stand_in(board: Board) -> None:
    models(board, DOWN)
    board.components["second"] = Counting()
    asks(board)

    events = await board.run("start -> a")

    assert "The vendor is down." in error_of(events).error


@pytest.mark.parametrize("fallback", ["second", {}, {"name": ""}, {"name": "second", "config": []}])
async def test_a_fallback_that_makes_no_sense_is_refused(board: Board, fallback: Any) -> None:
    models(board)
    asks(board)
    board.policies["a"] = {"fallbackModel": fallback}

    with pytest.raises(FlowError, match="fallbackModel must be an object"):
        await board.run("start -> a")


async def test_a_fallback_of_a_missing_type_is_refused(board: Board) -> None:
    models(board)
    asks(board)
    board.policies["a"] = {"fallbackModel": {"name": "nowhere"}}

    with pytest.raises(MissingTypes, match="nowhere"):
        await board.run("start -> a")


async def test_a_node_without_a_model_takes_no_fallback(board: Board) -> None:
    models(board)
    board.policies["a"] = POLICY

    with pytest.raises(FlowError, match="works in nodes that ask a model themselves"):
        await board.run("start -> a")


@pytest.mark.parametrize(("name", "codes"), [("nowhere", ["missing_type"]), ("chatOpenAI", ["needs_credential"])])
def test_a_check_looks_at_the_fallback(board: Board, name: str, codes: list[str]) -> None:
    models(board)
    asks(board)
    board.types["b"] = "chatOpenAI"
    board.policies["a"] = {"fallbackModel": {"name": name, "config": {"modelName": "gpt-4o-mini"}}}
    flow = board.agentflow("start -> a")
    drawing = Drawing(flow.nodes, (), (), {node_id: frozenset() for node_id in flow.nodes})

    found = [p for p in node_problems(drawing, board.registry()) if p.field.startswith("policy.fallbackModel")]

    assert [problem.code for problem in found] == codes
