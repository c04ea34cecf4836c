"""Nodes that wait: what they ask for, and how they go on."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import NodeFinished, RunFailed, RunFinished, RunPaused
from engine.runner import Resume
from engine.spec import Wait
from tests.engine.drawing import Board, entry_of, ran
from tests.engine.test_pauses import saved

TYPES = {"wait": "waitForEventAgentflow", "ask": "askUserAgentflow", "sleep": "sleepAgentflow"}


async def paused(board: Board, node_id: str, **inputs: Any) -> RunPaused:
    """Where a run stops whose second node waits."""
    board.types = TYPES
    board.inputs[node_id] = inputs
    ending = (await board.run(f"start -> {node_id}"))[-1]
    assert isinstance(ending, RunPaused), ending
    return ending


@pytest.mark.parametrize(
    ("node_id", "inputs", "wait"),
    [
        ("wait", {"waitEventName": "paid"}, Wait("event", "paid", 86400.0)),
        ("wait", {"waitEventName": " paid ", "waitTimeout": "90s"}, Wait("event", "paid", 90.0)),
        ("ask", {"askQuestion": "Who?"}, Wait("message")),
        ("ask", {"askQuestion": "Who?", "askTimeout": "1500"}, Wait("message", for_s=1.5)),
        ("sleep", {"sleepFor": "1.5h"}, Wait("timer", for_s=5400.0)),
        ("sleep", {"sleepFor": "7 d"}, Wait("timer", for_s=604800.0)),
    ],
)
async def test_a_node_says_what_it_waits_for_and_how_long(
    board: Board, node_id: str, inputs: dict[str, Any], wait: Wait
) -> None:
    assert (await paused(board, node_id, **inputs)).wait == wait


async def test_a_sleep_ends_at_its_date(board: Board) -> None:
    now = board.world.clock.now()

    ending = await paused(board, "sleep", sleepMode="until", sleepUntil="2100-01-01T00:00:00Z")

    assert ending.wait.for_s == pytest.approx(min(4102444800 - now, 366 * 86400))


@pytest.mark.parametrize("inputs", [{"sleepMode": "until", "sleepUntil": "1999-12-31"}, {"sleepFor": "0s"}])
async def test_a_time_that_has_passed_is_not_waited_for(board: Board, inputs: dict[str, Any]) -> None:
    board.types = TYPES
    board.inputs["sleep"] = inputs

    events = await board.run("start -> sleep -> end")

    assert isinstance(events[-1], RunFinished)
    assert ran(events) == ["start", "sleep", "end"]


@pytest.mark.parametrize(
    ("node_id", "inputs", "told"),
    [
        ("wait", {"waitEventName": " "}, "1 to 255 characters"),
        ("wait", {"waitEventName": "x" * 256}, "1 to 255 characters"),
        ("wait", {"waitEventName": "paid", "waitTimeout": "soon"}, "waitTimeout must be a duration .* not 'soon'"),
        ("wait", {"waitEventName": "paid", "waitTimeout": "400d"}, "at most 366 days"),
        ("ask", {"askQuestion": ""}, "nothing to ask"),
        ("sleep", {}, "sleepFor must be a duration"),
        ("sleep", {"sleepMode": "until", "sleepUntil": "tomorrow"}, "sleepUntil must be a date"),
        ("sleep", {"sleepMode": "well"}, "sleepMode must be 'for' or 'until'"),
    ],
)
async def test_what_cannot_be_waited_for_is_named(
    board: Board, node_id: str, inputs: dict[str, Any], told: str
) -> None:
    board.types = TYPES
    board.inputs[node_id] = inputs

    ending = (await board.run(f"start -> {node_id}"))[-1]

    assert isinstance(ending, RunFailed)
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(ending.error)


@pytest.mark.parametrize(
    ("node_id", "inputs", "answer", "output", "branch"),
    [
        (
            "wait",
            {"waitEventName": "paid"},
            {"type": "event", "data": {"sum": 1}},
            {"content": '{"sum":1}', "event": "paid", "data": {"sum": 1}, "timeout": False},
            "yes",
        ),
        (
            "wait",
            {"waitEventName": "paid"},
            {"type": "event", "data": None},
            {"content": "", "event": "paid", "data": None, "timeout": False},
            "yes",
        ),
        (
            "wait",
            {"waitEventName": "paid"},
            {"type": "timeout"},
            {"content": "", "event": "paid", "data": None, "timeout": True},
            "no",
        ),
        (
            "ask",
            {"askQuestion": "Who?"},
            {"type": "message", "feedback": "Ada"},
            {"content": "Ada", "timeout": False},
            "yes",
        ),
        ("ask", {"askQuestion": "Who?"}, {"type": "timeout"}, {"content": "", "timeout": True}, "no"),
    ],
)
async def test_an_answer_is_the_output_and_the_end_of_the_time_another_way_out(
    board: Board, node_id: str, inputs: dict[str, Any], answer: dict[str, Any], output: dict[str, Any], branch: str
) -> None:
    board.types = TYPES
    board.inputs[node_id] = inputs
    flow = board.agentflow(f"start -> {node_id}\n{node_id}[0] -> yes\n{node_id}[1] -> no")
    stopped = await board.run(flow)

    events = await board.run(flow, resume=Resume(saved(stopped[-1]), answer))

    assert entry_of(events, node_id)["data"]["output"] == output
    assert ran(events) == [node_id, branch]


async def test_the_conversation_holds_the_question_and_the_reply(board: Board) -> None:
    board.types = TYPES
    board.inputs["ask"] = {"askQuestion": "Who?"}
    flow = board.agentflow("start -> ask\nask[0] -> yes\nask[1] -> no")
    stopped = await board.run(flow, "Hello")

    paused_snapshot = saved(stopped[-1])
    events = await board.run(flow, resume=Resume(paused_snapshot, {"type": "message", "feedback": "Ada"}))

    assert [(m["role"], m["content"]) for m in paused_snapshot["messages"]] == [
        ("user", "Hello"),
        ("assistant", "Who?"),
    ]
    assert any(isinstance(event, NodeFinished) and event.node_id == "yes" for event in events)
