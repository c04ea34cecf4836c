"""Agent nodes of agent flows: a model that calls tools until it has an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import conversations, values
from engine.nodes.agent_loop import AgentRun, FunctionCalling, Tools, named_tools, run_agent
from engine.providers.base import ChatModel, Message
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.structured import answer_schema, ask_shaped

PREFIX = "agent"
MAX_ROUNDS = 25
INCAPABLE = "Agent needs to have a function calling capable models."
AS_DATA = "Give your answer again as data, and nothing else."
# What other servers of such flows have; to leave it out in silence would change what the agent knows or can do.
MISSING: Mapping[str, str] = {
    "agentKnowledgeDocumentStores": "document stores",
    "agentKnowledgeVSEmbeddings": "vector stores as knowledge",
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
                    "agentSelectedToolRequiresHumanInput",
                    "boolean",
                    "Require Human Input",
                    optional=True,
                    help="Ask somebody before it runs.",
                ),
            ),
        ),
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


async def run_agent_node(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Ask the model until it answers without calling a tool.

    Raises NodeInputError for a node that is not filled in, ProviderError if the model does not answer, NodeError for
    an answer without the structure that was asked for.
    """
    with conversations.explained("Error in Agent node"):
        model = await conversations.chat_model(ctx, inputs, PREFIX)
        if model is None:
            raise NodeInputError(INCAPABLE)
        _check_available(inputs)
        tools, owners = await _tools(ctx, inputs)
        return await _answer(ctx, inputs, model, tools, owners)


async def _answer(
    ctx: NodeContext, inputs: Inputs, model: ChatModel, tools: Tools, owners: Mapping[str, str]
) -> NodeResult:
    turn = await conversations.take_turn(ctx, inputs, PREFIX, model)
    rows = values.items(inputs, "agentStructuredOutput")
    rounds = values.integer(inputs, "agentMaxIterations") or MAX_ROUNDS
    talk = FunctionCalling(model, tools, is_silent=bool(rows))
    run = await run_agent(ctx, talk, tools, turn.messages, max_rounds=rounds)
    extra = await _shape(ctx, run, model, turn.messages, answer_schema(rows)) if rows else {}
    usage = turn.usage + run.usage
    return NodeResult(
        output={
            "content": run.answer,
            "usedTools": run.used,
            "calledTools": run.called,
            "availableTools": _available(tools, owners),
            **conversations.reasons(run.completion),
            **extra,
        },
        input={"messages": conversations.shown_messages(turn.messages)},
        state=conversations.state_updates(inputs, PREFIX),
        messages=conversations.run_messages(ctx, inputs, PREFIX, turn, run.answer),
        usage=usage,
    )


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


async def _tools(ctx: NodeContext, inputs: Inputs) -> tuple[Tools, dict[str, str]]:
    """The tools by name, and which component each came from."""
    built: list[Any] = []
    owners: dict[str, str] = {}
    for row in values.items(inputs, "agentTools"):
        component = values.text(row, "agentSelectedTool")
        if not component:
            continue
        if values.flag(row, "agentSelectedToolRequiresHumanInput"):
            raise NodeInputError(
                f"{component!r} is to be approved by a person before it runs, which is not available here: switch "
                "'Require Human Input' off, or put a Human Input node before the agent."
            )
        known = len(named_tools(built))
        built.append((await ctx.build(component, values.mapping(row, "agentSelectedToolConfig"))).value)
        owners |= dict.fromkeys(list(named_tools(built))[known:], component)
    return named_tools(built), owners


def _available(tools: Tools, owners: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "description": tool.spec.description,
            "schema": tool.spec.parameters,
            "toolNode": {"label": name, "name": owners[name]},
        }
        for name, tool in tools.items()
    ]


def _check_available(inputs: Inputs) -> None:
    for name, what in MISSING.items():
        chosen = inputs.get(name)
        if chosen and chosen != "[]":
            raise NodeInputError(f"This agent uses {what}, which are not available here: empty {name!r}.")


NODES = (NodeType(AGENT, run_agent_node),)
