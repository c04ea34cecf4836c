"""Asking a person before an agent's tools run, and what becomes of the calls when they have answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson

from engine.approval import Answer
from engine.context import NodeContext
from engine.nodes import values
from engine.nodes.agent_loop import Tools, call_tool
from engine.nodes.members import reasoning
from engine.prompts import fill_in
from engine.providers.base import ChatModel, Completion, Message, ToolCall, Usage
from engine.spec import Inputs, NodeResult, Param, Pause

PROMPT = "You are about to execute tool: {tools}. Ask if user want to proceed"
YES, NO = "Yes", "No"
DENIED = (
    "Tool {name} call denied by user. Acknowledge that, and DONT perform further actions. "
    "Only ask if user have other questions"
)
PARAMS = (
    Param("interrupt", "boolean", "Require Approval", optional=True, help="Ask a person before tools run."),
    Param(
        "approvalPrompt", "string", "Approval Prompt", default=PROMPT, optional=True, help="How the model asks them."
    ),
    Param("approveButtonText", "string", "Approve Button Text", default=YES, optional=True, help="What says yes."),
    Param("rejectButtonText", "string", "Reject Button Text", default=NO, optional=True, help="What says no."),
)


def pending(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """Calls as a person sees them before they run."""
    return [{"tool": call.name, "toolInput": dict(call.arguments), "toolOutput": ""} for call in calls]


async def asking(
    ctx: NodeContext, inputs: Inputs, title: str, model: ChatModel, said: Completion, *, kept: Any = None
) -> NodeResult:
    """Wait until a person has said whether the calls may run. `kept` comes back with their answer."""
    text, usage = await _question(inputs, model, said.tool_calls)
    return NodeResult(
        output={"content": text},
        usage=said.usage + usage,
        reasoning=reasoning(ctx, title, [said.text], usedTools=pending(said.tool_calls)),
        pause=Pause(text, _action(ctx, inputs, said.tool_calls), kept),
    )


async def _question(inputs: Inputs, model: ChatModel, calls: Sequence[ToolCall]) -> tuple[str, Usage]:
    """The model's own words for the question whether these calls may run."""
    tools = orjson.dumps(pending(calls)).decode()
    prompt = fill_in(values.text(inputs, "approvalPrompt", PROMPT), {"tools": tools, "input": ""})
    completion = await model.complete([Message("user", prompt)])
    return completion.text or "Do you want to proceed?", completion.usage


def _action(ctx: NodeContext, inputs: Inputs, calls: Sequence[ToolCall]) -> dict[str, Any]:
    """What clients make the two buttons of, and send back with the one that was chosen."""
    yes, no = values.text(inputs, "approveButtonText", YES), values.text(inputs, "rejectButtonText", NO)
    return {
        "id": str(UUID(int=ctx.world.random.getrandbits(128), version=4)),
        "mapping": {
            "approve": yes,
            "reject": no,
            "toolCalls": [
                {"name": call.name, "args": dict(call.arguments), "id": call.id, "type": "tool_call"} for call in calls
            ],
        },
        "elements": [{"type": "approve-button", "label": yes}, {"type": "reject-button", "label": no}],
        "data": {"nodeId": ctx.node.id, "nodeLabel": ctx.node.label},
    }


async def settle(
    tools: Tools, calls: Sequence[ToolCall], answer: Answer | None
) -> tuple[list[Message], list[dict[str, Any]]]:
    """What the model is told of the calls, and the records of those that ran: none, if a person said no."""
    messages, used = [], []
    for call in calls:
        if answer is not None and not answer.is_yes:
            text = " ".join(filter(None, (DENIED.format(name=call.name), answer.feedback)))
        else:
            record, text = await call_tool(tools, call)
            used.append(record)
        messages.append(Message("tool", text, name=call.name, tool_call_id=call.id))
    return messages, used
