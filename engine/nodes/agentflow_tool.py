"""Tool nodes of agent flows: a tool that runs with arguments which the author wrote."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from engine.context import NodeContext
from engine.documents import wire
from engine.errors import NodeInputError
from engine.nodes import conversations, values
from engine.nodes.agent_loop import named_tools
from engine.providers.base import Sourced, Tool
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

PREFIX = "tool"
SELECTED = "toolAgentflowSelectedTool"
EARLIER = "selectedTool"  # how the first exports called it
PLAIN_TYPES = frozenset({"number", "integer", "boolean"})

TOOL = NodeSpec(
    name="toolAgentflow",
    label="Tool",
    version=1.2,
    category="Agent Flows",
    base_classes=("Tool",),
    help="Runs a tool.",
    params=(
        Param(SELECTED, "asyncOptions", "Tool", help="Which tool."),
        Param(
            "toolInputArgs",
            "array",
            "Tool Input Arguments",
            optional=True,
            variables=True,
            help="What it is given.",
            fields=(
                Param("inputArgName", "asyncOptions", "Input Argument Name", help="As the tool calls it."),
                Param("inputArgValue", "string", "Input Argument Value", variables=True, help="Text, or JSON."),
            ),
        ),
        conversations.state_param(PREFIX),
    ),
)


async def run_tool(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The tool's text; of a component that brings several tools, all their texts, a line each.

    Raises NodeInputError if no tool is chosen, NodeError if one fails.
    """
    param = SELECTED if values.text(inputs, SELECTED) else EARLIER
    component = values.text(inputs, param)
    if not component:
        raise NodeInputError("Tool not selected")
    tools = named_tools([(await ctx.build(component, values.mapping(inputs, f"{param}Config"))).value])
    rows = values.items(inputs, "toolInputArgs")
    given = {str(row["inputArgName"]): _parsed(row.get("inputArgValue")) for row in rows if row.get("inputArgName")}
    said = [await tool.call(_arguments(tool, given)) for tool in tools.values()]
    content = "\n".join(said)
    sources = [wire(document) for text in said if isinstance(text, Sourced) for document in text.documents]
    if content and ctx.streams:
        ctx.emit_token(content)
    return NodeResult(
        output={"content": content, **({"sourceDocuments": sources} if sources else {})},
        input={"selectedTool": component, "toolInputArgs": given},
        state=conversations.state_updates(inputs, PREFIX),
    )


def _parsed(value: Any) -> Any:
    """What is written like a JSON object or list becomes one; back-slashes that an editor put before brackets go."""
    if not isinstance(value, str):
        return value
    written = value.strip()
    if written[:1] + written[-1:] in ("{}", "[]") or written.startswith("\\["):
        with suppress(ValueError):
            return values.lenient(written)
    return value


def _arguments(tool: Tool, given: Mapping[str, Any]) -> dict[str, Any]:
    """Text for an argument that the tool takes as a number or a truth value becomes one."""
    known = tool.spec.parameters.get("properties")
    properties: Mapping[str, Any] = known if isinstance(known, Mapping) else {}
    arguments = dict(given)
    for name, value in given.items():
        wanted = properties.get(name)
        if isinstance(value, str) and isinstance(wanted, Mapping) and wanted.get("type") in PLAIN_TYPES:
            with suppress(ValueError):
                arguments[name] = orjson.loads(value.strip())
    return arguments


NODES = (NodeType(TOOL, run_tool),)
