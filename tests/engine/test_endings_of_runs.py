"""How a run ends: with an answer, an error, a stop, a limit."""

from __future__ import annotations

import asyncio
import logging
import time
from decimal import Decimal
from typing import Any

import orjson
import pytest

from engine.context import NodeContext, RunRequest
from engine.encoding import TOO_DEEP
from engine.errors import NodeInputError
from engine.events import NodeFailed, NodeFinished, RunFinished, RunStarted, RunStopped, TokenEmitted, UsageReported
from engine.providers.base import Usage
from engine.runner import LONGEST_HOLD_S, Commands, Limits, run_flow
from engine.spec import Inputs, NodeResult
from tests.engine.drawing import Board, entry_of, error_of, gives, ran, says


async def hangs(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    ctx.emit_token("so far")
    await asyncio.Event().wait()
    return NodeResult()


async def test_the_answer_is_what_the_node_that_ran_last_said(board: Board) -> None:
    board.does |= {"left": says("first"), "right": says("second")}

    events = await board.run("start -> left\nstart -> right")

    assert events[-1] == RunFinished(seq=len(events), text="second", state={})


@pytest.mark.parametrize("output", [{}, {"content": ""}, {"http": {"data": "x"}}])
async def test_a_flow_whose_last_node_says_nothing_answers_a_blank(board: Board, output: dict[str, object]) -> None:
    board.does["end"] = gives(output=output)

    events = await board.run("start -> end")

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == " "


async def test_usage_is_reported_by_each_node_and_in_sum(board: Board) -> None:
    board.does |= {
        "a": gives(output={"content": "x"}, usage=Usage(3, 2)),
        "b": gives(output={"content": "y"}, usage=Usage(10, 5)),
    }

    events = await board.run("start -> a -> b")

    assert [(e.node_id, e.input_tokens, e.output_tokens) for e in events if isinstance(e, UsageReported)] == [
        ("a", 3, 2),
        ("b", 10, 5),
    ]
    assert isinstance(events[-1], RunFinished)
    assert (events[-1].input_tokens, events[-1].output_tokens) == (13, 7)
    output = entry_of(events, "b")["data"]["output"]
    assert output["usageMetadata"] == {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    assert output["timeMetadata"] == {"start": 1_700_000_000_000, "end": 1_700_000_000_000, "delta": 0}


async def test_a_node_that_fails_ends_the_run_with_its_message(board: Board) -> None:
    async def fail(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        raise NodeInputError("Model is required")

    board.does["a"] = fail

    events = await board.run("start -> a -> b")

    failed = events[-2]
    assert isinstance(failed, NodeFailed)
    assert (failed.node_id, failed.error, failed.code) == ("a", "Model is required", "node_input")
    assert (failed.entry["status"], failed.entry["data"]["error"]) == ("ERROR", "Model is required")
    assert (error_of(events).error, error_of(events).code, error_of(events).node_id) == (
        "Model is required",
        "node_input",
        "a",
    )
    assert ran(events) == ["start"]


@pytest.mark.parametrize("bug", [ZeroDivisionError("key sk-123"), asyncio.CancelledError(), TimeoutError()])
async def test_a_node_that_breaks_ends_its_own_run_and_tells_no_secrets(
    board: Board, bug: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        raise bug

    board.does["a"] = break_

    with caplog.at_level(logging.ERROR):
        events = await board.run("start -> a")

    assert error_of(events).error == (
        f"a broke inside the server ({type(bug).__name__}); the server's log has the details."
    )
    assert "node crashed" in caplog.text


@pytest.mark.parametrize(
    ("odd", "kept"),
    [
        (2**70, hex(2**70)),
        ("\ud800", "\ufffd"),
        ({1: "one"}, {"1": "one"}),
        (Decimal("1.5"), "1.5"),
    ],
)
async def test_what_json_does_not_know_is_made_plain_in_a_nodes_output(board: Board, odd: Any, kept: Any) -> None:
    board.does["a"] = gives(output={"content": "ok", "odd": odd})

    events = await board.run("start -> a")

    assert entry_of(events, "a")["data"]["output"] == {"content": "ok", "odd": kept}
    assert isinstance(events[-1], RunFinished)


async def test_an_output_that_is_nested_too_deeply_is_cut_short(board: Board) -> None:
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    board.does["a"] = gives(output={"content": "ok", "deep": deep})

    events = await board.run("start -> a")

    assert TOO_DEEP in orjson.dumps(entry_of(events, "a")).decode()
    assert isinstance(events[-1], RunFinished)


async def test_a_stop_ends_the_run_and_the_node_that_runs(board: Board) -> None:
    commands = Commands()

    async def stops(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        asyncio.get_running_loop().call_soon(commands.stop)
        return await hangs(ctx, inputs)

    board.does["a"] = stops

    events = await board.run("start -> a -> b", commands=commands)

    failed = events[-2]
    assert isinstance(failed, NodeFailed)
    assert (failed.entry["status"], failed.error) == ("TERMINATED", "Flow execution was cancelled")
    assert events[-1] == RunStopped(seq=len(events), text="so far")


async def spins(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Works without ever waiting for something."""
    until = time.monotonic() + 2 * LONGEST_HOLD_S
    while time.monotonic() < until:
        pass
    return NodeResult(output={"content": "done"})


async def test_a_stop_is_heard_by_nodes_that_wait_for_nothing(board: Board) -> None:
    commands = Commands()

    async def stops(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        asyncio.get_running_loop().call_soon(commands.stop)
        return await spins(ctx, inputs)

    board.does |= {"a": stops, "b": spins, "c": spins}

    events = await board.run("start -> a -> b -> c", commands=commands)

    assert isinstance(events[-1], RunStopped)
    assert "c" not in ran(events)


async def test_a_reader_hears_of_nodes_that_wait_for_nothing_while_others_run(board: Board) -> None:
    board.does |= dict.fromkeys("abc", spins)
    has_last_run = False

    async def last(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        nonlocal has_last_run
        has_last_run = True
        return NodeResult(output={"content": "last"})

    board.does["d"] = last
    flow, request = board.agentflow("start -> a -> b -> c -> d"), RunRequest("hi", chat_id="c1", session_id="s1")

    async for event in run_flow(flow, request, board.world, registry=board.registry()):
        if isinstance(event, NodeFinished) and event.node_id == "a":
            heard_in_time = not has_last_run

    assert heard_in_time
    assert has_last_run


async def test_a_run_that_was_stopped_before_it_began_runs_nothing(board: Board) -> None:
    commands = Commands()
    commands.stop()

    events = await board.run("start -> a", commands=commands)

    assert [type(event) for event in events] == [RunStarted, RunStopped]


async def test_a_stop_between_two_nodes_keeps_what_the_first_gave(board: Board) -> None:
    commands = Commands()

    async def stops(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        commands.stop()
        commands.stop()
        return NodeResult(output={"content": "done"})

    board.does["a"] = stops

    events = await board.run("start -> a -> b", commands=commands)

    assert ran(events) == ["start", "a"]
    assert isinstance(events[-1], RunStopped)


async def test_a_stop_after_the_end_changes_nothing(board: Board) -> None:
    commands = Commands()
    events = await board.run("start", commands=commands)

    commands.stop()

    assert isinstance(events[-1], RunFinished)


async def test_a_run_that_takes_too_long_is_ended(board: Board) -> None:
    board.does["a"] = hangs

    events = await board.run("start -> a", limits=Limits(wall_s=0.01))

    assert error_of(events).error == "The run took longer than 0.01 seconds and was ended."
    assert error_of(events).code == "run_limit"
    failed = events[-2]
    assert isinstance(failed, NodeFailed)
    assert (failed.node_id, failed.entry["status"]) == ("a", "ERROR")


async def test_a_run_that_says_too_much_is_ended(board: Board) -> None:
    async def babble(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        while True:
            ctx.emit_token("blah " * 100)

    board.does["a"] = babble

    events = await board.run("start -> a", limits=Limits(output_bytes=2000))

    assert len([e for e in events if isinstance(e, TokenEmitted)]) == 4 - 1
    assert "put out more than it may" in error_of(events).error
    assert error_of(events).code == "run_limit"


async def test_outputs_count_against_the_same_limit(board: Board) -> None:
    board.does["a"] = says("x" * 3000)
    board.policies["a"] = {"onError": "continue"}

    events = await board.run("start -> a", limits=Limits(output_bytes=2000))

    assert error_of(events).code == "run_limit"


async def test_a_database_that_fails_while_history_is_read_fails_the_host_not_the_flow(board: Board) -> None:
    class Broken:
        async def load(self, *, last: int | None = None, session_id: str | None = None) -> list[object]:
            raise ConnectionError("away")

    board.inputs["a"] = {"stepEnableMemory": True}
    board.world = type(board.world)(
        board.world.http,
        Broken(),  # type: ignore[arg-type]
        board.world.credentials,
        board.world.clock,
        board.world.random,
    )

    with pytest.raises(ConnectionError):
        await board.run("start -> a")


async def test_finished_entries_have_the_shape_that_traces_have(board: Board) -> None:
    board.inputs["a"] = {"plain": "p", "secret": "s3cret", "credential": "c-1", "FLOWISE_CREDENTIAL_ID": "c-2"}

    events = await board.run("start -> a")

    finished = next(e for e in events if isinstance(e, NodeFinished) and e.node_id == "a")
    assert finished.entry == {
        "nodeId": "a",
        "nodeLabel": "a",
        "data": {
            "id": "a",
            "name": "stepAgentflow",
            "input": {"plain": "p"},
            "output": {"content": "a"},
            "state": {},
        },
        "previousNodeIds": ["start"],
        "status": "FINISHED",
    }
