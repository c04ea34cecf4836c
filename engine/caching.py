"""Caches: what a model has said to the same question before, kept in the process and never for another flow."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from hashlib import sha256
from typing import Any

import orjson

from engine.context import Clock, NodeContext
from engine.errors import NodeInputError, ProviderError
from engine.kept import Kept
from engine.providers.base import ChatModel, Completion, Embedder, Message, ModelChunk, TextDelta, ToolSpec, Usage
from engine.spec import Inputs, NodeResult, NodeRun

LASTS_S = 3600.0


@dataclass(frozen=True, slots=True)
class Cache:
    """A part of the process's memory that belongs to one flow."""

    kept: Kept
    clock: Clock
    scope: str
    lasts_s: float = LASTS_S

    def find(self, asked: Any) -> Any:
        """None if the same has not been asked, or too long ago. `asked` is JSON."""
        return self.kept.find(self._key(asked), now=self.clock.monotonic())

    def keep(self, asked: Any, answer: Any, *, size_bytes: int) -> None:
        now = self.clock.monotonic()
        self.kept.put(self._key(asked), answer, now=now, until=now + self.lasts_s, size_bytes=size_bytes)

    def _key(self, asked: Any) -> bytes:
        # A digest: questions may be long, and nobody needs them again.
        return sha256(orjson.dumps([self.scope, asked], option=orjson.OPT_SORT_KEYS, default=_plain)).digest()


class CachedChatModel:
    """A chat model that is not asked the same twice; implements `ChatModel`. What it said before costs nothing."""

    def __init__(self, model: ChatModel, cache: Cache, *, settings: Any) -> None:
        """`settings`: JSON that says how the model is configured."""
        self.model_name = model.model_name
        self.streaming = model.streaming
        self._model = model
        self._cache = cache
        self._settings = settings

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        stop: Sequence[str] = (),
    ) -> Completion:
        """See `ChatModel.complete`."""
        asked = self._asked(messages, tools, schema, stop)
        known = self._known(asked)
        if known is None:
            known = await self._model.complete(messages, tools=tools, schema=schema, stop=stop)
            self._keep(asked, known)
        return known

    async def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), stop: Sequence[str] = ()
    ) -> AsyncIterator[ModelChunk]:
        """See `ChatModel.stream`. What it said before comes in one piece."""
        asked = self._asked(messages, tools, None, stop)
        if known := self._known(asked):
            if known.text:
                yield TextDelta(known.text)
            yield known
            return
        async for chunk in self._model.stream(messages, tools=tools, stop=stop):
            if isinstance(chunk, Completion):
                self._keep(asked, chunk)
            yield chunk

    def _asked(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        schema: Mapping[str, Any] | None,
        stop: Sequence[str],
    ) -> Any:
        said = [(m.role, m.content, m.name, m.tool_calls, m.tool_call_id, m.images) for m in messages]
        return [self._settings, said, list(tools), schema, list(stop)]

    def _known(self, asked: Any) -> Completion | None:
        known: Completion | None = self._cache.find(asked)
        return known and replace(known, usage=Usage())

    def _keep(self, asked: Any, completion: Completion) -> None:
        if completion.text or completion.tool_calls:
            size = len(completion.text) + len(completion.thinking) + len(repr(completion.tool_calls))
            self._cache.keep(asked, completion, size_bytes=4 * size)


class CachedEmbedder:
    """An embedding model that is not shown the same text twice; implements `Embedder`."""

    def __init__(self, embedder: Embedder, cache: Cache) -> None:
        self.model_name = embedder.model_name
        self._embedder = embedder
        self._cache = cache

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """See `Embedder.embed`."""
        known = {text: self._cache.find([self.model_name, text]) for text in texts}
        new = [text for text, vector in known.items() if vector is None]
        if new:
            for text, vector in zip(new, await self._embedder.embed(new), strict=True):
                known[text] = array("d", vector)
                self._cache.keep([self.model_name, text], known[text], size_bytes=8 * len(vector))
        if len({len(vector) for vector in known.values()}) > 1:
            raise ProviderError(
                f"{self.model_name} makes embeddings of another length than before: give the cache another namespace.",
                retryable=False,
            )
        return [tuple(known[text]) for text in texts]


def cached(run: NodeRun) -> NodeRun:
    """`run`, whose model remembers its answers if a cache is connected to the node."""

    @wraps(run)
    async def run_with_cache(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        result = await run(ctx, inputs)
        cache = inputs.get("cache") or None
        if cache is None:
            return result
        if not isinstance(cache, Cache):
            raise NodeInputError("What is connected as a cache is none.")
        settings = [ctx.node.name, {name: value for name, value in inputs.items() if name != "cache"}]
        return replace(result, value=CachedChatModel(result.value, cache, settings=settings))

    return run_with_cache


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else repr(value)
