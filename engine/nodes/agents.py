"""Agents of classic flows: they end the flow, and use tools on the way to the answer."""

from __future__ import annotations

from dataclasses import replace

from engine.context import NodeContext
from engine.moderation import MODERATION, moderated
from engine.nodes import values
from engine.nodes.agent_loop import AgentRun, FunctionCalling, Talk, Tools, named_tools, run_agent
from engine.nodes.questions import question_messages
from engine.nodes.react import json_system, json_talk, react_system, react_talk
from engine.providers.base import ChatModel
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

MAX_ROUNDS = 15
BASE_CLASSES = ("AgentExecutor", "BaseChain", "Runnable")
HELPFUL = "You are a helpful AI assistant."

TOOLS = Param("tools", "Tool", "Tools", is_list=True, help="What it may use.")
MODEL = Param("model", "BaseChatModel", "Chat Model", help="Which model is asked.")
MEMORY = Param("memory", "BaseChatMemory", "Memory", optional=True, help="What it remembers.")
MAX_ITERATIONS = Param(
    "maxIterations",
    "number",
    "Max Iterations",
    optional=True,
    help=f"How often the model is asked before the agent gives up; {MAX_ROUNDS} times unless given.",
)
SYSTEM = Param("systemMessage", "string", "System Message", default=HELPFUL, optional=True, help="Who it is to be.")

TOOL_AGENT = NodeSpec(
    name="toolAgent",
    label="Tool Agent",
    version=2,
    category="Agents",
    base_classes=BASE_CLASSES,
    help="Lets a model that can call tools use them.",
    params=(
        TOOLS,
        MEMORY,
        Param("model", "BaseChatModel", "Tool Calling Chat Model", help="Which model is asked."),
        Param(
            "chatPromptTemplate",
            "ChatPromptTemplate",
            "Chat Prompt Template",
            optional=True,
            help="Instead of the system message; its human message must hold {input}.",
        ),
        SYSTEM,
        MODERATION,
        MAX_ITERATIONS,
    ),
    role="ending",
)
CONVERSATIONAL = NodeSpec(
    name="conversationalAgent",
    label="Conversational Agent",
    version=3,
    category="Agents",
    base_classes=BASE_CLASSES,
    help="Lets any chat model use tools, by JSON in its answers.",
    params=(TOOLS, MODEL, MEMORY, SYSTEM, MODERATION, MAX_ITERATIONS),
    role="ending",
)
REACT_CHAT = NodeSpec(
    name="reactAgentChat",
    label="ReAct Agent for Chat Models",
    version=4,
    category="Agents",
    base_classes=BASE_CLASSES,
    help="Lets any chat model use tools, by thoughts and actions in its answers.",
    params=(TOOLS, MODEL, MEMORY, MODERATION, MAX_ITERATIONS),
    role="ending",
)
REACT_LLM = NodeSpec(
    name="reactAgentLLM",
    label="ReAct Agent for LLMs",
    version=2,
    category="Agents",
    base_classes=BASE_CLASSES,
    help="Lets any language model use tools, by thoughts and actions in its answers. It remembers nothing.",
    params=(
        TOOLS,
        Param("model", "BaseLanguageModel", "Language Model", help="Which model is asked."),
        MODERATION,
        MAX_ITERATIONS,
    ),
    role="ending",
)


def _older(name: str, label: str, version: float, *, is_llama_index: bool = False) -> NodeSpec:
    """The Tool Agent under a name that flows had for it before, or have for it among LlamaIndex's nodes."""
    params = (TOOLS, MEMORY, MODEL, SYSTEM, MODERATION, MAX_ITERATIONS)
    if is_llama_index:
        model = replace(MODEL, kind="BaseChatModel_LlamaIndex")
        params = (replace(TOOLS, kind="Tool_LlamaIndex"), MEMORY, model, SYSTEM, MODERATION, MAX_ITERATIONS)
    return replace(TOOL_AGENT, name=name, label=label, version=version, params=params)


OLDER_TOOL_AGENTS = (
    _older("openAIToolAgent", "OpenAI Tool Agent", 1),
    _older("openAIFunctionAgent", "OpenAI Function Agent", 4),
    _older("mistralAIToolAgent", "MistralAI Tool Agent", 1),
    _older("conversationalRetrievalAgent", "Conversational Retrieval Agent", 4),
    _older("openAIToolAgentLlamaIndex", "OpenAI Tool Agent", 2, is_llama_index=True),
    _older("anthropicAgentLlamaIndex", "Anthropic Agent", 1, is_llama_index=True),
)


async def run_tool_agent(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The model calls the tools by itself. Raises NodeInputError for anything that is no tool."""
    tools = _tools(inputs)
    talk = FunctionCalling(_model(inputs), tools)
    return await _run(ctx, inputs, talk, tools, system=values.text(inputs, "systemMessage", HELPFUL))


async def run_conversational(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The model writes JSON to use a tool. Raises NodeInputError for anything that is no tool."""
    tools = _tools(inputs)
    system = json_system(values.text(inputs, "systemMessage", HELPFUL), tools)
    return await _run(ctx, inputs, json_talk(_model(inputs), tools), tools, system=system)


async def run_react(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The model writes thoughts and actions to use a tool. Raises NodeInputError for anything that is no tool."""
    tools = _tools(inputs)
    return await _run(ctx, inputs, react_talk(_model(inputs), tools), tools, system=react_system(tools))


async def _run(ctx: NodeContext, inputs: Inputs, talk: Talk, tools: Tools, *, system: str) -> NodeResult:
    messages = await question_messages(
        ctx,
        system=system,
        memory=inputs.get("memory") or None,
        prompt=inputs.get("chatPromptTemplate") or None,
    )
    rounds = values.integer(inputs, "maxIterations") or MAX_ROUNDS
    return _result(await run_agent(ctx, talk, tools, messages, max_rounds=rounds))


def _result(run: AgentRun) -> NodeResult:
    output = {"content": run.answer, "usedTools": run.used, **({"sourceDocuments": run.sources} if run.sources else {})}
    return NodeResult(output=output, value=run.answer, usage=run.usage)


def _tools(inputs: Inputs) -> Tools:
    given = inputs.get("tools") or ()
    return named_tools(given if isinstance(given, list | tuple) else (given,))


def _model(inputs: Inputs) -> ChatModel:
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    return values.connected(inputs, "model", ChatModel, "An agent needs a chat model")  # type: ignore[type-abstract]


NODES = (
    *(NodeType(spec, moderated(run_tool_agent)) for spec in (TOOL_AGENT, *OLDER_TOOL_AGENTS)),
    NodeType(CONVERSATIONAL, moderated(run_conversational)),
    NodeType(REACT_CHAT, moderated(run_react)),
    NodeType(REACT_LLM, moderated(run_react)),
)
