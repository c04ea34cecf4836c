"""Components that AgentFlow v2 nodes configure themselves, and what of it a trace shows."""

from __future__ import annotations

from typing import Any

import pytest

from engine.context import NodeContext, RunRequest
from engine.errors import FlowError, NodeInputError
from engine.flow import Flow
from engine.plan import plan_for
from engine.runner import run_flow
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from tests.engine.drawing import Board, entry_of, error_of

MODEL = NodeSpec(
    "fakeModel",
    "Fake Model",
    1,
    "Chat Models",
    params=(
        Param("prefix", "string", variables=True),
        Param("plain", "string"),
        Param("size", "number", default=4),
        Param("apiKey", "password"),
    ),
    role="component",
)


def builds(name: str) -> Any:
    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        built = await ctx.build(name, inputs["modelConfig"])
        return NodeResult(output={"content": str(built.value)})

    return run


async def run_model(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    shown = {name: inputs.get(name) for name in ("prefix", "plain", "size", "apiKey")}
    return NodeResult(value=(ctx.node.name, ctx.node.credential, ctx.is_last, shown))


async def run_on(board: Board, flow: Flow) -> list[Any]:
    registry = board.registry(NodeType(MODEL, run_model))
    request = RunRequest("hi", "c1", "s1")
    return [event async for event in run_flow(flow, request, board.world, registry=registry)]


async def test_a_component_is_built_from_its_name_and_config(board: Board) -> None:
    board.does["a"] = builds("fakeModel")
    board.inputs["a"] = {
        "model": "fakeModel",
        "modelConfig": {"prefix": "{{ question }}", "plain": "{{ question }}", "apiKey": "s3cret"},
    }
    board.data["a"] = {"credential": "of the node"}

    events = await run_on(board, board.agentflow("start -> a"))

    shown = {"prefix": "hi", "plain": "{{ question }}", "size": 4, "apiKey": "s3cret"}
    assert entry_of(events, "a")["data"]["output"]["content"] == str(("fakeModel", "", False, shown))


async def test_a_trace_shows_no_secret_on_any_level(board: Board) -> None:
    board.inputs["a"] = {
        "modelConfig": {"apiKey": "s3cret", "FLOWISE_CREDENTIAL_ID": "c-1", "credential": "c-1", "plain": "shown"},
        "rows": [{"nestedConfig": {"apiKey": "s3cret", "plain": "{{ question }}"}}],
        "mine": "s3cret",
    }
    board.data["a"] = {"inputParams": [{"name": "mine", "type": "password", "acceptVariable": True}]}

    events = await run_on(board, board.agentflow("start -> a"))

    assert entry_of(events, "a")["data"]["input"] == {
        "modelConfig": {"plain": "shown"},
        "rows": [{"nestedConfig": {"plain": "hi"}}],
    }


async def test_what_a_node_shows_of_its_own_is_cleaned_too(board: Board) -> None:
    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return NodeResult(input={"messages": [{"content": "x", "apiKey": "s3cret"}]})

    board.does["a"] = run

    events = await run_on(board, board.agentflow("start -> a"))

    assert entry_of(events, "a")["data"]["input"] == {"messages": [{"content": "x"}]}


@pytest.mark.parametrize("name", ["gone", ""])
async def test_a_component_that_is_not_installed_is_named(board: Board, name: str) -> None:
    board.does["a"] = builds(name)
    board.inputs["a"] = {"modelConfig": {}}

    events = await run_on(board, board.agentflow("start -> a"))

    assert error_of(events).error == f"a uses {name!r}, which is not installed here."


async def test_a_type_may_refuse_inputs_before_anything_runs(board: Board) -> None:
    def refuse(inputs: Inputs) -> None:
        if inputs.get("stores"):
            raise NodeInputError("document stores are not available.")

    registry = board.registry(NodeType(NodeSpec("pickyAgentflow", "Picky", 1, "Agent Flows"), run_model, check=refuse))
    board.data["a"] = {"name": "pickyAgentflow"}
    fine = board.agentflow("start -> a")
    board.inputs["a"] = {"stores": ["x"]}

    plan_for(fine, registry)
    with pytest.raises(FlowError, match=r"a \(a\) cannot run here: document stores are not available"):
        plan_for(board.agentflow("start -> a"), registry)
