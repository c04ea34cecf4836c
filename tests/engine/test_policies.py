import asyncio
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context import NodeContext
from engine.errors import FlowError, NodeInputError, ProviderError
from engine.events import NodeFailed, RunFinished, TokenEmitted
from engine.retry import backoff
from engine.spec import Inputs, NodeResult
from tests.engine.drawing import Board, Does, echoes, entry_of, error_of, ran, skipped
from tests.engine.node_world import NodeWorld


def fails(times: int, error: Exception, *, says: str = "") -> Does:
    tried = 0

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        nonlocal tried
        tried += 1
        if tried <= times:
            if says:
                ctx.emit_token(says)
            raise error
        return NodeResult(output={"content": f"try {tried}"})

    return run


BUSY = ProviderError("busy", retryable=True)


async def test_without_a_policy_nothing_is_tried_again(board: Board, nodes: NodeWorld) -> None:
    board.does["a"] = fails(1, BUSY)

    events = await board.run("start -> a")

    assert error_of(events).error == "busy"
    assert nodes.clock.slept == []


async def test_a_passing_failure_is_tried_again_after_a_while(board: Board, nodes: NodeWorld) -> None:
    board.world = nodes.world
    board.does["a"] = fails(2, BUSY)
    board.policies["a"] = {"retry": {"max": 2, "baseSeconds": 1, "ceilingSeconds": 3}}

    events = await board.run("start -> a")

    assert entry_of(events, "a")["data"]["output"]["content"] == "try 3"
    assert len(nodes.clock.slept) == 2
    assert all(0 <= slept <= 3 for slept in nodes.clock.slept)


async def test_a_vendor_that_asks_for_time_gets_it_up_to_the_ceiling(board: Board, nodes: NodeWorld) -> None:
    board.world = nodes.world
    board.does["a"] = fails(1, ProviderError("slow down", retryable=True, retry_after_s=2))
    board.does["b"] = fails(1, ProviderError("slow down", retryable=True, retry_after_s=99))
    board.policies |= {name: {"retry": {"max": 1}} for name in ("a", "b")}

    await board.run("start -> a -> b")

    assert nodes.clock.slept == [2, 8]


def silence() -> ProviderError:
    error = ProviderError("fell silent", retryable=True)
    error.__cause__ = TimeoutError()
    return error


FAILED = {
    "rateLimit": ProviderError("slow down", retryable=True, status=429),
    "timeout": silence(),
    "server": ProviderError("overloaded", retryable=True, status=503),
    "connection": ProviderError("broke off", retryable=True),
}


@pytest.mark.parametrize("chosen", FAILED)
@pytest.mark.parametrize("failed", FAILED)
async def test_a_retry_may_be_kept_to_some_failures(board: Board, nodes: NodeWorld, chosen: str, failed: str) -> None:
    board.world = nodes.world
    board.does["a"] = fails(1, FAILED[failed])
    board.policies["a"] = {"retry": {"max": 1, "on": [chosen]}}

    events = await board.run("start -> a")

    assert isinstance(events[-1], RunFinished) is (chosen == failed)
    assert len(nodes.clock.slept) == (chosen == failed)


@pytest.mark.parametrize(("chosen", "is_retried"), [("timeout", True), ("server", False)])
async def test_the_time_limit_of_a_policy_is_a_timeout(
    board: Board, nodes: NodeWorld, chosen: str, is_retried: bool
) -> None:
    async def hang(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        await asyncio.Event().wait()
        return NodeResult()

    board.world = nodes.world
    board.does["a"] = hang
    board.policies["a"] = {"timeoutSeconds": 0.01, "retry": {"max": 1, "on": [chosen]}}

    events = await board.run("start -> a")

    assert error_of(events).code == "node_timeout"
    assert len(nodes.clock.slept) == is_retried


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ProviderError("refused", retryable=False), ""),
        (NodeInputError("wrong"), ""),
        (ProviderError("broke off", retryable=True), "half an answer"),
    ],
)
async def test_what_will_fail_again_or_has_been_heard_is_not_tried_again(
    board: Board, error: Exception, says: str
) -> None:
    board.does["a"] = fails(1, error, says=says)
    board.policies["a"] = {"retry": {"max": 3}}

    events = await board.run("start -> a")

    assert error_of(events).error == str(error)
    assert len([event for event in events if isinstance(event, TokenEmitted)]) == bool(says)


