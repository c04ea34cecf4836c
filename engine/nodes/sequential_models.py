"""Model calls and tools as nodes of their own, in graphs of sequential agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from engine.approval import read_answer
from engine.context import NodeContext
from engine.nodes import approvals, members, values
from engine.nodes.agent_loop import Tools, model_specs, named_tools
from engine.nodes.channels import UPDATES, updates
from engine.nodes.conversations import explained, shown_messages
from engine.providers.base import Completion, Message, ToolCall
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.structured import answer_schema, ask_shaped

LLM = NodeSpec(
    name="seqLLMNode",
    label="LLM Node",
    version=4.1,
    category=members.SEQUENTIAL,
    base_classes=("LLMNode",),
    help="One call of a model; the tools that it calls run in the Tool Node behind it.",
    params=(
        Param("llmNodeName", "string", "Name", help="What it is called."),
        members.BEFORE,
        members.MODEL,
        *members.PROMPTS,
        members.structured_output("llmStructuredOutput"),
        *UPDATES,
    ),
    role="member",
    is_decision=True,
)
TOOL = NodeSpec(
    name="seqToolNode",
    label="Tool Node",
    version=2.1,
    category=members.SEQUENTIAL,
    base_classes=("ToolNode",),
    help="Runs the tools that the model before it has called.",
    params=(
        Param("tools", "Tool", "Tools", optional=True, is_list=True, help="What may be called."),
        Param("llmNode", "LLMNode", "LLM Node", help="Whose calls it runs."),
        Param("toolNodeName", "string", "Name", help="What it is called."),
        *approvals.PARAMS,
        *UPDATES,
    ),
    role="member",
)


async def run_llm(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Ask the model once. If it calls tools, the way out is the Tool Node that has them.

    Raises NodeInputError for a node that is not filled in, NodeError for an answer without the structure.
    """
    title = members.title_in(ctx, inputs, "llmNodeName")
    with explained(f"Error in {title}"):
        model, messages = members.chat_model(inputs), await members.told(ctx, inputs)
        data: dict[str, Any] = {}
        if rows := members.structure(inputs, "llmStructuredOutput"):
            shaped = await ask_shaped(model, messages, answer_schema(rows))
            data, usage = shaped.value, shaped.usage
            completion = Completion(orjson.dumps(data).decode(), usage=usage)
        else:
            tools = named_tools(inputs.get("tools") or ())
            completion = await model.complete(messages, tools=model_specs(tools))
        calls, taken = _routed(inputs, completion.tool_calls)
        output = {**data, "content": completion.text, "calledTools": approvals.pending(calls)}
        state = await updates(ctx, inputs, {**output, "tool_calls": _plain(calls)})
    said = Message(
        "assistant",
        completion.text,
        name=members.speaker(title),
        tool_calls=calls,
        original=completion.original if calls else None,
    )
    return NodeResult(
        output=output,
        input={"messages": shown_messages(messages)},
        state=state,
        messages=(said,),
        usage=completion.usage,
        taken=taken,
        reasoning=members.reasoning(ctx, title, [completion.text], state=members.shown_updates(state)),
    )


def _routed(inputs: Inputs, calls: tuple[ToolCall, ...]) -> tuple[tuple[ToolCall, ...], frozenset[int]]:
    """The calls that a Tool Node behind this one can run, and which it is.

    Calls that nobody will answer are forgotten: vendors refuse a conversation in which they stand.
    """
    for index, way in enumerate(inputs.get("ways") or ()):
        names = named_tools(way["tools"])
        if any(call.name in names for call in calls):
            return calls, frozenset({index})
    return (), frozenset()


async def run_tools(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Run the calls that wait for these tools, after a person has approved them if that is required."""
    title = members.title_in(ctx, inputs, "toolNodeName")
    with explained(f"Error in {title}"):
        tools = named_tools(inputs.get("tools") or ())
        calls = _waiting(ctx.messages, tools)
        if not calls:
            return NodeResult(output={"content": members.last_words(ctx)})
        answer = None
        if values.flag(inputs, "interrupt"):
            if ctx.answer is None:
                said = Completion("", calls)
                return await approvals.asking(ctx, inputs, title, members.chat_model(inputs), said)
            answer = read_answer(ctx.answer)
        replies, used = await approvals.settle(tools, calls, answer)
        state = await updates(ctx, inputs, used)
    sources, artifacts = members.sources_of(used), members.sources_of(used, "artifacts")
    return NodeResult(
        output={"content": replies[-1].content, "usedTools": used, "sourceDocuments": sources, "artifacts": artifacts},
        state=state,
        messages=tuple(replies),
        reasoning=members.reasoning(
            ctx,
            title,
            [reply.content for reply in replies],
            usedTools=used,
            sourceDocuments=sources,
            artifacts=artifacts,
            state=members.shown_updates(state),
        ),
    )


def _waiting(messages: Sequence[Message], tools: Tools) -> tuple[ToolCall, ...]:
    """The newest calls that nobody has answered; agents that stand beside the one that called may have spoken since."""
    # Some servers give every call the same id, so only what stands behind a call can answer it.
    answered = set[str]()
    for message in reversed(messages):
        if message.role == "tool":
            answered.add(message.tool_call_id)
        if any(call.name in tools and call.id not in answered for call in message.tool_calls):
            return message.tool_calls
    return ()


def _plain(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    return [{"id": call.id, "name": call.name, "args": dict(call.arguments)} for call in calls]


NODES = (NodeType(LLM, run_llm), NodeType(TOOL, run_tools))
