"""What sequential agents share: the state that they read and change, and the memory of their session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.memories import Memory
from engine.nodes import members, values
from engine.nodes.channels import Channels, chosen_tab
from engine.nodes.flow_values import flow_view, run_code
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

TABLE, CODE, TAB = "stateMemoryUI", "stateMemoryCode", "selectedStateTab"
APPEND = "Append"
MOST_MESSAGES = 200
# Reducers stay inside the sandbox; what they do with two lists tells which kind they are.
DECLARED = """
const declared = (CODE);
if (typeof declared !== 'object' || declared === null) return null;
const appends = (reducer) => {
    try { const joined = reducer(['a'], ['b']); return Array.isArray(joined) && joined.length === 2; }
    catch (error) { return false; }
};
return Object.fromEntries(Object.entries(declared).map(([key, channel]) => {
    const start = typeof channel?.default === 'function' ? channel.default() : channel?.default;
    return [key, { value: start ?? null, appends: appends(channel?.value) }];
}));
"""

STATE = NodeSpec(
    name="seqState",
    label="State",
    version=2,
    category=members.SEQUENTIAL,
    base_classes=("State",),
    help="What the agents share besides the conversation.",
    params=(
        Param(
            "stateMemory", "tabs", "Custom State", default=TABLE, optional=True, help="Declared in a table, or by code."
        ),
        Param(
            TABLE,
            "datagrid",
            "Custom State (Table)",
            optional=True,
            help="One row a key.",
            fields=(
                Param("key", "string", "Key", help="Its name in $flow.state."),
                Param(
                    "type",
                    "options",
                    "Operation",
                    default="Replace",
                    options=("Replace", APPEND),
                    help="What an update does to the value that is there.",
                ),
                Param("defaultValue", "string", "Default Value", optional=True, help="What it holds at first."),
            ),
        ),
        Param(CODE, "code", "Custom State (Code)", optional=True, help="An object of reducers and defaults."),
    ),
    role="component",
)


def _memory_spec(name: str, label: str) -> NodeSpec:
    return NodeSpec(
        name=name,
        label=label,
        version=2,
        category="Memory",
        base_classes=("AgentMemory", "BaseCheckpointSaver"),
        help="Lets agents go on with a session. It is kept in this server's own database, whatever is chosen here.",
        params=(
            Param(
                "databaseType",
                "options",
                "Database",
                default="sqlite",
                optional=True,
                options=("sqlite", "postgres", "mysql"),
                help="Has no effect here.",
            ),
            Param("databaseFilePath", "string", "Database File Path", optional=True, help="Has no effect here."),
            Param("host", "string", "Host", optional=True, help="Has no effect here."),
            Param("database", "string", "Database", optional=True, help="Has no effect here."),
            Param("port", "number", "Port", optional=True, help="Has no effect here."),
            Param(
                "additionalConfig",
                "json",
                "Additional Connection Configuration",
                optional=True,
                help="Has no effect here.",
            ),
        ),
        role="component",
    )


async def run_state(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError for a row without a key, and for a default of an appended key that is no list."""
    if chosen_tab(ctx, inputs, TAB, TABLE) == CODE and values.text(inputs, CODE):
        return NodeResult(value=await _declared_by_code(ctx, values.text(inputs, CODE)))
    rows = values.items(inputs, TABLE)
    # Flows that were made by an API carry the rows beside the table, under the titles of its columns.
    if "stateMemory" in inputs and inputs["stateMemory"] not in (TABLE, CODE, ""):
        rows = [*rows, *values.items(inputs, "stateMemory")]
    return NodeResult(value=_declared(rows))


def _declared(rows: list[Mapping[str, Any]]) -> Channels:
    defaults: dict[str, Any] = {}
    appended = set()
    for row in rows:
        key = str(row.get("key") or row.get("Key") or "").strip()
        if not key:
            raise NodeInputError("A row of the state has no key: give it a name.")
        default = row.get("defaultValue", row.get("Default Value", ""))
        if (row.get("type") or row.get("Operation")) == APPEND:
            appended.add(key)
            default = _items(key, default)
        defaults[key] = default
    return Channels(defaults, frozenset(appended))


def _items(key: str, default: Any) -> list[Any]:
    if isinstance(default, str) and default.strip():
        try:
            default = orjson.loads(default)
        except orjson.JSONDecodeError as exc:
            raise _no_list(key, default) from exc
    if default in ("", None):
        return []
    if not isinstance(default, list):
        raise _no_list(key, default)
    return default


def _no_list(key: str, default: Any) -> NodeInputError:
    return NodeInputError(f'What is appended to {key!r} begins with a list, such as ["a", "b"], not {default!r}.')


async def _declared_by_code(ctx: NodeContext, code: str) -> Channels:
    declared = await run_code(ctx, DECLARED.replace("CODE", code), flow_view(ctx))
    if not isinstance(declared, Mapping):
        raise NodeInputError("The code of a state must be an object: { key: { value: reducer, default: function } }.")
    appended = frozenset(key for key, channel in declared.items() if channel["appends"])
    return Channels({key: channel["value"] for key, channel in declared.items()}, appended)


async def run_memory(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is read until the agents start."""
    return NodeResult(value=Memory(ctx.world.history, given=ctx.request.history, last=MOST_MESSAGES))


NODES = (
    NodeType(STATE, run_state),
    NodeType(_memory_spec("agentMemory", "Agent Memory"), run_memory),
    NodeType(_memory_spec("sqliteAgentMemory", "SQLite Agent Memory"), run_memory),
    NodeType(_memory_spec("postgresAgentMemory", "Postgres Agent Memory"), run_memory),
    NodeType(_memory_spec("mySQLAgentMemory", "MySQL Agent Memory"), run_memory),
)
