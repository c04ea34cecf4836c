"""Sequential agents of the first generation: agents, model calls and tools in a row, with loops back by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.approval import read_answer
from engine.context import NodeContext
from engine.memories import Memory
from engine.moderation import MODERATION, judge_all, moderations_in
from engine.nodes import approvals, members, values
from engine.nodes.agent_loop import FunctionCalling, Tools, model_specs, named_tools, run_agent
from engine.nodes.channels import UPDATES, Channels, updates
from engine.nodes.conversations import explained, shown_messages
from engine.providers.base import ChatModel, Message, Usage
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.state import message_from_json, message_to_json

MAX_ROUNDS = 15

START = NodeSpec(
    name="seqStart",
    label="Start",
    version=2,
    category=members.SEQUENTIAL,
    base_classes=("Start",),
    help="Where a row of agents begins.",
    params=(
        Param("model", "BaseChatModel", "Chat Model", help="The model of all that have none of their own."),
        Param("agentMemory", "BaseCheckpointSaver", "Agent Memory", optional=True, help="Remembers the conversation."),
        Param("state", "State", "State", optional=True, help="What the agents share besides the conversation."),
        MODERATION,
    ),
    role="member",
    is_decision=True,  # a question that is refused goes no way at all
)
AGENT = NodeSpec(
    name="seqAgent",
    label="Agent",
    version=4.1,
    category=members.SEQUENTIAL,
    base_classes=("Agent",),
    help="A model that may use tools.",
    params=(
        Param("agentName", "string", "Agent Name", help="What it is called."),
        Param("tools", "Tool", "Tools", optional=True, is_list=True, help="What it may use."),
        members.BEFORE,
        members.MODEL,
        *members.PROMPTS,
        *approvals.PARAMS,
        *UPDATES,
        Param("maxIterations", "number", "Max Iterations", optional=True, help=f"{MAX_ROUNDS} unless given."),
    ),
    role="member",
)
LOOP = NodeSpec(
    name="seqLoop",
    label="Loop",
    version=2,
    category=members.SEQUENTIAL,
    base_classes=("Loop",),
    help="Goes back to a node by its name.",
    params=(members.BEFORE, Param("loopToName", "string", "Loop To", help="The name of the node to go back to.")),
    role="member",
)
END = NodeSpec(
    name="seqEnd",
    label="End",
    version=2.1,
    category=members.SEQUENTIAL,
    base_classes=("End",),
    help="What was said last is the answer.",
    params=(members.BEFORE,),
    role="member",
)


async def run_start(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The question opens the conversation; with a memory it goes on where the session's last run ended.

    A question that a moderation refuses ends it with the refusal.
    """
    verdict = await judge_all(moderations_in(inputs), ctx.request.question)
    channels = inputs.get("state")
    state = dict(channels.defaults) if isinstance(channels, Channels) else {}
    earlier: Sequence[Message] = ctx.request.history
    if isinstance(memory := inputs.get("agentMemory"), Memory):
        earlier = await memory.load()
        previous = await ctx.world.previous()
        state |= previous.state if previous else {}
    question = Message("user", ctx.request.question, images=ctx.request.images)
    return NodeResult(
        output={"content": verdict.refusal or ctx.request.question},
        state={**state, **ctx.state},
        messages=(*earlier, question),
        usage=verdict.usage,
        taken=frozenset() if verdict.refusal else frozenset({0}),
    )


async def run_agent_node(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Ask the model, and run the tools that it calls, until it answers.

    With "Require Approval" a person is asked before tools run. Raises NodeInputError for a node that is not filled in.
    """
    title = members.title_in(ctx, inputs, "agentName")
    with explained(f"Error in {title}"):
        model, tools = members.chat_model(inputs), named_tools(inputs.get("tools") or ())
        messages = await members.told(ctx, inputs)
        if tools and values.flag(inputs, "interrupt"):
            return await _run_with_approval(ctx, inputs, title, model, tools, messages)
        rounds = values.integer(inputs, "maxIterations") or MAX_ROUNDS
        run = await run_agent(ctx, FunctionCalling(model, tools), tools, messages, max_rounds=rounds)
        return await _answered(ctx, inputs, title, messages, run.answer, run.used, (), run.usage)


async def _run_with_approval(
    ctx: NodeContext, inputs: Inputs, title: str, model: ChatModel, tools: Tools, messages: list[Message]
) -> NodeResult:
    """One more turn of the model. If it calls tools, what was said since this node began waits with the question."""
    kept: Mapping[str, Any] = ctx.kept or {"said": (), "used": ()}
    said = [message_from_json(message) for message in kept["said"]]
    used = list(kept["used"])
    if said:
        replies, ran = await approvals.settle(tools, said[-1].tool_calls, read_answer(ctx.answer or {}))
        said, used = [*said, *replies], [*used, *ran]
    completion = await model.complete([*messages, *said], tools=model_specs(tools))
    if not completion.tool_calls:
        return await _answered(ctx, inputs, title, messages, completion.text, used, said, completion.usage)
    said.append(Message("assistant", completion.text, tool_calls=completion.tool_calls))
    waiting = {"said": [message_to_json(message) for message in said], "used": used}
    return await approvals.asking(ctx, inputs, title, model, completion, kept=waiting)


async def _answered(
    ctx: NodeContext,
    inputs: Inputs,
    title: str,
    messages: Sequence[Message],
    answer: str,
    used: Sequence[Mapping[str, Any]],
    said: Sequence[Message],
    usage: Usage,
) -> NodeResult:
    sources, artifacts = members.sources_of(used), members.sources_of(used, "artifacts")
    output = {"content": answer, "usedTools": list(used), "sourceDocuments": sources, "artifacts": artifacts}
    state = await updates(ctx, inputs, {**output, "output": answer})
    return NodeResult(
        output=output,
        input={"messages": shown_messages([*messages, *said])},
        state=state,
        # To the agents that follow it is one of those who speak to them, not they themselves.
        messages=(Message("user", answer, name=members.speaker(title)),),
        usage=usage,
        reasoning=members.reasoning(
            ctx,
            title,
            [answer],
            usedTools=list(used),
            sourceDocuments=sources,
            artifacts=artifacts,
            state=members.shown_updates(state),
        ),
    )


async def run_loop(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Go back to the node that has the name."""
    return NodeResult(output={"content": members.last_words(ctx)}, jump_to=values.text(inputs, "target"))


async def run_end(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """What was said last."""
    return NodeResult(output={"content": members.last_words(ctx)})


NODES = (
    NodeType(START, run_start),
    NodeType(AGENT, run_agent_node),
    NodeType(LOOP, run_loop),
    NodeType(END, run_end),
)
