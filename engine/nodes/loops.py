"""Loops: back to an earlier node, a bounded number of times."""

from __future__ import annotations

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import conversations, values
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

PREFIX = "loop"
MOST_PASSES = 10  # of a loop whose field was left empty

LOOP = NodeSpec(
    name="loopAgentflow",
    label="Loop",
    version=1.2,
    category="Agent Flows",
    base_classes=("Loop",),
    help="Goes back to an earlier node.",
    params=(
        Param("loopBackToNode", "asyncOptions", "Loop Back To", help="The node that runs again."),
        Param(
            "maxLoopCount",
            "number",
            "Max Loop Count",
            default=5,
            optional=True,
            help="How often that node runs before the flow goes on without it.",
        ),
        Param(
            "fallbackMessage",
            "string",
            "Fallback Message",
            optional=True,
            variables=True,
            help="What is said when the loop ends by its count.",
        ),
        conversations.state_param(PREFIX),
    ),
    is_free=True,
)


async def run_loop(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Jump back, so that the target runs `maxLoopCount` times in all; then say that it was enough.

    Raises NodeInputError if there is no target.
    """
    node_id, _, label = values.text(inputs, "loopBackToNode").partition("-")
    if not node_id:
        raise NodeInputError("It loops back to nowhere: choose a node to go back to.")
    most = values.integer(inputs, "maxLoopCount") or MOST_PASSES
    state = conversations.state_updates(inputs, PREFIX)
    if ctx.runs + 1 < most:
        content = f"Loop back to {label or node_id} ({node_id})"
        output = {"content": content, "nodeID": node_id, "maxLoopCount": most}
        return NodeResult(output=output, state=state, jump_to=node_id)
    content = values.text(
        inputs, "fallbackMessage", f"Loop completed after reaching maximum iteration count of {most}."
    )
    if ctx.streams:
        ctx.emit_token(content)
    return NodeResult(output={"content": content, "nodeID": node_id, "maxLoopCount": most}, state=state)


NODES = (NodeType(LOOP, run_loop),)
