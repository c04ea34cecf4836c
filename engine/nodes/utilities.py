"""Utilities of classic flows: functions, a branch, and variables that later nodes read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import values
from engine.nodes.javascript import EXAMPLE, result_text, run_function, shown
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

PLAIN = "string | number | boolean | json | array"  # what edges between utilities carry
TRUE, FALSE = "returnTrue", "returnFalse"
ENDING = "EndingNode"
NAME = Param("functionName", "string", "Function Name", optional=True, help="For people; nothing reads it.")
VARIABLES = Param(
    "functionInputVariables",
    "json",
    "Input Variables",
    optional=True,
    variables=True,
    help='What the function is given: {"name": "value"} is $name in it.',
)

FUNCTION = NodeSpec(
    name="customFunction",
    label="Custom JS Function",
    version=3,
    category="Utilities",
    base_classes=("CustomFunction", "Utilities"),
    help="Runs JavaScript in a sandbox.",
    params=(VARIABLES, NAME, Param("javascriptFunction", "code", "Javascript Function", help=EXAMPLE)),
    outputs=("output", ENDING),
    role="component",
)
IF_ELSE = NodeSpec(
    name="ifElseFunction",
    label="IfElse Function",
    version=2,
    category="Utilities",
    base_classes=("IfElseFunction", "Utilities"),
    help="Goes one of two ways, as its JavaScript says.",
    params=(
        VARIABLES,
        Param("functionName", "string", "IfElse Name", optional=True, help="For people; nothing reads it."),
        Param("ifFunction", "code", "If Function", help="If it returns something true, the flow goes on at True."),
        Param("elseFunction", "code", "Else Function", optional=True, help="Else this one's result goes on at False."),
    ),
    outputs=(TRUE, FALSE),
    role="component",
    is_decision=True,
)
SET_VARIABLE = NodeSpec(
    name="setVariable",
    label="Set Variable",
    version=2.1,
    category="Utilities",
    base_classes=("SetVariable", "Utilities"),
    help="Keeps a value under a name, and hands it on.",
    params=(
        Param("input", PLAIN, "Input", optional=True, is_list=True, help="The value."),
        Param("variableName", "string", "Variable Name", help="What Get Variable asks for."),
        Param("showOutput", "boolean", "Show Output", optional=True, help="Put it into the answer's flowVariables."),
    ),
    outputs=("output",),
    role="component",
)
GET_VARIABLE = NodeSpec(
    name="getVariable",
    label="Get Variable",
    version=2,
    category="Utilities",
    base_classes=("GetVariable", "Utilities"),
    help="Reads what Set Variable has kept.",
    params=(Param("variableName", "string", "Variable Name", help="As Set Variable calls it."),),
    outputs=("output",),
    role="component",
)


async def run_custom_function(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """What the function returns. Raises NodeInputError for what is no JavaScript, NodeError for what it throws."""
    returned = await run_function(ctx, values.text(inputs, "javascriptFunction"), _variables(inputs))
    if ctx.node.output == ENDING and ctx.streams and (text := result_text(returned.value)):
        ctx.emit_token(text)
    return NodeResult(output={"output": returned.value, **shown(returned)}, value=returned.value)


async def run_if_else(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The first function decides; what it returns, or the second one, goes on."""
    variables = _variables(inputs)
    returned = await run_function(ctx, values.text(inputs, "ifFunction"), variables, what="If function")
    if returned.value:
        return NodeResult(output={"output": returned.value, **shown(returned)}, value=returned.value, taken_output=TRUE)
    otherwise = values.text(inputs, "elseFunction")
    if otherwise.strip():
        returned = await run_function(ctx, otherwise, variables, what="Else function")
    return NodeResult(output={"output": returned.value, **shown(returned)}, value=returned.value, taken_output=FALSE)


async def run_set_variable(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The value itself; nodes that run later read it by its name."""
    name = _name(inputs)
    value = inputs.get("input")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # the anchor takes several edges, but one of them brings a value, not a list
    if not _is_plain(value):
        raise NodeInputError(f"Variable {name!r} can hold texts, numbers and JSON; connect a node that gives one.")
    is_published = values.flag(inputs, "showOutput")
    return NodeResult(
        output={"output": value}, value=value, state={name: value}, published={name: value} if is_published else {}
    )


async def run_get_variable(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError if nothing was kept under the name until now."""
    name = _name(inputs)
    if name not in ctx.state:
        known = ", ".join(map(repr, ctx.state)) or "none"
        raise NodeInputError(
            f"No variable {name!r} is set when it is read; set by then: {known}. A Set Variable runs in time if it "
            "stands further away from the end of the flow."
        )
    return NodeResult(output={"output": ctx.state[name]}, value=ctx.state[name])


def _variables(inputs: Inputs) -> dict[str, Any]:
    return values.mapping(inputs, VARIABLES.name)


def _name(inputs: Inputs) -> str:
    name = values.text(inputs, "variableName").strip()
    if not name:
        raise NodeInputError("The variable has no name: give it one under 'variableName'.")
    return name


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(held) for key, held in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)


NODES = (
    NodeType(FUNCTION, run_custom_function),
    NodeType(IF_ELSE, run_if_else),
    NodeType(SET_VARIABLE, run_set_variable),
    NodeType(GET_VARIABLE, run_get_variable),
)
