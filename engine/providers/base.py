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
        """The tool's result as text; a `Sourced` one if there are documents to show. Raises NodeError when it fails."""
        ...


@dataclass(frozen=True, slots=True)
class Document:
    """A piece of text and what is known of it. `metadata` is JSON: where it came from, and what filters ask for."""

    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""  # the store's name for it; empty until it is stored


class Sourced(str):
    """What a tool says, together with the documents that it is drawn from: they are shown to people, not to models."""

    documents: tuple[Document, ...]

    def __new__(cls, text: str, documents: Sequence[Document] = ()) -> Sourced:
        made = super().__new__(cls, text)
        made.documents = tuple(documents)
        return made


@dataclass(frozen=True, slots=True)
class Found:
    """A document that a search found. `score` is its likeness to the query: 1 is the same, higher is closer."""

    document: Document
    score: float
    vector: tuple[float, ...] = ()  # its embedding, if the store gives it


@runtime_checkable
class Embedder(Protocol):
    """An embedding model, configured and ready."""

    model_name: str

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One vector a text, in their order, all of one length. Any number of texts: batches are its own affair.

        Raises ProviderError, already retried where that made sense.
        """
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """A document as an index keeps it."""

    id: str
    vector: Sequence[float]
    document: Document


class VectorIndex(Protocol):
    """Where vectors are kept: one collection in one database. It knows nothing of embedding models."""

    async def upsert(self, rows: Sequence[Row]) -> None:
        """Keep the rows; one whose id is known replaces it. Creates the collection if the vendor wants that."""
        ...

    async def query(
        self, vector: Sequence[float], *, top_k: int, where: Mapping[str, Any] | None, with_vectors: bool
    ) -> list[Found]:
        """The nearest rows, best first.

        `where` is a filter on metadata in the index's own language; every index takes {"key": value}.
        """
        ...

    async def delete(self, ids: Sequence[str]) -> None:
        """Forget rows; unknown ids are no error."""
        ...


@runtime_checkable
class VectorStore(Protocol):
    """One collection of documents, found by likeness of meaning."""

    async def add(self, documents: Sequence[Document]) -> list[str]:
        """Store them and return their ids, in their order. A document that has an id replaces its namesake."""
        ...

    async def search(
        self, query: str, *, top_k: int, where: Mapping[str, Any] | None = None, with_vectors: bool = False
    ) -> list[Found]:
        """The `top_k` documents most like the query, best first. `where`: see `VectorIndex.query`."""
        ...

    async def delete(self, ids: Sequence[str]) -> None:
        """Forget documents; ids that it does not know are no error."""
        ...


@runtime_checkable
class Retriever(Protocol):
    """Finds documents for a question."""

    async def retrieve(self, query: str) -> list[Document]:
        """Best first; empty if nothing fits."""
        ...
