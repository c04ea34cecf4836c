"""OpenAI assistants: agents whose definition an exported flow may or may not carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.memories import Memory
from engine.moderation import MODERATION, moderated
from engine.nodes import values
from engine.nodes.agent_loop import FunctionCalling, named_tools, run_agent
from engine.nodes.questions import question_messages
from engine.providers.base import ChatModel
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

MAX_ROUNDS = 15
MODEL_NODE = "chatOpenAI"
HOSTED = ("code_interpreter", "file_search", "retrieval")

ASSISTANT = NodeSpec(
    name="openAIAssistant",
    label="OpenAI Assistant",
    version=4,
    category="Agents",
    base_classes=("OpenAIAssistant",),
    help=(
        "An agent on a model of OpenAI's. It is run here, by the definition in the flow: its model, its instructions "
        "and the tools that are connected. What is stored at OpenAI is not read, nor are files or code run there."
    ),
    params=(
        Param("credential", "credential", "Connect Credential", optional=True),
        Param(
            "selectedAssistant",
            "json",
            "Assistant",
            help='Its definition: {"model": "gpt-4o-mini", "instructions": "Be kind."}.',
        ),
        Param("tools", "Tool", "Allowed Tools", optional=True, is_list=True, help="What it may use."),
        MODERATION,
        Param("basepath", "string", "BasePath", optional=True, help="Address of another server in OpenAI's format."),
    ),
    credentials=("openAIApi",),
    role="ending",
)


async def run_assistant(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Let the model work with its tools until it answers; it remembers the session.

    Raises NodeInputError if the flow names an assistant without saying what it is.
    """
    its = _definition(inputs)
    model = (await ctx.build(MODEL_NODE, _settings(ctx, inputs, its))).value
    if not isinstance(model, ChatModel):
        raise NodeInputError("The assistant's model cannot be asked on this server.")
    given = inputs.get("tools") or ()
    tools = named_tools(given if isinstance(given, list | tuple) else (given,))
    memory = Memory(ctx.world.history, given=ctx.request.history)
    messages = await question_messages(ctx, system=str(its.get("instructions") or ""), memory=memory)
    run = await run_agent(ctx, FunctionCalling(model, tools), tools, messages, max_rounds=MAX_ROUNDS)
    return NodeResult(output={"content": run.answer, "usedTools": run.used}, value=run.answer, usage=run.usage)


def _definition(inputs: Inputs) -> Mapping[str, Any]:
    """As it stands in the flow, or below `details` as it is exported by itself."""
    given = inputs.get("selectedAssistant")
    its = _parsed(given)
    if its is not None and "details" in its:
        its = _parsed(its["details"])
    if its is None or not its.get("model"):
        named = f"names the assistant {given!r}" if isinstance(given, str) and given else "names no assistant"
        raise NodeInputError(
            f"The flow {named}, and does not hold its definition, which stayed where it was exported. Write it into "
            '\'selectedAssistant\': {"model": "gpt-4o-mini", "instructions": "..."}, or draw a Tool Agent.'
        )
    tools = its.get("tools")
    own = [tool.get("type") for tool in tools if isinstance(tool, Mapping)] if isinstance(tools, list) else []
    if hosted := [name for name in HOSTED if name in own]:
        raise NodeInputError(
            f"The assistant uses {', '.join(hosted)}, which OpenAI runs for its own assistants alone: take them out of "
            "the definition, and connect tools of this flow instead."
        )
    return its


def _parsed(given: Any) -> Mapping[str, Any] | None:
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except ValueError:
            return None
    return given if isinstance(given, Mapping) else None


def _settings(ctx: NodeContext, inputs: Inputs, its: Mapping[str, Any]) -> dict[str, Any]:
    settings = {
        "modelName": its["model"],
        "temperature": its.get("temperature"),
        "topP": its.get("top_p"),
        "basepath": values.text(inputs, "basepath"),
        "FLOWISE_CREDENTIAL_ID": inputs.get("credential") or ctx.node.credential,
    }
    return {name: value for name, value in settings.items() if value not in (None, "")}


NODES = (NodeType(ASSISTANT, moderated(run_assistant)),)
