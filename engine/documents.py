"""Documents on their way into a store: where they come from, and how they are cut."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from engine.providers.base import Document

SOURCE_ID = "docId"  # in the metadata of a document store's documents: which of its loaders has read them
BIGGEST = 2**63 - 1  # JSON of the database and of vendors holds no bigger numbers


@runtime_checkable
class Source(Protocol):
    """What a loader node gives: documents that are read when somebody asks, each time anew."""

    key: str  # changes with whatever the documents depend on

    async def load(self) -> list[Document]:
        """Raises NodeError if they cannot be read."""
        ...


@runtime_checkable
class Splitter(Protocol):
    """Cuts text into chunks that a model can take in."""

    key: str  # changes with whatever the chunks depend on

    def cut(self, text: str) -> list[str]:
        """The chunks, in order. May take long: call it in a thread."""
        ...


@dataclass(frozen=True, slots=True)
class FunctionSource:
    """A source made of a function; implements `Source`."""

    key: str
    read: Callable[[], Awaitable[list[Document]]]

    async def load(self) -> list[Document]:
        """See `Source.load`."""
        return await self.read()


async def chunks(documents: Sequence[Document], splitter: Splitter) -> list[Document]:
    """The documents cut up. `loc.lines` in the metadata says which lines a chunk stands on, counted from 1."""
    return await asyncio.to_thread(lambda: [chunk for document in documents for chunk in _cut(document, splitter)])


def _cut(document: Document, splitter: Splitter) -> Iterator[Document]:
    at, seen, line = 0, 0, 1  # the line is that of the first character which has not been seen
    for text in splitter.cut(document.text):
        found = document.text.find(text, at)
        metadata = dict(document.metadata)
        if found >= 0:
            at = found + 1  # chunks may overlap
            line += document.text.count("\n", seen, found)
            seen = found
            loc = metadata.get("loc")
            lines = {"from": line, "to": line + text.count("\n")}
            metadata["loc"] = {**(loc if isinstance(loc, Mapping) else {}), "lines": lines}
        yield Document(text, metadata)


async def load_all(sources: Iterable[Source]) -> list[Document]:
    """The documents of all sources, in order, without the empty ones: there is nothing to find in them."""
    found = [document for source in sources for document in await source.load() if document.text.strip()]
    return await asyncio.to_thread(lambda: [storable(document) for document in found])


def storable(document: Document) -> Document:
    """The document without what no database and no JSON holds: NUL, halves of characters, and the like."""
    return replace(document, text=_whole(document.text), metadata=plain(document.metadata))


def plain(value: Any) -> Any:
    """A JSON value that any database holds: numbers that are too big and unknown things become texts, NaN null."""
    match value:
        case str():
            return _whole(value)
        case Mapping():
            return {_whole(str(name)): plain(held) for name, held in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case float():
            return value if math.isfinite(value) else None
        case bool() | None:
            return value
        case int() if abs(value) <= BIGGEST:
            return value
    return _whole(str(value))


def _whole(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def documents_text(documents: Iterable[Document]) -> str:
    """The texts, as a model is shown them."""
    return "\n\n".join(document.text for document in documents)


def wire(document: Document) -> dict[str, Any]:
    """A document as clients know it."""
    shown: dict[str, Any] = {"pageContent": document.text, "metadata": dict(document.metadata)}
    return {**shown, "id": document.id} if document.id else shown
