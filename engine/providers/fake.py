"""A provider without a vendor: deterministic, keyless, scripted. What engine tests run on."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from engine.errors import ProviderError
from engine.providers.base import (
    Completion,
    Message,
    ModelChunk,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolSpec,
    Usage,
)

DIMENSIONS = 256  # of the fake embeddings: words seldom fall together

Scripted = str | Completion | ProviderError


@dataclass(frozen=True, slots=True)
class Call:
    """One call that the model received."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    schema: Mapping[str, Any] | None = None
    stop: tuple[str, ...] = ()
    streamed: bool = False


@dataclass(slots=True)
class FakeChatModel:
    """Gives `replies` in order, then repeats what the user said; an error among them is raised. Counts words."""

    replies: Sequence[Scripted] = ()
    model_name: str = "fake"
    streaming: bool = True
    calls: list[Call] = field(default_factory=list)
    _queue: deque[Scripted] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._queue = deque(self.replies)

    def script(self, *replies: Scripted) -> None:
        """Queue more replies."""
        self._queue.extend(replies)

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        stop: Sequence[str] = (),
    ) -> Completion:
        """See `ChatModel.complete`."""
        self.calls.append(Call(tuple(messages), tuple(tools), schema, tuple(stop)))
        return self._reply(messages, stop)

    async def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), stop: Sequence[str] = ()
    ) -> AsyncIterator[ModelChunk]:
        """See `ChatModel.stream`. A word is a piece."""
        self.calls.append(Call(tuple(messages), tuple(tools), None, tuple(stop), streamed=True))
        completion = self._reply(messages, stop)
        if completion.thinking:
            yield ThinkingDelta(completion.thinking)
        for word in re.findall(r"\s*\S+|\s+\Z", completion.text):
            yield TextDelta(word)
        yield completion

    def _reply(self, messages: Sequence[Message], stop: Sequence[str]) -> Completion:
        said = next((m.content for m in reversed(messages) if m.role == "user"), "")
        reply = self._queue.popleft() if self._queue else f"You said: {said}"
        if isinstance(reply, ProviderError):
            raise reply
        if isinstance(reply, Completion):
            return reply
        for text in stop:
            reply = reply.partition(text)[0]
        words_in = sum(len(m.content.split()) for m in messages)
        return Completion(reply, usage=Usage(words_in, len(reply.split())), finish_reason="stop")


def calling(name: str, arguments: Mapping[str, Any], *, text: str = "", call_id: str = "call_0") -> Completion:
    """A scripted reply that calls one tool."""
    return Completion(text, (ToolCall(call_id, name, arguments),), Usage(1, 1), finish_reason="tool_calls")


def words_vector(text: str) -> tuple[float, ...]:
    """A vector that two texts share as far as they share words."""
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        vector[crc32(word.encode()) % DIMENSIONS] += 1.0
    return tuple(vector)


@dataclass(slots=True)
class FakeEmbedder:
    """An embedding model that counts words; implements `Embedder`."""

    model_name: str = "fake"
    texts: list[str] = field(default_factory=list)  # all that it has been shown

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """See `Embedder.embed`."""
        self.texts += texts
        return [words_vector(text) for text in texts]
