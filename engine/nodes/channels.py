"""The state of multi-agent graphs: what it holds at first, and how an agent's update changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import values
from engine.nodes.flow_values import flow_view, run_code, value_of
from engine.spec import Append, Inputs, Param

UPDATE_TABLE, UPDATE_CODE, UPDATE_TAB = "updateStateMemoryUI", "updateStateMemoryCode", "selectedUpdateStateMemoryTab"
UPDATES = (
    Param(
        "updateStateMemory",
        "tabs",
        "Update State",
        default=UPDATE_TABLE,
        optional=True,
        help="What the state holds afterwards: a table, or code.",
    ),
    Param(
        UPDATE_TABLE,
        "datagrid",
        "Update State (Table)",
        optional=True,
        help="Values such as $flow.output.content.",
        fields=(
            Param("key", "string", "Key", help="Its name in the state."),
            Param("value", "string", "Value", help="What it holds."),
        ),
    ),
    Param(UPDATE_CODE, "code", "Update State (Code)", optional=True, help="Returns an object of keys and values."),
)


@dataclass(frozen=True, slots=True)
class Channels:
    """What a State node declares: the values at first, and the keys whose updates are appended."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    appended: frozenset[str] = frozenset()


def chosen_tab(ctx: NodeContext, inputs: Inputs, tab: str, default: str) -> str:
    """Which of two tabs of an editor's field is in use; exported nodes carry the choice under their own id."""
    chosen = str(inputs.get(f"{tab}_{ctx.node.id}") or inputs.get(tab) or default)
    return chosen.removesuffix(f"_{ctx.node.id}")


async def updates(ctx: NodeContext, inputs: Inputs, output: Any) -> dict[str, Any]:
    """The node's "Update State". `output` is what `$flow.output` stands for.

    Raises NodeInputError for a row without a key, and for code that gives no object.
    """
    view = flow_view(ctx, output)
    if chosen_tab(ctx, inputs, UPDATE_TAB, UPDATE_TABLE) == UPDATE_CODE:
        given = await _coded(ctx, inputs, view)
    else:
        given = {_key(row): value_of(ctx, row.get("value", ""), view) for row in values.items(inputs, UPDATE_TABLE)}
    return merging(inputs, given)


def merging(inputs: Inputs, given: Mapping[str, Any]) -> dict[str, Any]:
    """New values as the run's state takes them: appended where the State node says so, else instead of the old."""
    channels = inputs.get("state")
    appended = channels.appended if isinstance(channels, Channels) else frozenset[str]()
    # An update to nothing leaves what is there.
    return {
        key: Append(tuple(value) if isinstance(value, list) else (value,)) if key in appended else value
        for key, value in given.items()
        if value is not None
    }


async def _coded(ctx: NodeContext, inputs: Inputs, view: Mapping[str, Any]) -> Mapping[str, Any]:
    code = values.text(inputs, UPDATE_CODE)
    if not code:
        return {}
    given = await run_code(ctx, code, view)
    if not isinstance(given, Mapping | None):
        raise NodeInputError("The code of 'Update State' must return an object of keys and values.")
    return given or {}


def _key(row: Mapping[str, Any]) -> str:
    key = str(row.get("key") or "").strip()
    if not key:
        raise NodeInputError("A row of 'Update State' has no key: choose one of the state's.")
    return key
