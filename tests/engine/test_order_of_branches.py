"""Branches that run beside each other look, from outside, as if they ran one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby

import pytest

from engine.context import NodeContext, RunRequest
from engine.events import (
    Event,
    NodeFinished,
    NodeStarted,
    RunFinished,
    RunPaused,
    RunStarted,
    RunStopped,
    TokenEmitted,
)
from engine.providers.base import Message
from engine.runner import Commands, run_flow
from engine.spec import Inputs, NodeResult
from tests.engine.drawing import Board, Does, echoes, entry_of, error_of, gives, ran, tokens

FORK = """
    start -> left
    start -> right
"""


def meets(barrier: asyncio.Barrier, word: str) -> Does:
    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        ctx.emit_token(f"{word} ")
        await barrier.wait()
        ctx.emit_token("met ")
        return NodeResult(output={"content": word}, state={"last": word}, messages=(Message("assistant", word),))

    return run


def heard(events: Sequence[Event]) -> list[str]:
    """The nodes in the order in which something was heard of them, each stretch once."""
    ids = [
        event.node_id for event in events if not isinstance(event, RunStarted | RunFinished | RunStopped | RunPaused)
    ]
    return [node_id for node_id, _ in groupby(ids)]


async def test_independent_branches_run_at_the_same_time_and_are_seen_in_order(board: Board) -> None:
    barrier = asyncio.Barrier(3)
    board.does |= {name: meets(barrier, name) for name in ("left", "middle", "right")}
    board.independent = {"middle", "right"}

    events = await board.run("start -> left\nstart -> middle\nstart -> right", is_streaming=True)

    assert ran(events) == ["start", "left", "middle", "right"]
    assert tokens(events) == ["left ", "met ", "middle ", "met ", "right ", "met "]
    assert heard(events) == ["start", "left", "middle", "right"]
    assert entry_of(events, "right")["data"]["state"] == {"last": "right"}
    assert entry_of(events, "middle")["data"]["state"] == {"last": "middle"}


async def test_a_branch_that_may_depend_on_another_waits_for_it(board: Board) -> None:
    seen = []

    async def look(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        seen.append((dict(ctx.state), [m.content for m in ctx.messages]))
        return NodeResult()

    board.does |= {"left": gives(state={"a": "1"}, messages=(Message("user", "hello"),)), "right": look}

    await board.run(FORK)

    assert seen == [({"a": "1"}, ["hello"])]


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("{{ left }}", "1"),
        ("{{ $flow.state.a }}", "2"),
        ("{{ chat_history }}", "Human: 3"),
        ("{{ $flow.chatHistory }}", "Human: 3"),
        ("{{ loop_count }}", "0"),
    ],
)
async def test_an_independent_node_that_refers_to_what_runs_before_it_waits_too(
    board: Board, text: str, resolved: str
) -> None:
    started = asyncio.Event()

    async def left(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        await asyncio.sleep(0)
        assert not started.is_set()
        return NodeResult(output={"content": "1"}, state={"a": "2"}, messages=(Message("user", "3"),))

    async def right(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        started.set()
        return await echoes(ctx, inputs)

    board.does |= {"left": left, "right": right}
    board.independent = {"right"}
    board.inputs["right"] = {"text": text}

    events = await board.run(FORK)

    assert entry_of(events, "right")["data"]["output"]["content"] == resolved


async def test_a_policy_lets_a_node_run_beside_others(board: Board) -> None:
    barrier = asyncio.Barrier(2)
    board.does |= {name: meets(barrier, name) for name in ("left", "right")}
    board.policies["right"] = {"concurrent": True}

    events = await board.run(FORK)

    assert ran(events) == ["start", "left", "right"]


async def test_tokens_come_while_the_node_still_speaks(board: Board) -> None:
    go_on = asyncio.Event()

    async def speak(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        ctx.emit_token("one")
        await go_on.wait()
        return NodeResult(output={"content": "one"})

    board.does["end"] = speak
    flow = board.agentflow("start -> end")
    events = run_flow(flow, RunRequest("hi", "c", "s"), board.world, registry=board.registry())

    async for event in events:
        if isinstance(event, TokenEmitted):
            go_on.set()

    assert go_on.is_set()


async def test_what_ran_ahead_of_a_failure_is_cancelled_and_never_seen(board: Board) -> None:
    cancelled = asyncio.Event()

    async def wait(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        ctx.emit_token("never seen")
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return NodeResult()

    async def fail(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        await asyncio.sleep(0)
        raise ValueError

    board.does |= {"left": fail, "right": wait}
    board.independent = {"right"}

    events = await board.run(FORK)

    assert cancelled.is_set()
    assert error_of(events).node_id == "left"
    assert [e.node_id for e in events if isinstance(e, NodeStarted)] == ["start", "left"]
    assert tokens(events) == []


async def test_events_are_numbered_from_one_without_a_gap(board: Board) -> None:
    events = await board.run("start -> a -> b")

    assert [event.seq for event in events] == list(range(1, len(events) + 1))


async def test_each_node_starts_before_it_finishes(board: Board) -> None:
    events = await board.run(FORK)

    assert [(type(e), e.node_id) for e in events if isinstance(e, NodeStarted | NodeFinished)] == [
        (kind, node_id) for node_id in ("start", "left", "right") for kind in (NodeStarted, NodeFinished)
    ]


async def test_closing_the_iterator_cancels_the_node_that_runs(board: Board) -> None:
    cancelled = asyncio.Event()

    async def wait(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        ctx.emit_token("here")
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return NodeResult()

    board.does["end"] = wait
    flow = board.agentflow("start -> end")
    events = run_flow(flow, RunRequest("hi", "c", "s"), board.world, registry=board.registry(), commands=Commands())
    seen: list[Event] = []
    while not any(isinstance(event, TokenEmitted) for event in seen):
        seen.append(await anext(events))

    await events.aclose()

    assert cancelled.is_set()
