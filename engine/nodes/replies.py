"""Direct replies: the flow's own words as the answer."""

from __future__ import annotations

from engine.context import NodeContext
from engine.nodes import values
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

REPLY = NodeSpec(
    name="directReplyAgentflow",
    label="Direct Reply",
    version=1,
    category="Agent Flows",
    base_classes=("DirectReply",),
    help="Answers with a fixed text.",
    params=(Param("directReplyMessage", "string", "Message", variables=True, help="The answer."),),
    is_free=True,
)


async def run_reply(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The message, as one token."""
    message = values.text(inputs, "directReplyMessage")
    if message and ctx.streams:
        ctx.emit_token(message)
    return NodeResult(output={"content": message})


NODES = (NodeType(REPLY, run_reply),)
