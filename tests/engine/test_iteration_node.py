"""Iterations run what stands inside them for each item."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.context import NodeContext
from engine.errors import FlowError
from engine.events import NodeFinished, NodeStarted, RunFailed, RunFinished, RunStopped
from engine.providers.base import Message, Usage
from engine.runner import Commands, Limits
from engine.spec import Inputs, NodeResult, Pause
from tests.engine.drawing import Board, echoes, entry_of, error_of, gives, ran, skipped, tokens

ONE = "start -> each -> end\ninside"


@pytest.fixture
def board(board: Board) -> Board:
    """`each` is an iteration over two words, with `inside` in it."""
    board.types["each"] = "iterationAgentflow"
    board.inputs |= {"each": {"iterationInput": '["a", "b"]'}, "inside": {"text": "<{{ $iteration }}>"}}
    board.parents["inside"] = "each"
    board.does["inside"] = echoes
    return board


def output(events: Any, node_id: str = "each") -> Any:
    return entry_of(events, node_id)["data"]["output"]


async def test_each_item_is_run_in_order(board: Board) -> None:
    events = await board.run(ONE)

    assert output(events) == {"iterationResults": ["<a>", "<b>"], "content": "<a>\n<b>"}
    assert ran(events) == ["start", "inside", "inside", "each", "end"]


async def test_entries_of_items_say_which_item_and_which_iteration(board: Board) -> None:
    events = await board.run(ONE)

    inside = [e.entry["data"] for e in events if isinstance(e, NodeFinished) and e.node_id == "inside"]
    assert [(data["iterationIndex"], data["parentNodeId"]) for data in inside] == [(0, "each"), (1, "each")]
    assert inside[1]["iterationContext"] == {
        "index": 1,
        "value": "b",
        "isFirst": False,
        "isLast": True,
        "sessionId": "s1",
    }
    assert "iterationIndex" not in entry_of(events, "each")["data"]


@pytest.mark.parametrize(
    ("given", "results"),
    [
        ("[]", []),
        ('[0, "", false, null]', ["0", "", "false", "null"]),
        ("['a', /* comment */ 'b',]", ["a", "b"]),
        (r"[\"a\", \"b\"]", ["a", "b"]),
        ('[{"x": [1, 2]}]', ['{"x":[1,2]}']),
    ],
)
async def test_lists_are_read_as_people_write_them(board: Board, given: str, results: list[str]) -> None:
    board.inputs |= {"each": {"iterationInput": given}, "inside": {"text": "{{ $iteration }}"}}

    events = await board.run(ONE)

    assert output(events)["iterationResults"] == results


async def test_parts_and_the_place_of_an_item_can_be_named(board: Board) -> None:
    board.inputs |= {
        "each": {"iterationInput": '[{"name": "Ann"}, {"name": "Bob"}]'},
        "inside": {"text": "{{ $iteration.name }} {{ $iteration.index }} {{ $iteration.isLast }}"},
    }

    events = await board.run(ONE)

    assert output(events)["iterationResults"] == ["Ann 0 false", "Bob 1 true"]


@pytest.mark.parametrize("given", ["", "nothing", '{"a": 1}', "7"])
async def test_what_is_no_list_is_refused(board: Board, given: str) -> None:
    board.inputs["each"] = {"iterationInput": given}

    events = await board.run(ONE)

    assert error_of(events).error.startswith("Invalid input array")


async def test_an_iteration_with_nothing_inside_is_refused(board: Board) -> None:
    events = await board.run("start -> each")

    assert "place nodes inside it" in error_of(events).error


async def test_state_goes_from_item_to_item_and_out(board: Board) -> None:
    async def count(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return NodeResult(output={"content": str(ctx.state.get("n"))}, state={"n": ctx.state.get("n", 0) + 1})

    board.does |= {"start": gives(state={"n": 10}), "inside": count}

    events = await board.run(ONE)

    assert output(events)["iterationResults"] == ["10", "11"]
    assert entry_of(events, "end")["data"]["state"] == {"n": 12}


async def test_run_messages_start_empty_for_each_item_and_stay_inside(board: Board) -> None:
    seen = []

    async def speak(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        seen.append(len(ctx.messages))
        return NodeResult(output={"content": "x"}, messages=(Message("user", "x"),))

    board.does |= {"first": speak, "inside": speak, "end": speak}

    await board.run("start -> first -> each -> end\ninside")

    assert seen == [0, 0, 0, 1]


async def test_an_item_that_fails_leaves_its_error_and_the_next_one_runs(board: Board) -> None:
    async def fail_once(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        if ctx.request.iteration and ctx.request.iteration["index"] == 0:
            raise ValueError("no")
        return NodeResult(output={"content": "fine"})

    board.does["inside"] = fail_once

    events = await board.run(ONE)

    first, second = output(events)["iterationResults"]
    assert first.startswith("Error in iteration 1: inside broke inside the server")
    assert second == "fine"
    assert isinstance(events[-1], RunFinished)


async def test_nothing_inside_speaks(board: Board) -> None:
    async def speak(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        assert not ctx.streams
        ctx.emit_token("hush")
        return NodeResult(output={"content": "x"})

    board.does["inside"] = speak

    events = await board.run("start -> each\ninside", is_streaming=True)

    assert tokens(events) == []


async def test_branches_and_joins_work_inside(board: Board) -> None:
    board.parents |= {"check": "each", "yes": "each", "no": "each", "join": "each"}
    board.parents.pop("inside")

    events = await board.run("""
        start -> each
        check[a] -> yes -> join
        check[b] -> no -> join
    """)

    assert ran(events) == ["start", *["check", "yes", "join"] * 2, "each"]
    assert skipped(events) == ["no", "no"]
    assert output(events)["iterationResults"] == ["join", "join"]


async def test_what_is_outside_can_be_named_inside_and_the_other_way_round(board: Board) -> None:
    board.inputs |= {"inside": {"text": "{{ first }} {{ $iteration }}"}, "end": {"text": "last: {{ inside }}"}}
    board.does["end"] = echoes

    events = await board.run("start -> first -> each -> end\ninside")

    assert output(events)["iterationResults"] == ["first a", "first b"]
    assert output(events, "end")["content"] == "last: first b"


async def test_iterations_can_stand_in_iterations(board: Board) -> None:
    board.types["inner"] = "iterationAgentflow"
    board.parents |= {"inner": "each", "inside": "inner"}
    board.inputs |= {"each": {"iterationInput": "[[1, 2], [3]]"}, "inner": {"iterationInput": "{{ $iteration }}"}}

    events = await board.run("start -> each\ninner\ninside")

    assert output(events)["iterationResults"] == ["<1>\n<2>", "<3>"]
    inside = [e.entry["data"] for e in events if isinstance(e, NodeFinished) and e.node_id == "inside"]
    assert [data["parentNodeId"] for data in inside] == ["inner"] * 3


async def test_what_runs_inside_counts_against_the_limit(board: Board) -> None:
    board.inputs["each"] = {"iterationInput": str(list(range(100)))}

    events = await board.run(ONE, limits=Limits(executions=20))

    assert error_of(events).code == "run_limit"
    assert ran(events).count("inside") == 18


async def test_tokens_spent_inside_are_counted(board: Board) -> None:
    board.does["inside"] = gives(output={"content": "x"}, usage=Usage(2, 3))

    events = await board.run(ONE)

    assert isinstance(events[-1], RunFinished)
    assert (events[-1].input_tokens, events[-1].output_tokens) == (4, 6)
    assert output(events)["usageMetadata"]["total_tokens"] == 10


async def test_items_at_once_meet_and_are_heard_in_order(board: Board) -> None:
    barrier = asyncio.Barrier(3)

    async def meet(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        await barrier.wait()
        place = ctx.request.iteration or {}
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(3 - place["index"] % 3)))
        return NodeResult(output={"content": str(place["value"])}, state={"last": place["value"], place["value"]: "x"})

    board.does["inside"] = meet
    board.inputs["each"] = {"iterationInput": '["a", "b", "c", "d", "e", "f"]', "concurrency": 3}

    events = await board.run(ONE)

    assert output(events)["iterationResults"] == list("abcdef")
    heard = [e.entry["data"]["iterationIndex"] for e in events if isinstance(e, NodeFinished) and e.node_id == "inside"]
    assert heard == list(range(6))
    pairs = [type(e) for e in events if isinstance(e, NodeStarted | NodeFinished) and e.node_id == "inside"]
    assert pairs == [NodeStarted, NodeFinished] * 6
    assert entry_of(events, "end")["data"]["state"] == {"last": "f", **dict.fromkeys("abcdef", "x")}


async def test_a_limit_that_items_at_once_reach_ends_the_run(board: Board) -> None:
    board.inputs["each"] = {"iterationInput": str(list(range(50))), "concurrency": 4}

    events = await board.run(ONE, limits=Limits(executions=10))

    assert error_of(events).code == "run_limit"


async def test_a_stop_inside_ends_the_run_at_once(board: Board) -> None:
    commands = Commands()

    async def stop(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        commands.stop()
        await asyncio.Event().wait()
        return NodeResult()

    board.does["inside"] = stop

    events = await board.run(ONE, commands=commands)

    assert isinstance(events[-1], RunStopped)
    assert [getattr(e, "node_id", "") for e in events[-3:]] == ["inside", "each", ""]


async def test_a_person_cannot_be_asked_inside(board: Board) -> None:
    board.types["inside"] = "humanInputAgentflow"

    with pytest.raises(FlowError, match=r"inside \(inside\) would wait for a person"):
        await board.run(ONE)


async def test_a_node_that_asks_a_person_inside_all_the_same_ends_the_run(board: Board) -> None:
    board.does["inside"] = gives(pause=Pause("Go on?", {}))

    events = await board.run(ONE)

    assert isinstance(events[-1], RunFailed)
    assert "nothing in an iteration can" in error_of(events).error


async def test_an_edge_across_the_border_is_refused(board: Board) -> None:
    with pytest.raises(FlowError, match=r"from start .start. to inside .inside. crosses the border"):
        await board.run("start -> each\nstart -> inside")


async def test_two_beginnings_inside_are_refused(board: Board) -> None:
    board.parents["other"] = "each"

    with pytest.raises(FlowError, match=r"Multiple starting nodes .* inside each"):
        await board.run("start -> each\ninside\nother")


async def test_a_child_of_nothing_is_refused(board: Board) -> None:
    board.parents["inside"] = "gone"

    with pytest.raises(FlowError, match="in the iteration 'gone', which is not in the flow"):
        await board.run("start -> each\ninside")
