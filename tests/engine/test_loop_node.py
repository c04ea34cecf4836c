"""Loop nodes go back a bounded number of times."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.events import RunFinished
from engine.nodes.loops import run_loop
from engine.runner import Resume
from engine.spec import Inputs, NodeResult, Pause
from tests.engine.drawing import Board, entry_of, error_of, ran, says, tokens
from tests.engine.node_world import NodeWorld


@pytest.fixture
def looping(board: Board) -> Board:
    board.types["loop"] = "loopAgentflow"
    board.inputs["loop"] = {"loopBackToNode": "body-The body", "maxLoopCount": "3"}
    return board


async def test_the_body_runs_as_often_as_the_loop_allows(looping: Board) -> None:
    events = await looping.run("start -> body -> loop")

    assert ran(events).count("body") == 3
    assert ran(events)[-1] == "loop"


async def test_a_loop_that_is_over_says_so_as_the_answer(looping: Board) -> None:
    events = await looping.run("start -> body -> loop", is_streaming=True)

    told = "Loop completed after reaching maximum iteration count of 3."
    assert tokens(events) == [told]
    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == told


async def test_a_loop_that_is_over_may_say_something_of_its_authors(looping: Board) -> None:
    looping.inputs["loop"] = {**looping.inputs["loop"], "fallbackMessage": "Enough of {{ body }}"}

    events = await looping.run("start -> body -> loop")

    assert entry_of(events, "loop")["data"]["output"]["content"] == "Enough of body"


async def test_an_empty_count_is_ten(looping: Board) -> None:
    looping.inputs["loop"] = {"loopBackToNode": "body-body", "maxLoopCount": ""}

    events = await looping.run("start -> body -> loop")

    assert ran(events).count("body") == 10


async def test_each_loop_counts_for_itself(looping: Board) -> None:
    looping.types["other"] = "loopAgentflow"
    looping.inputs["other"] = {"loopBackToNode": "top-top", "maxLoopCount": 2}

    events = await looping.run("start -> top -> body -> loop\ntop -> last -> other")

    assert ran(events).count("top") == 2
    assert ran(events).count("body") == ran(events).count("loop") == 3


async def test_a_loop_changes_the_state(looping: Board) -> None:
    looping.inputs["loop"] = {
        **looping.inputs["loop"],
        "loopUpdateState": [
            {"key": "passes", "value": "{{ $flow.state.passes }}|"},
            {"key": "said", "value": "{{output}}"},
        ],
    }
    looping.inputs["start"] = {"startState": [{"key": "passes", "value": ""}]}
    looping.types["start"] = "startAgentflow"

    events = await looping.run("start -> body -> loop")

    state = entry_of(events, "loop")["data"]["state"]
    assert state["said"].startswith("Loop completed")
    assert state["passes"].endswith("|")


async def test_a_pause_inside_a_loop_does_not_reset_its_count(looping: Board) -> None:
    async def asks(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        if ctx.answer is None:
            return NodeResult(pause=Pause("Go on?", {}))
        return NodeResult(output={"content": "yes"})

    looping.does["body"] = asks
    flow = looping.agentflow("start -> body -> loop")
    events = await looping.run(flow)
    answers = 0

    while not isinstance(events[-1], RunFinished):
        snapshot = orjson.loads(orjson.dumps(events[-1].snapshot))  # type: ignore[union-attr]  # it is a RunPaused
        events = await looping.run(flow, resume=Resume(snapshot, {"type": "proceed"}))
        answers += 1

    assert answers == 3


async def test_a_loop_to_nowhere_is_refused_by_name(looping: Board) -> None:
    looping.inputs["loop"] = {"loopBackToNode": "gone_0-Gone"}

    events = await looping.run("start -> body -> loop")

    assert "loops back to 'gone_0', which is not in the flow" in error_of(events).error


async def test_a_loop_without_a_target_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="choose a node to go back to"):
        await run_loop(nodes.context(), {"loopBackToNode": ""})


async def test_a_loop_cannot_leave_its_iteration(looping: Board) -> None:
    looping.types["each"] = "iterationAgentflow"
    looping.inputs["each"] = {"iterationInput": "[1]"}
    looping.parents |= {"inside": "each", "loop": "each"}

    events = await looping.run("start -> body -> each\ninside -> loop")

    content: Any = entry_of(events, "each")["data"]["output"]["content"]
    assert "not in the same iteration" in content


async def test_a_loop_inside_an_iteration_counts_anew_for_each_item(looping: Board) -> None:
    looping.types["each"] = "iterationAgentflow"
    looping.inputs |= {
        "each": {"iterationInput": '["a", "b"]'},
        "loop": {"loopBackToNode": "body-b", "maxLoopCount": 2},
    }
    looping.parents |= {"body": "each", "loop": "each"}
    looping.does["body"] = says("x")

    events = await looping.run("start -> each\nbody -> loop")

    assert ran(events).count("body") == 4
