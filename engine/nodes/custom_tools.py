"""Tools whose JavaScript their author wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.context import NodeContext
from engine.errors import LeftOut
from engine.nodes import values
from engine.nodes.javascript import EXAMPLE, result_text, run_function
from engine.providers.base import ToolSpec
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.tool_templates import ToolTemplate, read_tool_schema
from engine.tools import FunctionTool, tool_name

TOOL = NodeSpec(
    name="customTool",
    label="Custom Tool",
    version=3,
    category="Tools",
    base_classes=("CustomTool", "Tool", "StructuredTool", "Runnable"),
    help="Lets a model call a function in JavaScript.",
    params=(
        Param("selectedTool", "asyncOptions", "Select Tool", optional=True, help="Which tool of this workspace."),
        Param("returnDirect", "boolean", "Return Direct", optional=True, help="Its answer is the agent's answer."),
        Param("customToolName", "string", "Custom Tool Name", optional=True, help="Its name for the model."),
        Param(
            "customToolDesc", "string", "Custom Tool Description", optional=True, help="When the model is to use it."
        ),
        Param(
            "customToolSchema",
            "code",
            "Custom Tool Schema",
            optional=True,
            help="What the model fills in: a list of {property, type, description, required}, or z.object(…).",
        ),
        Param(
            "customToolFunc",
            "code",
            "Custom Tool Func",
            optional=True,
            help=f"What it does, instead of a tool of this workspace. {EXAMPLE}",
        ),
    ),
    role="component",
)


async def run_custom_tool(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Configure the tool; its function runs in the sandbox when the model calls it.

    What the node says of itself goes before what the selected tool says. Raises NodeInputError for a tool that the
    workspace does not keep, or a schema that is none.
    """
    check_custom_tool(inputs)
    func = values.text(inputs, "customToolFunc")
    kept = ToolTemplate("custom_tool", "", func)
    if not func.strip():
        kept = await ctx.world.tools.load(values.text(inputs, "selectedTool").strip())
    own_schema = inputs.get("customToolSchema")
    template = ToolTemplate(
        values.text(inputs, "customToolName", kept.name),
        values.text(inputs, "customToolDesc", kept.description),
        kept.func,
        read_tool_schema(own_schema) if own_schema else kept.parameters,
    )
    tool = template_tool(ctx, template, return_direct=values.flag(inputs, "returnDirect"))
    return NodeResult(value=tool)


def template_tool(ctx: NodeContext, template: ToolTemplate, *, return_direct: bool = False) -> FunctionTool:
    """The tool that a template describes. It sees each argument as `$name`, undefined if the model left it out."""
    properties: Mapping[str, Any] = template.parameters.get("properties", {})

    async def call(arguments: Mapping[str, Any]) -> str:
        # `$input` is an argument here or nothing: the question is in `$flow.input`.
        given = {"input": "", **arguments}
        # Published tools ask `if ($lastname)`, which fails unless the name is there.
        absent = [f"globalThis[{json.dumps(f'${name}')}]=undefined;" for name in properties if name not in given]
        code = f"{''.join(absent)}{template.func}" if template.func.strip() else ""
        return result_text((await run_function(ctx, code, given, what="tool")).value)

    spec = ToolSpec(tool_name(template.name), template.description, template.parameters)
    return FunctionTool(spec, call, return_direct)


def check_custom_tool(inputs: Inputs) -> None:
    """Raises LeftOut if the node neither has a function nor says which tool it means."""
    if not (values.text(inputs, "customToolFunc") + values.text(inputs, "selectedTool")).strip():
        raise LeftOut(
            "no tool is selected: choose one of the workspace, or put a function into 'customToolFunc', and its name, "
            "description and schema beside it",
            name="selectedTool",
        )


NODES = (NodeType(TOOL, run_custom_tool, check=check_custom_tool),)
