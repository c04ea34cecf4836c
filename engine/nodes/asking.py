"""Asking a chat model on behalf of a node: its words go straight to whoever watches."""

from __future__ import annotations

from collections.abc import Sequence

from engine.context import NodeContext
from engine.errors import ProviderError
from engine.providers.base import ChatModel, Completion, Message, TextDelta, ThinkingDelta, ToolSpec


async def ask(
    ctx: NodeContext,
    model: ChatModel,
    messages: Sequence[Message],
    *,
    tools: Sequence[ToolSpec] = (),
    stop: Sequence[str] = (),
) -> Completion:
    """The model's answer; while it is given, tokens and thoughts are emitted if somebody watches this node.

    A model that its author keeps from streaming says everything in one token.
    """
    if not ctx.streams:
        return await model.complete(messages, tools=tools, stop=stop)
    if not model.streaming:
        completion = await model.complete(messages, tools=tools, stop=stop)
        if completion.text:
            ctx.emit_token(completion.text)
        return completion
    return await _listen(ctx, model, messages, tools, stop)


async def _listen(
    ctx: NodeContext, model: ChatModel, messages: Sequence[Message], tools: Sequence[ToolSpec], stop: Sequence[str]
) -> Completion:
    thinking_since: float | None = None
    async for chunk in model.stream(messages, tools=tools, stop=stop):
        if isinstance(chunk, ThinkingDelta):
            if thinking_since is None:
                thinking_since = ctx.world.clock.monotonic()
            ctx.emit_thinking(chunk.text, None)
            continue
        if thinking_since is not None:
            ctx.emit_thinking("", ctx.world.clock.monotonic() - thinking_since)
            thinking_since = None
        if isinstance(chunk, TextDelta):
            ctx.emit_token(chunk.text)
        else:
            return chunk
    raise ProviderError(f"{model.model_name} ended its answer without a completion.", retryable=True)
