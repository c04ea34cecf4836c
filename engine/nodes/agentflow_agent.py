"""Agent nodes of agent flows: a model that calls tools until it has an answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from engine.approval import Answer, action_for, read_answer
from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import conversations, knowledge, values
from engine.nodes.agent_loop import AgentRun, FunctionCalling, Tools, named_tools, run_agent
from engine.nodes.agent_loop import Turn as AgentTurn
from engine.providers.base import ChatModel, Completion, Message, ToolCall, Usage
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param, Pause
from engine.state import message_from_json, message_to_json
from engine.structured import answer_schema, ask_shaped

PREFIX = "agent"
MAX_ROUNDS = 25
GUARDED = "agentSelectedToolRequiresHumanInput"
REFUSED = "A person did not allow this call."
INCAPABLE = "Agent needs to have a function calling capable models."
AS_DATA = "Give your answer again as data, and nothing else."
# What other servers of such flows have; to leave it out in silence would change what the agent knows or can do.
MISSING: Mapping[str, str] = {
    "agentToolsBuiltInOpenAI": "OpenAI's built-in tools",
    "agentToolsBuiltInGemini": "Gemini's built-in tools",
    "agentToolsBuiltInAnthropic": "Anthropic's built-in tools",
}

AGENT = NodeSpec(
    name="agentAgentflow",
    label="Agent",
    version=3.2,
    category="Agent Flows",
    base_classes=("Agent",),
    help="Lets a chat model use tools.",
    params=(
        Param("agentModel", "asyncOptions", "Model", help="Which model is asked. It must be able to call tools."),
        Param(
            "agentTools",
            "array",
            "Tools",
            optional=True,
            help="What it may use.",
            fields=(
                Param("agentSelectedTool", "asyncOptions", "Tool", help="Which tool."),
                Param(
                    GUARDED,
                    "boolean",
                    "Require Human Input",
                    optional=True,
                    help="Ask somebody before it runs.",
                ),
            ),
        ),
        *knowledge.PARAMS,
        Param(
            "agentMaxIterations",
            "number",
            "Max Iterations",
            default=MAX_ROUNDS,
            optional=True,
            help="How often the model is asked before the agent gives up.",
        ),
        *conversations.params(PREFIX),
    ),
)


@dataclass(frozen=True, slots=True)
class Kit:
    """An agent's tools: where each came from, and which of them may not run unasked."""

    tools: Tools
    owners: Mapping[str, str]  # tool -> component
    rows: Mapping[str, int]  # tool -> its row in the node
    guarded: frozenset[str]

    def without(self, names: Collection[str]) -> Kit:
        return replace(self, tools={name: tool for name, tool in self.tools.items() if name not in names})

    def siblings(self, name: str) -> list[str]:
        """The tools that came from the same row, such as all of one server."""
        return [other for other, row in self.rows.items() if row == self.rows[name]]


