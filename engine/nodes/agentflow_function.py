"""Function nodes of agent flows: an author's JavaScript as a step."""

from __future__ import annotations

from engine.context import NodeContext
from engine.nodes import conversations, values
from engine.nodes.javascript import EXAMPLE, result_text, run_function, shown
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

PREFIX = "customFunction"
CODE = "customFunctionJavascriptFunction"
VARIABLES = "customFunctionInputVariables"

FUNCTION = NodeSpec(
    name="customFunctionAgentflow",
    label="Custom Function",
    version=1.1,
    category="Agent Flows",
    base_classes=("CustomFunction",),
    help="Runs JavaScript in a sandbox.",
    params=(
        Param(
            VARIABLES,
            "array",
            "Input Variables",
            optional=True,
            variables=True,
            help="What the function is given.",
            fields=(
                Param("variableName", "string", "Variable Name", help="The function sees it as $name."),
                Param("variableValue", "string", "Variable Value", variables=True, help="Text, or a reference."),
            ),
        ),
        Param(CODE, "code", "Javascript Function", help=f"Its last return is the node's output. {EXAMPLE}"),
        conversations.state_param(PREFIX),
    ),
)


async def run_custom_function(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """What the function returns, as text; objects become JSON.

    Raises NodeInputError for what is no JavaScript, NodeTimeout, NodeError for what it throws.
    """
    rows = values.items(inputs, VARIABLES)
    variables = {str(row["variableName"]): row.get("variableValue") for row in rows if row.get("variableName")}
    code = values.text(inputs, CODE)
    returned = await run_function(ctx, code, variables)
    content = result_text(returned.value)
    if content and ctx.streams:
        ctx.emit_token(content)
    return NodeResult(
        output={"content": content, **shown(returned)},
        input={"inputVariables": rows, "code": code},
        state=conversations.state_updates(inputs, PREFIX),
    )


NODES = (NodeType(FUNCTION, run_custom_function),)
