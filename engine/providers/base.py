"""The protocols a vendor's adapter implements, and the plain values that cross them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Role = Literal["system", "developer", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model asked for. `arguments` is the parsed JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `content` is text; `images` are data URIs or http(s) URLs shown with it."""

    role: Role
    content: str
    name: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    images: tuple[str, ...] = ()
    original: Any = field(default=None, repr=False, compare=False)  # see Completion


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told of a tool. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more model calls."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of an answer, in order."""

    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """The next piece of a reasoning model's thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer. `text` may be empty when `tool_calls` is not."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    finish_reason: str = ""
    thinking: str = ""
    thinking_s: float | None = None  # how long it thought; None: nobody listened while it did
    # The vendor's own form of this turn. Some want it back, signatures and all, before they take a tool's result.
    original: Any = field(default=None, repr=False, compare=False)


ModelChunk = TextDelta | ThinkingDelta | Completion


@runtime_checkable
class ChatModel(Protocol):
    """A chat model, configured and ready to be called, any number of times at once.

    Both calls raise ProviderError, already retried where that made sense; cancelling them closes the connection.
    """

    model_name: str
    streaming: bool  # False: the flow's author switched token streaming off for this model

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        stop: Sequence[str] = (),
    ) -> Completion:
        """The whole answer at once. `schema`: a JSON Schema that the text must follow."""
        ...

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), stop: Sequence[str] = ()
    ) -> AsyncIterator[ModelChunk]:
        """Deltas as they come; the last item is always the Completion that they add up to."""
        ...


@runtime_checkable
class Tool(Protocol):
    """Something a model may call."""

    spec: ToolSpec
    return_direct: bool

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """The tool's result as text. Raises NodeError when it fails."""
        ...
