"""What docs/how-to/make-nodes-robust.md promises of the policies that it shows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.context import NodeContext
from engine.errors import ProviderError
from engine.events import NodeFailed, RunFinished
from engine.providers.fake import FakeChatModel
from engine.spec import Inputs, NodeResult
from tests.engine.drawing import Board, entry_of, error_of, ran

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "make-nodes-robust.md"


def busy() -> ProviderError:
    return ProviderError("The vendor is busy.", retryable=True, status=429)


def wrong_key() -> ProviderError:
    return ProviderError("The key is wrong.", retryable=False, status=401)


def shown(key: str, value: Any = None) -> dict[str, Any]:
    """The policy of the page that has this key; with this value, if several have."""
    blocks = re.findall(r"^```json\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (policy,) = [
        policy for policy in map(orjson.loads, blocks) if key in policy and (value is None or policy[key] == value)
    ]
    return dict(policy)


def asks(board: Board, policy: Mapping[str, Any], *replies: Any) -> FakeChatModel:
    """Node `a` asks a model that answers so."""
    board.components["theModel"] = model = FakeChatModel(replies, "model-a")
    board.types["a"] = "llmAgentflow"
    board.inputs["a"] = {"llmModel": "theModel", "llmModelConfig": {}}
    board.policies["a"] = policy
    return model


async def test_a_node_is_tried_again_twice(board: Board) -> None:
    asks(board, shown("retry"), busy(), busy(), "At last.")

    events = await board.run("start -> a")

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "At last."


async def test_but_not_three_times_nor_with_a_wrong_key(board: Board) -> None:
    thrice = asks(board, shown("retry"), busy(), busy(), busy(), "Too late.")
    assert "The vendor is busy." in error_of(await board.run("start -> a")).error

    once = asks(board, shown("retry"), wrong_key(), "Never.")
    assert "The key is wrong." in error_of(await board.run("start -> a")).error

    assert (len(thrice.calls), len(once.calls)) == (3, 1)


async def test_a_node_that_takes_too_long_fails(board: Board) -> None:
    async def hangs(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        await asyncio.Event().wait()
        return NodeResult()

    board.does["a"] = hangs
    assert shown("timeoutSeconds") == {"timeoutSeconds": 30}
    board.policies["a"] = {"timeoutSeconds": 0.01}

    assert error_of(await board.run("start -> a")).code == "node_timeout"


async def test_a_run_goes_on_behind_a_node_that_failed(board: Board) -> None:
    asks(board, shown("onError", "continue"), wrong_key())

    events = await board.run("start -> a -> b")

    (failed,) = [event for event in events if isinstance(event, NodeFailed)]
    assert failed.entry["data"]["output"] == {"error": "Error in LLM node: The key is wrong."}
    assert ran(events)[-1] == "b"
    assert isinstance(events[-1], RunFinished)


@pytest.mark.parametrize(("reply", "taken"), [(wrong_key(), "sorry"), ("Fine.", "next")])
async def test_a_run_goes_on_where_the_error_leads(board: Board, reply: Any, taken: str) -> None:
    asks(board, shown("onError", "branch"), reply)
    flow = board.agentflow("start -> a\na -> next\na[error] -> sorry")

    events = await board.run(flow)

    assert [node for node in ran(events) if node in ("next", "sorry")] == [taken]


async def test_another_model_is_asked_and_that_is_told(board: Board) -> None:
    policy = shown("fallbackModel")
    asks(board, policy, wrong_key())
    board.components[policy["fallbackModel"]["name"]] = FakeChatModel(["I stood in."], "model-b")

    events = await board.run("start -> a")

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "I stood in."
    assert entry_of(events, "a")["data"]["warnings"] == [
        "model-a failed, so model-b was asked instead: Error in LLM node: The key is wrong."
    ]
