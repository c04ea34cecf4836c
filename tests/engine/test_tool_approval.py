"""Tools that may not run before a person has said so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from engine.errors import FlowError
from engine.events import Event, RunFinished, RunPaused
from engine.providers.base import Completion, Message, ToolCall, Usage
from engine.providers.fake import FakeChatModel, calling
from engine.runner import Resume
from engine.tools import text_tool
from tests.engine.drawing import Board, entry_of, error_of, tokens


@pytest.fixture
def calls() -> list[str]:
    """What the tools were asked, in order."""
    return []


@pytest.fixture
def board(board: Board, calls: list[str]) -> Board:
    """An agent with a free tool `look` and the guarded `send` and `burn`, which come together."""

    def tool(name: str) -> Any:
        async def run(text: str) -> str:
            calls.append(f"{name} {text}")
            return f"{name} did {text}"

        return text_tool(name, "", run)

    board.types["agent"] = "agentAgentflow"
    board.components |= {"looker": tool("look"), "mailer": [tool("send"), tool("burn")]}
    board.inputs["agent"] = {
        "agentModel": "fakeChat",
        "agentModelConfig": {},
        "agentTools": [
            {"agentSelectedTool": "looker", "agentSelectedToolConfig": {}},
            {
                "agentSelectedTool": "mailer",
                "agentSelectedToolConfig": {},
                "agentSelectedToolRequiresHumanInput": True,
            },
        ],
    }
    return board


def script(board: Board, *replies: Completion | str) -> FakeChatModel:
    board.components["fakeChat"] = model = FakeChatModel(replies)
    return model


def call(*wanted: tuple[str, str], text: str = "") -> Completion:
    calls = tuple(ToolCall(f"call_{n}", name, {"input": given}) for n, (name, given) in enumerate(wanted))
    return Completion(text, calls, Usage(1, 1))


async def go_on(board: Board, event: Event, answer: Mapping[str, Any], **more: Any) -> list[Event]:
    assert isinstance(event, RunPaused)
    snapshot = orjson.loads(orjson.dumps(event.snapshot))
    return await board.run("start -> agent", "Proceed", resume=Resume(snapshot, answer), **more)


async def test_a_guarded_tool_waits_for_a_person(board: Board, calls: list[str]) -> None:
    script(board, call(("send", "mail"), text="I will send it."))

    events = await board.run("start -> agent", is_streaming=True)

    paused = events[-1]
    assert isinstance(paused, RunPaused)
    shown = {"id": "call_0", "name": "send", "args": {"input": "mail"}}
    begin, _, rest = paused.text.partition("\nAttempting to use tool:\n")
    assert begin == "I will send it."
    assert orjson.loads(rest.removeprefix("```json\n").removesuffix("\n```")) == shown
    assert "".join(tokens(events)) == paused.text
    assert paused.action["data"]["nodeId"] == "agent"
    entry = entry_of(events, "agent")
    assert (entry["status"], entry["data"]["output"]["isWaitingForHumanInput"]) == ("STOPPED", True)
    assert calls == []


async def test_a_call_that_was_allowed_runs_and_the_agent_goes_on(board: Board, calls: list[str]) -> None:
    model = script(board, call(("send", "mail")), "It is sent.")
    paused = await board.run("start -> agent", "Send the mail")

    events = await go_on(board, paused[-1], {"type": "proceed"})

    assert calls == ["send mail"]
    assert [m.content for m in model.calls[1].messages] == ["Send the mail", "", "send did mail"]
    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "It is sent."
    assert [row["tool"] for row in entry_of(events, "agent")["data"]["output"]["usedTools"]] == ["send"]
    assert events[-1].input_tokens == model_tokens(model)


def model_tokens(model: FakeChatModel) -> int:
    """The first reply says 1; the fake counts the words of every other."""
    return 1 + sum(len(message.content.split()) for message in model.calls[1].messages)


async def test_calls_of_the_batch_that_had_run_do_not_run_again(board: Board, calls: list[str]) -> None:
    model = script(board, call(("look", "a"), ("send", "b"), ("look", "c")), "Done.")
    paused = await board.run("start -> agent")
    assert calls == ["look a"]

    await go_on(board, paused[-1], {"type": "proceed"})

    assert calls == ["look a", "send b", "look c"]
    assert [(m.tool_call_id, m.content) for m in model.calls[1].messages if m.role == "tool"] == [
        ("call_0", "look did a"),
        ("call_1", "send did b"),
        ("call_2", "look did c"),
    ]


async def test_each_guarded_call_asks_for_itself(board: Board, calls: list[str]) -> None:
    script(board, call(("send", "a"), ("send", "b")), "Done.")
    first = await board.run("start -> agent")

    second = await go_on(board, first[-1], {"type": "proceed"})
    last = await go_on(board, second[-1], {"type": "proceed"})

    assert isinstance(second[-1], RunPaused)
    assert '"input": "b"' in second[-1].text
    assert calls == ["send a", "send b"]
    assert isinstance(last[-1], RunFinished)


async def test_a_call_that_was_refused_does_not_run_and_its_tools_are_gone(board: Board, calls: list[str]) -> None:
    model = script(board, call(("send", "a"), ("look", "b")), "Then not.")
    paused = await board.run("start -> agent")

    events = await go_on(board, paused[-1], {"type": "reject", "feedback": "Not today"})

    assert calls == ["look b"]
    told = model.calls[1]
    assert [m.content for m in told.messages if m.role == "tool"] == [
        "A person did not allow this call. Not today",
        "look did b",
    ]
    assert [tool.name for tool in told.tools] == ["look"]
    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "Then not."


async def test_a_tool_that_was_taken_away_stays_away_after_another_pause(board: Board, calls: list[str]) -> None:
    rows = board.inputs["agent"]["agentTools"]
    board.inputs["agent"] = {
        **board.inputs["agent"],
        "agentTools": [{**row, "agentSelectedToolRequiresHumanInput": "true"} for row in rows],
    }
    model = script(board, call(("send", "a")), call(("look", "b")), "Done.")
    first = await board.run("start -> agent")
    second = await go_on(board, first[-1], {"type": "reject"})

    await go_on(board, second[-1], {"type": "proceed"})

    assert calls == ["look b"]
    assert [tool.name for tool in model.calls[2].tools] == ["look"]


async def test_what_a_person_says_beside_their_leave_reaches_the_model(board: Board) -> None:
    model = script(board, call(("send", "a")), "Done.")
    paused = await board.run("start -> agent")

    await go_on(board, paused[-1], {"type": "proceed", "feedback": "But hurry"})

    assert model.calls[1].messages[-1] == Message("user", "But hurry")


async def test_an_answer_that_is_neither_is_refused(board: Board, calls: list[str]) -> None:
    script(board, call(("send", "a")))
    paused = await board.run("start -> agent")

    events = await go_on(board, paused[-1], {"type": "perhaps"})

    assert "must be 'proceed' or 'reject', not 'perhaps'" in error_of(events).error
    assert calls == []


async def test_rounds_before_a_pause_count(board: Board) -> None:
    board.inputs["agent"] = {**board.inputs["agent"], "agentMaxIterations": 2}
    model = script(board, calling("send", {"input": "a"}), *[calling("look", {"input": "x"})] * 5)
    paused = await board.run("start -> agent")

    events = await go_on(board, paused[-1], {"type": "proceed"})

    assert len(model.calls) == 2
    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "Agent stopped due to max iterations."


async def test_a_guarded_tool_inside_an_iteration_is_refused_before_anything_runs(board: Board) -> None:
    script(board, "x")
    board.types["each"] = "iterationAgentflow"
    board.parents["agent"] = "each"

    with pytest.raises(FlowError, match="would wait for a person"):
        await board.run("start -> each\nagent")


async def test_an_agent_whose_tools_are_free_may_stand_inside(board: Board, calls: list[str]) -> None:
    script(board, "x")
    board.types["each"] = "iterationAgentflow"
    board.parents["agent"] = "each"
    rows = board.inputs["agent"]["agentTools"]
    board.inputs |= {"each": {"iterationInput": "[1]"}, "agent": {**board.inputs["agent"], "agentTools": rows[:1]}}

    events = await board.run("start -> each\nagent")

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "x"
