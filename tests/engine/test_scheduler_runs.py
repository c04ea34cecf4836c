"""Whole runs of graphs that nobody would draw: with decisions, joins and loops, in each of the ways to run them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.context import NodeContext
from engine.events import Event, NodeFinished, NodeJournalled, NodeSkipped, RunFinished, RunPaused
from engine.flow import Flow
from engine.http import HttpClient
from engine.providers.base import Message
from engine.runner import Limits, Resume
from engine.spec import Inputs, NodeResult, Pause
from tests.engine.drawing import Board, Does
from tests.engine.node_world import NodeWorld

MOST_NODES = 8
HANDLES = ("a", "b", "c")


@dataclass
class Drawn:
    """A picture, where its loops go back to, and which ways its decisions take in their first runs."""

    picture: str
    loops: Mapping[str, tuple[str, int]]  # loop -> (target, passes)
    ways: Mapping[str, list[set[str]]]
    handles: Mapping[str, list[str]] = field(default_factory=dict)


@st.composite
def drawn_flows(draw: st.DrawFn) -> Drawn:
    """Every node can be reached from n0; some nodes without a way on are loops to a node before them."""
    count = draw(st.integers(2, MOST_NODES))
    lines, sources, handles = [], {}, dict[str, list[str]]()
    for target in range(1, count):
        before = draw(st.lists(st.integers(0, target - 1), min_size=1, max_size=3, unique=True))
        sources[target] = before
        for source in before:
            decides = source and draw(st.booleans())
            handle = draw(st.sampled_from(HANDLES)) if decides else ""
            lines.append((source, handle, target))
    for source, handle, _ in lines:  # a node that decides has no way out without a handle
        if handle:
            handles.setdefault(f"n{source}", [])
    pictured = []
    for source, handle, target in lines:
        name = f"n{source}"
        if name in handles:
            handle = handle or HANDLES[0]
            if handle not in handles[name]:
                handles[name].append(handle)
        pictured.append(f"{name}[{handle}] -> n{target}" if name in handles else f"{name} -> n{target}")
    pictured.sort(key=lambda line: not line.startswith("n0"))  # the first node drawn is the start
    ends = [n for n in range(1, count) if all(source != n for source, _, _ in lines)]
    loops = {}
    for end in draw(st.lists(st.sampled_from(ends), max_size=2, unique=True)):
        above = sorted(_above(end, sources) - {0})
        if above:
            loops[f"n{end}"] = (f"n{draw(st.sampled_from(above))}", draw(st.integers(1, 3)))
    ways = {
        name: draw(st.lists(st.sets(st.sampled_from(known)), min_size=1, max_size=3)) for name, known in handles.items()
    }
    return Drawn("\n".join(pictured), loops, ways, handles)


def _above(node: int, sources: Mapping[int, list[int]]) -> set[int]:
    found: set[int] = set()
    for source in sources.get(node, ()):
        found |= {source} | _above(source, sources)
    return found


def board_of(drawn: Drawn, *, pauses: bool = False, together: bool = False) -> tuple[Board, Flow]:
    board = Board(NodeWorld(HttpClient()).world)
    for loop, (target, passes) in drawn.loops.items():
        board.types[loop] = "loopAgentflow"
        board.inputs[loop] = {"loopBackToNode": f"{target}-x", "maxLoopCount": passes}
    flow = board.agentflow(drawn.picture)
    for node_id in flow.nodes:
        board.does[node_id] = _does(drawn, pauses=pauses)
    if together:
        board.independent = set(flow.nodes) - drawn.loops.keys()
        flow = board.agentflow(drawn.picture)
    return board, flow


def _does(drawn: Drawn, *, pauses: bool) -> Does:
    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        node_id = ctx.node.id
        if pauses and ctx.answer is None:
            return NodeResult(pause=Pause("Go on?", {}, kept=[node_id, ctx.runs]))
        assert ctx.kept == ([node_id, ctx.runs] if pauses else None)
        for _ in range(int(node_id[1:]) * 7 % 5):
            await asyncio.sleep(0)
        taken = None
        if ways := drawn.ways.get(node_id):
            chosen = ways[min(ctx.runs, len(ways) - 1)]
            taken = frozenset(drawn.handles[node_id].index(handle) for handle in chosen)
        return NodeResult(
            output={"content": f"{node_id}.{ctx.runs}"},
            state={"last": node_id, node_id: ctx.runs},
            messages=(Message("user", node_id),),
            taken=taken,
        )

    return run


async def whole(board: Board, flow: Flow) -> list[Event]:
    """The events of a run, and of those that go on after its pauses, each from a snapshot that a database kept."""
    events = await board.run(flow, limits=Limits(executions=1000))
    while isinstance(events[-1], RunPaused):
        snapshot = orjson.loads(orjson.dumps(events[-1].snapshot))
        resume = Resume(snapshot, {"type": "proceed"})
        events += await board.run(flow, limits=Limits(executions=1000), resume=resume)
    return events


async def with_deaths(board: Board, flow: Flow) -> list[Event]:
    """The events of a run that dies after each node that it wrote down, and goes on in another process."""
    told: list[Event] = []
    changes: list[Any] = []
    while not told or not isinstance(told[-1], RunFinished):
        events = await board.run(
            flow, limits=Limits(executions=1000), resume=Resume(None, changes=changes), is_journalled=True
        )
        kept = next((i for i, event in enumerate(events) if isinstance(event, NodeJournalled)), None)
        if kept is None:
            return [*told, *events]
        event = events[kept]
        assert isinstance(event, NodeJournalled)
        changes.append(orjson.loads(orjson.dumps(event.changes, option=orjson.OPT_NON_STR_KEYS)))
        until = next(
            (i for i, event in enumerate(events) if i > kept and isinstance(event, NodeJournalled)), len(events)
        )
        told += events[:until]
    return told


def told(events: list[Event]) -> list[Any]:
    """What traces show: the nodes that ended, with state, messages and where they came from; and those left out."""
    return [
        event.node_id if isinstance(event, NodeSkipped) else _without_switches(event.entry)
        for event in events
        if isinstance(event, NodeSkipped) or (isinstance(event, NodeFinished) and event.entry["status"] == "FINISHED")
    ]


def _without_switches(entry: Mapping[str, Any]) -> dict[str, Any]:
    """`plain` says whether the node may run ahead: the one thing that differs."""
    shown = {name: value for name, value in entry["data"]["input"].items() if name != "plain"}
    return {**entry, "data": {**entry["data"], "input": shown}}


@given(drawn_flows())
@settings(max_examples=100, deadline=None)
def test_a_run_ends_and_no_node_is_forgotten_or_runs_twice_in_a_pass(drawn: Drawn) -> None:
    board, flow = board_of(drawn)

    events = asyncio.run(whole(board, flow))

    assert isinstance(events[-1], RunFinished)
    ran = [event.node_id for event in events if isinstance(event, NodeFinished)]
    skipped = {event.node_id for event in events if isinstance(event, NodeSkipped)}
    assert set(ran) | skipped == set(flow.nodes)
    for node_id in flow.nodes:
        again = [
            target
            for loop, (target, passes) in drawn.loops.items()
            for _ in range(min(ran.count(loop), passes - 1))
            if node_id in flow.graph.descendants(target)
        ]
        assert ran.count(node_id) <= 1 + len(again)


@given(drawn_flows())
@settings(max_examples=100, deadline=None)
def test_a_run_is_the_same_one_by_one_beside_each_other_and_stopped_at_every_step(drawn: Drawn) -> None:
    one_by_one = asyncio.run(whole(*board_of(drawn)))
    together = asyncio.run(whole(*board_of(drawn, together=True)))
    in_steps = asyncio.run(whole(*board_of(drawn, pauses=True)))
    in_lives = asyncio.run(with_deaths(*board_of(drawn)))

    assert told(together) == told(one_by_one)
    assert told(in_steps) == told(one_by_one)
    assert told(in_lives) == told(one_by_one)
    assert _ending(together) == _ending(in_steps) == _ending(in_lives) == _ending(one_by_one)


def _ending(events: list[Event]) -> tuple[str, Any]:
    last = events[-1]
    assert isinstance(last, RunFinished)
    return last.text, last.state
