"""Asking a chat model on behalf of a node: its words go straight to whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.answering import Ask
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
    say: Callable[[str], None] | None = None,
) -> Completion:
    """The model's answer; while it is given, tokens and thoughts are emitted if somebody watches this node.

    A model that its author keeps from streaming says everything in one token. `say` takes the tokens instead of those
    who watch.
    """
    if not ctx.streams:
        return await model.complete(messages, tools=tools, stop=stop)
    say = say or ctx.emit_token
    if not model.streaming:
        completion = await model.complete(messages, tools=tools, stop=stop)
        if completion.text:
            say(completion.text)
        return completion
    return await _listen(ctx, model, messages, tools, stop, say)


def aloud(ctx: NodeContext) -> Ask:
    """Asks as `ask` does, for whoever answers on behalf of this node."""

    async def put(model: ChatModel, messages: Sequence[Message]) -> Completion:
        return await ask(ctx, model, messages)

    return put


async def _listen(
    ctx: NodeContext,
    model: ChatModel,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    stop: Sequence[str],
    say: Callable[[str], None],
) -> Completion:
    clock = ctx.world.clock
    thinking_since: float | None = None
    thinking_s: float | None = None
    async for chunk in model.stream(messages, tools=tools, stop=stop):
        if isinstance(chunk, ThinkingDelta):
            thinking_since = clock.monotonic() if thinking_since is None else thinking_since
            ctx.emit_thinking(chunk.text, None)
            continue
        if thinking_since is not None:
            section_s = clock.monotonic() - thinking_since
            ctx.emit_thinking("", section_s)
            thinking_s, thinking_since = (thinking_s or 0) + section_s, None
        if isinstance(chunk, TextDelta):
            say(chunk.text)
        else:
            return chunk if thinking_s is None else replace(chunk, thinking_s=thinking_s)
    raise ProviderError(f"{model.model_name} ended its answer without a completion.", retryable=True)
