from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from engine.events import RunPaused
from engine.providers.fake import calling
from engine.runner import Resume
from tests.engine.drawing import entry_of, error_of, ran
from tests.engine.node_world import NodeWorld
from tests.engine.team import Team, answer, spoke, steps

SHOUT = ["{{shout.data.instance}}"]
CALL = calling("shout", {"input": "hey"})


@pytest.fixture
def team(nodes: NodeWorld) -> Team:
    team = Team(nodes)
    team.inputs["first"] = {"tools": SHOUT, "interrupt": True, "approveButtonText": "Go", "rejectButtonText": "Stay"}
    return team


def saved(event: Any) -> Mapping[str, Any]:
    """A snapshot as it comes back from a database."""
    assert isinstance(event, RunPaused), event
    return orjson.loads(orjson.dumps(event.snapshot))  # type: ignore[no-any-return]


async def test_an_agent_that_needs_approval_asks_before_its_tools_run(team: Team) -> None:
    team.model.script(CALL, "May I shout?")

    events = await team.run("start -> first -> end")

    paused = events[-1]
    assert isinstance(paused, RunPaused)
    assert paused.text == "May I shout?"
    assert paused.action["mapping"] == {
        "approve": "Go",
        "reject": "Stay",
        "toolCalls": [{"name": "shout", "args": {"input": "hey"}, "id": "call_0", "type": "tool_call"}],
    }
    assert paused.action["elements"] == [
        {"type": "approve-button", "label": "Go"},
        {"type": "reject-button", "label": "Stay"},
    ]
    assert team.shouted == []
    assert 'execute tool: [{"tool":"shout"' in team.model.calls[1].messages[0].content
    assert entry_of(events, "first")["status"] == "STOPPED"
    assert steps(events)[0]["usedTools"] == [{"tool": "shout", "toolInput": {"input": "hey"}, "toolOutput": ""}]


async def test_an_approved_call_runs_and_the_agent_answers(team: Team) -> None:
    flow = team.flow("start -> first -> end")
    team.model.script(CALL, "May I shout?", "It is HEY.")
    paused = await team.run(flow)

    events = await team.run(flow, resume=Resume(saved(paused[-1]), {"type": "proceed"}))

    assert answer(events) == "It is HEY."
    assert ran(events) == ["first", "end"]
    assert team.shouted == ["hey"]
    told = [(message.role, message.content) for message in team.model.calls[2].messages]
    assert told == [("user", "hi"), ("assistant", ""), ("tool", "HEY")]


async def test_a_rejected_call_does_not_run_and_the_model_is_told_why(team: Team) -> None:
    flow = team.flow("start -> first -> end")
    team.model.script(CALL, "May I shout?", "Anything else?")
    paused = await team.run(flow)

    events = await team.run(flow, resume=Resume(saved(paused[-1]), {"type": "reject", "feedback": "Too loud."}))

    assert answer(events) == "Anything else?"
    assert team.shouted == []
    told = team.model.calls[2].messages[-1].content
    assert told.startswith("Tool shout call denied by user.")
    assert told.endswith("Too loud.")


async def test_an_agent_that_calls_again_asks_again_and_keeps_what_it_had(team: Team) -> None:
    flow = team.flow("start -> first -> end")
    team.model.script(CALL, "May I?", calling("shout", {"input": "ho"}, call_id="call_1"), "And again?", "HEY HO")
    first = await team.run(flow)

    second = await team.run(flow, resume=Resume(saved(first[-1]), {"type": "proceed"}))
    events = await team.run(flow, resume=Resume(saved(second[-1]), {"type": "proceed"}))

    assert answer(events) == "HEY HO"
    assert team.shouted == ["hey", "ho"]
    assert [used["toolOutput"] for used in steps(events)[0]["usedTools"]] == ["HEY", "HO"]


async def test_an_answer_that_is_neither_yes_nor_no_is_refused(team: Team) -> None:
    flow = team.flow("start -> first -> end")
    team.model.script(CALL, "May I shout?")
    paused = await team.run(flow)

    events = await team.run(flow, resume=Resume(saved(paused[-1]), {"type": "maybe"}))

    assert "must be 'proceed' or 'reject', not 'maybe'" in error_of(events).error
    assert team.shouted == []


@pytest.mark.parametrize(("kind", "shouted"), [("proceed", ["hey"]), ("reject", [])])
async def test_a_tool_node_asks_before_it_runs_what_the_model_called(team: Team, kind: str, shouted: list[str]) -> None:
    team.types |= {"asker": "seqLLMNode", "tools": "seqToolNode"}
    team.inputs["tools"] = {"tools": SHOUT, "interrupt": "true"}
    team.inputs["last"] = {}
    flow = team.flow("start -> asker -> tools -> last -> end")
    team.model.script(CALL, "May I shout?", "Done.")
    paused = await team.run(flow)

    events = await team.run(flow, resume=Resume(saved(paused[-1]), {"type": kind}))

    assert ran(paused) == ["start", "asker", "tools"]
    assert answer(events) == "Done."
    assert team.shouted == shouted
    assert team.model.calls[2].messages[-1].role == "tool"
    assert spoke(events) == ["tools", "last"]


async def test_an_agent_without_tools_asks_nobody(team: Team) -> None:
    team.inputs["first"] = {"interrupt": True}

    events = await team.run("start -> first -> end")

    assert answer(events) == "You said: hi"
