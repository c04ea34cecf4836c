"""A run whose process dies goes on in another, behind the last node that was written down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from engine.context import NodeContext, RunRequest
from engine.events import Event, NodeFinished, NodeJournalled, NodeStarted, RunFailed, RunFinished, RunPaused
from engine.flow import Flow
from engine.providers.base import Message, Usage
from engine.runner import Resume, run_flow
from engine.spec import Inputs, NodeResult
from tests.engine.drawing import Board, echoes, gives, ran, says
from tests.engine.test_pauses import asks

DIAMOND = """
    start -> left -> join
    start -> right -> join
    join -> end
"""


async def journalled(board: Board, flow: Flow | str) -> list[Event]:
    return await board.run(flow, is_journalled=True)


def written(events: Sequence[Event]) -> list[dict[str, Any]]:
    """The changes as they come back from a database."""
    found = [event.changes for event in events if isinstance(event, NodeJournalled)]
    return [orjson.loads(orjson.dumps(changes, option=orjson.OPT_NON_STR_KEYS)) for changes in found]


def shown(events: Sequence[Event]) -> list[Any]:
    """What a trace shows, and how it ends."""
    entries = [event.entry for event in events if isinstance(event, NodeFinished)]
    ending = events[-1]
    assert isinstance(ending, RunFinished)
    return [*entries, ending.text, ending.state, ending.input_tokens]


async def test_each_node_is_journalled_before_anybody_hears_that_it_has_finished(board: Board) -> None:
    events = await journalled(board, "start -> work -> end")

    told = [event for event in events if isinstance(event, NodeJournalled | NodeFinished)]
    assert [(type(event), event.node_id) for event in told] == [
        (kind, node_id) for node_id in ("start", "work", "end") for kind in (NodeJournalled, NodeFinished)
    ]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


@pytest.mark.parametrize(
    "picture",
    [
        DIAMOND,
        "start -> check\ncheck[yes] -> work -> end\ncheck[no] -> other -> end",
        "start -> work -> again",
    ],
)
async def test_a_run_goes_on_behind_any_node_as_if_nothing_had_happened(board: Board, picture: str) -> None:
    board.types["again"] = "loopAgentflow"
    board.inputs["again"] = {"loopBackToNode": "work-x", "maxLoopCount": 2}
    board.does["work"] = gives(
        output={"content": "worked"},
        state={"seen": 1},
        messages=(Message("user", "work"),),
        usage=Usage(input_tokens=3),
    )
    board.inputs["end"] = {"text": "{{ work }} and {{ question }}"}
    board.does["end"] = echoes
    flow = board.agentflow(picture)
    events = await journalled(board, flow)
    changes = written(events)

    for done in range(1, len(changes)):
        rest = await board.run(flow, resume=Resume(None, changes=changes[:done]), is_journalled=True)

        assert ran(rest) == ran(events)[done:]
        assert shown(rest) == shown(events)[done:]
        assert written(rest) == changes[done:]


async def test_the_next_node_waits_until_a_dear_one_is_written_down(board: Board) -> None:
    flow = board.agentflow("start -> work -> end")
    request = RunRequest("hi", chat_id="c1", session_id="s1", chatflow_id="f1")
    events = run_flow(flow, request, board.world, registry=board.registry(), is_journalled=True)
    heard: list[Event] = []

    async for event in events:
        if isinstance(event, NodeJournalled) and event.node_id == "work":
            for _ in range(20):
                await asyncio.sleep(0)
            assert not any(isinstance(one, NodeStarted) and one.node_id == "end" for one in heard)
        heard.append(event)

    assert ran(heard) == ["start", "work", "end"]


async def test_only_what_costs_something_to_repeat_is_waited_for(board: Board) -> None:
    board.types |= {"check": "conditionAgentflow", "reply": "directReplyAgentflow"}
    board.inputs |= {"reply": {"directReplyMessage": "done"}}

    events = await journalled(board, "start -> check\ncheck[0] -> work\ncheck[1] -> work\nwork -> reply -> last")

    dear = {event.node_id: event.is_dear for event in events if isinstance(event, NodeJournalled)}
    assert dear == {"start": True, "check": False, "work": True, "reply": False, "last": False}


async def test_a_long_run_is_written_down_in_linear_space(board: Board) -> None:
    names = [f"n{number}" for number in range(60)]
    for name in names[1:]:
        board.does[name] = gives(output={"content": "x" * 100}, messages=(Message("assistant", "y" * 100),))

    events = await journalled(board, " -> ".join(names))

    sizes = [len(orjson.dumps(changes)) for changes in written(events)[1:-1]]
    assert max(sizes) < 1.1 * min(sizes)


async def test_a_run_that_waited_goes_on_behind_the_nodes_after_its_pause(board: Board) -> None:
    board.does |= {"ask": asks, "work": says("worked")}
    flow = board.agentflow("start -> ask\nask[proceed] -> work -> end\nask[reject] -> no")
    paused = (await journalled(board, flow))[-1]
    assert isinstance(paused, RunPaused)
    snapshot = orjson.loads(orjson.dumps(paused.snapshot))
    answer = {"type": "proceed"}
    whole = await board.run(flow, resume=Resume(snapshot, answer), is_journalled=True)

    rest = await board.run(flow, resume=Resume(snapshot, answer, changes=written(whole)[:2]), is_journalled=True)

    assert ran(whole) == ["ask", "work", "end"]
    assert ran(rest) == ["end"]


async def test_a_fold_of_another_versions_journal_is_refused(board: Board) -> None:
    changes = written(await journalled(board, "start -> gone -> end"))

    with pytest.raises(ValueError, match="another version of the flow"):
        await board.run("start -> other", resume=Resume(None, changes=changes[:1]))


async def test_a_node_that_failed_and_let_the_run_go_on_is_journalled_too(board: Board) -> None:
    async def breaks(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        raise ZeroDivisionError

    board.does["work"] = breaks
    board.policies["work"] = {"onError": "continue"}
    flow = board.agentflow("start -> work -> end")
    events = await journalled(board, flow)

    rest = await board.run(flow, resume=Resume(None, changes=written(events)[:2]))

    assert not isinstance(events[-1], RunFailed)
    assert ran(rest) == ["end"]


async def test_a_classic_flow_has_nothing_to_go_on_behind(board: Board) -> None:
    events = await board.run("part -> chain", classic=True, is_journalled=True)

    assert not any(isinstance(event, NodeJournalled) for event in events)
