"""LLM nodes of agent flows: one model, one answer."""

from __future__ import annotations

from typing import Any

import orjson

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import conversations, values
from engine.nodes.asking import ask
from engine.providers.base import ChatModel, Completion
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.structured import answer_schema, ask_shaped

PREFIX = "llm"

LLM = NodeSpec(
    name="llmAgentflow",
    label="LLM",
    version=1.1,
    category="Agent Flows",
    base_classes=("LLM",),
    help="Asks a chat model.",
    params=(
        Param("llmModel", "asyncOptions", "Model", help="Which model is asked."),
        *conversations.params(PREFIX),
    ),
)


async def run_llm(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Ask the model; with a structured output the answer is JSON, whose keys stand beside it.

    Raises NodeInputError for a node that is not filled in, ProviderError if the model does not answer, NodeError for
    an answer without the structure.
    """
    with conversations.explained("Error in LLM node"):
        model = await conversations.chat_model(ctx, inputs, PREFIX)
        if model is None:
            raise NodeInputError(f"{inputs['llmModel']!r} is no chat model: choose one.")
        return await _answer(ctx, inputs, model)


async def _answer(ctx: NodeContext, inputs: Inputs, model: ChatModel) -> NodeResult:
    turn = await conversations.take_turn(ctx, inputs, PREFIX, model)
    rows = values.items(inputs, "llmStructuredOutput")
    extra: dict[str, Any] = {}
    if rows:
        shaped = await ask_shaped(model, turn.messages, answer_schema(rows))
        completion = Completion(orjson.dumps(shaped.value).decode(), usage=shaped.usage, thinking=shaped.thinking)
        extra = conversations.beside_content(shaped.value)
        if ctx.streams:
            ctx.emit_token(completion.text)
    else:
        completion = await ask(ctx, model, turn.messages)
    usage = turn.usage + completion.usage
    return NodeResult(
        output={
            "content": completion.text,
            **conversations.reasons(completion),
            **extra,
        },
        input={"messages": conversations.shown_messages(turn.messages)},
        state=conversations.state_updates(inputs, PREFIX),
        messages=conversations.run_messages(ctx, inputs, PREFIX, turn, completion.text),
        usage=usage,
    )


NODES = (NodeType(LLM, run_llm),)
