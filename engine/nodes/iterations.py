"""Iterations: what stands inside one runs once for each item of a list."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from engine.context import InnerRun, NodeContext
from engine.errors import NodeError, NodeInputError
from engine.nodes import values
from engine.providers.base import Usage
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

MOST_AT_ONCE = 16

ITERATION = NodeSpec(
    name="iterationAgentflow",
    label="Iteration",
    version=1,
    category="Agent Flows",
    base_classes=("Iteration",),
    help="Runs the nodes inside it for each item of a list.",
    params=(
        Param(
            "iterationInput",
            "string",
            "Array Input",
            variables=True,
            help='A JSON list, such as ["one", "two"]; {{ $iteration }} stands for the current item.',
        ),
        Param(
            "concurrency",
            "number",
            "Concurrency",
            default=1,
            optional=True,
            help=f"How many items run at once, up to {MOST_AT_ONCE}. Those that do see the same state.",
        ),
    ),
)


async def run_iteration(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The items' answers in order; an item that fails leaves its error as text, and the next one runs.

    The state that an item leaves is there for the items after it. Items at once come in groups of `concurrency`: they
    begin with the state that the group before left, and what they changed is merged in the items' order.
    Raises NodeInputError for an input that is no list, or if nothing stands inside.
    """
    items = _items(inputs.get("iterationInput"))
    width = min(max(values.integer(inputs, "concurrency") or 1, 1), MOST_AT_ONCE)
    state = dict(ctx.state)
    runs: list[InnerRun] = []
    for first in range(0, len(items), width):
        places = [_place(ctx, items, index) for index in range(first, min(first + width, len(items)))]
        before = dict(state)
        group = await _run_group(ctx, places, before)
        for run in group:
            state |= {key: value for key, value in run.state.items() if key not in before or before[key] != value}
        runs += group
    results = [_text(run, number) for number, run in enumerate(runs, start=1)]
    return NodeResult(
        output={"iterationResults": results, "content": "\n".join(results)},
        state=state,
        usage=sum((run.usage for run in runs), Usage()),
        inner={node_id: output for run in runs for node_id, output in run.outputs.items()},
    )


def _items(given: Any) -> Sequence[Any]:
    if isinstance(given, str):
        try:
            given = values.lenient(given)
        except ValueError as exc:
            raise NodeInputError(f"Invalid input array: {exc}") from exc
    if not isinstance(given, list):
        raise NodeInputError(f"Invalid input array: it must be a JSON list, not {type(given).__name__}.")
    return given


def _place(ctx: NodeContext, items: Sequence[Any], index: int) -> dict[str, Any]:
    """What `{{ $iteration }}` stands for."""
    return {
        "index": index,
        "value": items[index],
        "isFirst": index == 0,
        "isLast": index == len(items) - 1,
        "sessionId": ctx.request.session_id,
    }


async def _run_group(ctx: NodeContext, places: Sequence[Mapping[str, Any]], state: Mapping[str, Any]) -> list[InnerRun]:
    if len(places) == 1:
        return [await ctx.inner.block(places[0], state)]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ctx.inner.block(place, state)) for place in places]
    except BaseExceptionGroup as several:
        # All of them spend from the same limits: one reason is as good as another.
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]


def _text(run: InnerRun, number: int) -> str:
    if run.pause is not None:
        raise NodeError("A node inside it waits for a person, which nothing in an iteration can: place it outside.")
    if run.error:
        return f"Error in iteration {number}: {run.error}"
    return run.text if run.text.strip() else ""


NODES = (NodeType(ITERATION, run_iteration),)