async def test_a_node_has_no_longer_than_its_policy_says(board: Board) -> None:
    async def hang(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        await asyncio.Event().wait()
        return NodeResult()

    board.does["a"] = hang
    board.policies["a"] = {"timeoutSeconds": 0.01}

    events = await board.run("start -> a")

    assert error_of(events).error == "It took longer than the 0.01 seconds that its policy allows."
    assert error_of(events).code == "node_timeout"


async def test_a_timeout_of_the_nodes_own_is_not_the_policys(board: Board) -> None:
    board.does["a"] = fails(1, TimeoutError())
    board.policies["a"] = {"timeoutSeconds": 60}

    events = await board.run("start -> a")

    assert "broke inside the server (TimeoutError)" in error_of(events).error


async def test_a_run_may_go_on_after_a_failure(board: Board) -> None:
    board.does |= {"a": fails(1, BUSY), "b": echoes}
    board.inputs["b"] = {"text": "went on: {{ a.output.error }}"}
    board.policies["a"] = {"onError": "continue"}

    events = await board.run("start -> a -> b\na[error] -> never")

    assert [e.entry["status"] for e in events if isinstance(e, NodeFailed)] == ["ERROR"]
    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "went on: busy"
    assert skipped(events) == ["never"]


@pytest.mark.parametrize(("failures", "way"), [(1, ["start", "plan_b"]), (0, ["start", "a", "plan_a"])])
async def test_a_failure_may_take_a_way_of_its_own(board: Board, failures: int, way: list[str]) -> None:
    board.does["a"] = fails(failures, BUSY)
    board.policies["a"] = {"onError": "branch"}

    events = await board.run("start -> a -> plan_a\na[error] -> plan_b")

    assert ran(events) == way
    assert isinstance(events[-1], RunFinished)


async def test_a_node_whose_only_edge_is_for_failures_ends_the_path(board: Board) -> None:
    async def speak(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return NodeResult(output={"content": str(ctx.is_last)})

    board.does["a"] = speak
    board.policies["a"] = {"onError": "branch"}

    events = await board.run("start -> a\na[error] -> plan_b")

    assert entry_of(events, "a")["data"]["output"]["content"] == "True"


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ({"retry": 3}, "retry must be an object"),
        ({"retry": {"max": 11}}, "retry.max must be a number from 0 to 10, not 11"),
        ({"retry": {"max": "many"}}, "retry.max must be a number"),
        ({"retry": {"on": "timeout"}}, "retry.on must be a list of some of rateLimit, timeout, server, connection"),
        ({"retry": {"on": ["timeout", "refusal"]}}, "retry.on must be a list .* not .*refusal"),
        ({"retry": {"on": []}}, "retry.on must be a list"),
        ({"timeoutSeconds": -1}, "timeoutSeconds must be a number from 0"),
        ({"onError": "ignore"}, "onError must be one of fail, continue, branch"),
    ],
)
async def test_a_policy_that_makes_no_sense_is_refused_before_anything_runs(
    board: Board, policy: dict[str, Any], problem: str
) -> None:
    board.policies["a"] = policy

    with pytest.raises(FlowError, match=problem):
        await board.run("start -> a")


async def test_a_classic_flow_cannot_go_on_without_a_part(board: Board) -> None:
    board.policies["model"] = {"onError": "continue"}

    with pytest.raises(FlowError, match="onError works in AgentFlow v2 only"):
        await board.run("model -> chain", classic=True)


@given(st.integers(1, 50), st.floats(0, 100), st.floats(0, 100), st.randoms(use_true_random=False))
def test_a_backoff_stays_below_its_ceiling_and_grows_no_faster_than_it_doubles(
    attempt: int, base_s: float, ceiling_s: float, rng: Random
) -> None:
    waited = backoff(attempt, base_s=base_s, ceiling_s=ceiling_s, rng=rng)

    assert 0 <= waited <= min(ceiling_s, base_s * 2**attempt)