async def run_agent_node(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Ask the model until it answers without calling a tool; a tool that needs somebody's leave pauses the run first.

    Raises NodeInputError for a node that is not filled in, or an answer that is neither yes nor no, ProviderError if
    the model does not answer, NodeError for an answer without the structure that was asked for.
    """
    with conversations.explained("Error in Agent node"):
        model = await conversations.chat_model(ctx, inputs, PREFIX)
        if model is None:
            raise NodeInputError(INCAPABLE)
        _check_available(inputs)
        kit = await _kit(ctx, inputs)
        if ctx.answer is not None:
            return await _go_on(ctx, inputs, model, kit, read_answer(ctx.answer))
        turn = await conversations.take_turn(ctx, inputs, PREFIX, model)
        return await _answer(ctx, inputs, model, kit, turn)


async def _answer(
    ctx: NodeContext,
    inputs: Inputs,
    model: ChatModel,
    kit: Kit,
    turn: conversations.Turn,
    *,
    earlier: AgentRun | None = None,
    removed: Sequence[str] = (),
) -> NodeResult:
    rows = values.items(inputs, "agentStructuredOutput")
    rounds = values.integer(inputs, "agentMaxIterations") or MAX_ROUNDS
    talk = FunctionCalling(model, kit.tools, is_silent=bool(rows))
    run = await run_agent(ctx, talk, kit.tools, turn.messages, max_rounds=rounds, guarded=kit.guarded, earlier=earlier)
    if run.pending is not None:
        return _ask_leave(ctx, turn, run, run.pending, removed)
    extra = await _shape(ctx, run, model, turn.messages, answer_schema(rows)) if rows else {}
    usage = turn.usage + run.usage
    return NodeResult(
        output={
            "content": run.answer,
            "usedTools": run.used,
            **({"sourceDocuments": run.sources} if run.sources else {}),
            "calledTools": run.called,
            "availableTools": _available(kit),
            **conversations.reasons(run.completion),
            **extra,
        },
        input={"messages": conversations.shown_messages(turn.messages)},
        state=conversations.state_updates(inputs, PREFIX),
        messages=conversations.run_messages(ctx, inputs, PREFIX, turn, run.answer),
        usage=usage,
    )


def _ask_leave(
    ctx: NodeContext, turn: conversations.Turn, run: AgentRun, call: ToolCall, removed: Sequence[str]
) -> NodeResult:
    """Wait until a person has said whether the call may run. What ran before it is kept, so it does not run again."""
    shown = {"id": call.id, "name": call.name, "args": dict(call.arguments)}
    asked = f"Attempting to use tool:\n```json\n{orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()}\n```"
    text = f"{run.completion.text}\n{asked}".strip()
    if ctx.request.is_streaming:
        # The model's own words have been heard already if this node speaks.
        ctx.emit_token(f"\n{asked}" if ctx.streams and run.completion.text else text)
    messages = conversations.shown_messages(turn.messages)
    action = action_for(ctx.node, {"messages": messages, "humanInputEnableFeedback": True}, ctx.world.random)
    return NodeResult(
        output={
            "content": text,
            "usedTools": run.used,
            "calledTools": run.called,
            "isWaitingForHumanInput": True,
            "humanInputAction": action,
        },
        input={"messages": messages},
        usage=turn.usage + run.usage,
        pause=Pause(text, action, _kept(turn, run, removed)),
    )


def _kept(turn: conversations.Turn, run: AgentRun, removed: Sequence[str]) -> dict[str, Any]:
    """All that going on takes, as plain JSON."""
    assert run.turn is not None
    said = Message("assistant", run.turn.completion.text, tool_calls=run.turn.calls)
    return {
        "asked": [message_to_json(message) for message in turn.messages],
        "opening": [message_to_json(message) for message in turn.opening],
        "messages": [message_to_json(message) for message in run.messages],
        "said": message_to_json(said),
        "results": run.results,
        "called": run.called,
        "used": run.used,
        "rounds": run.rounds,
        "removed": list(removed),
        "remark": run.remark,
    }


async def _go_on(ctx: NodeContext, inputs: Inputs, model: ChatModel, kit: Kit, answer: Answer) -> NodeResult:
    """With leave the call runs; without it the tool, and what came with it, is taken from the agent."""
    kept = ctx.kept
    said = message_from_json(kept["said"])
    completion = Completion(said.content, said.tool_calls)
    run = AgentRun(
        messages=[message_from_json(message) for message in kept["messages"]],
        called=list(kept["called"]),
        used=list(kept["used"]),
        completion=completion,
        rounds=kept["rounds"],
        turn=AgentTurn(completion, said.tool_calls),
        results=list(kept["results"]),
        is_approved=answer.is_yes,
        remark="\n".join(filter(None, (kept["remark"], answer.feedback if answer.is_yes else ""))),
    )
    removed = list(kept["removed"])
    if not answer.is_yes and (call := run.pending) is not None:
        removed += kit.siblings(call.name) if call.name in kit.rows else [call.name]
        refused = f"{REFUSED} {answer.feedback}".strip()
        run.results.append(refused)
        run.used.append({"tool": call.name, "toolInput": dict(call.arguments), "toolOutput": "", "error": refused})
    turn = conversations.Turn(
        tuple(message_from_json(message) for message in kept["asked"]),
        tuple(message_from_json(message) for message in kept["opening"]),
        Usage(),
    )
    return await _answer(ctx, inputs, model, kit.without(removed), turn, earlier=run, removed=removed)


async def _shape(
    ctx: NodeContext, run: AgentRun, model: ChatModel, asked: Sequence[Message], schema: Mapping[str, Any]
) -> dict[str, Any]:
    """Make data of the answer: a call of its own, because vendors do not hold a model to a shape while it has tools."""
    answered = [Message("assistant", run.answer)] if run.answer else []
    shaped = await ask_shaped(model, [*asked, *answered, Message("user", AS_DATA)], schema)
    run.usage += shaped.usage
    run.answer = orjson.dumps(shaped.value).decode()
    if ctx.streams:
        ctx.emit_token(run.answer)
    return conversations.beside_content(shaped.value)


async def _kit(ctx: NodeContext, inputs: Inputs) -> Kit:
    built: list[Any] = []
    owners: dict[str, str] = {}
    rows: dict[str, int] = {}
    guarded: set[str] = set()
    for number, row in enumerate(values.items(inputs, "agentTools")):
        component = values.text(row, "agentSelectedTool")
        if not component:
            continue
        known = len(named_tools(built))
        built.append((await ctx.build(component, values.mapping(row, "agentSelectedToolConfig"))).value)
        new = list(named_tools(built))[known:]
        owners |= dict.fromkeys(new, component)
        rows |= dict.fromkeys(new, number)
        if values.flag(row, GUARDED):
            guarded.update(new)
    known = len(named_tools(built))
    built += await knowledge.tools(ctx, inputs)
    for name in list(named_tools(built))[known:]:
        owners[name], rows[name] = "retrieverTool", -1
    return Kit(named_tools(built), owners, rows, frozenset(guarded))


def _asks_leave(inputs: Inputs) -> bool:
    rows = inputs.get("agentTools")
    return isinstance(rows, list) and any(values.flag(row, GUARDED) for row in rows if isinstance(row, Mapping))


def _available(kit: Kit) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "description": tool.spec.description,
            "schema": tool.spec.parameters,
            "toolNode": {"label": name, "name": kit.owners[name]},
        }
        for name, tool in kit.tools.items()
    ]


def _check_available(inputs: Inputs) -> None:
    for name, what in MISSING.items():
        chosen = inputs.get(name)
        if chosen and chosen != "[]":
            raise NodeInputError(f"This agent uses {what}, which are not available here: empty {name!r}.")


NODES = (NodeType(AGENT, run_agent_node, may_pause=_asks_leave),)
