"""Documents found by likeness: an embedding model and an index joined to a store, and an index in memory."""

from __future__ import annotations

import asyncio
import math
import operator
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from heapq import nlargest
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import orjson

from engine.errors import NodeError, NodeInputError
from engine.providers.base import Document, Embedder, Found, Row, VectorIndex

MOST_ROWS = 5000  # of an index in memory; to search more would keep the processor from everybody else
MOST_INDEXES = 64  # of a process
MOST_BYTES = 512 * 1024 * 1024  # of a process's indexes together
LONGEST_S = 3600.0  # then what they were read from is read again


class EmbeddedStore:
    """An index whose vectors come from one embedding model; implements `VectorStore`."""

    def __init__(self, index: VectorIndex, embedder: Embedder) -> None:
        self.index = index
        self.embedder = embedder

    async def add(self, documents: Sequence[Document]) -> list[str]:
        """See `VectorStore.add`. A document without an id gets one that follows from what it says, so that the same
        documents added again are not there twice."""
        named = [document if document.id else replace(document, id=content_id(document)) for document in documents]
        if named:
            vectors = await self.embedder.embed([document.text for document in named])
            await self.index.upsert([Row(d.id, vector, d) for d, vector in zip(named, vectors, strict=True)])
        return [document.id for document in named]

    async def search(
        self, query: str, *, top_k: int, where: Mapping[str, Any] | None = None, with_vectors: bool = False
    ) -> list[Found]:
        """See `VectorStore.search`."""
        (vector,) = await self.embedder.embed([query])
        return await self.index.query(vector, top_k=top_k, where=where or None, with_vectors=with_vectors)

    async def delete(self, ids: Sequence[str]) -> None:
        """See `VectorStore.delete`."""
        await self.index.delete(ids)


def content_id(document: Document) -> str:
    """A UUID that follows from the document's text and metadata."""
    said = orjson.dumps([document.text, document.metadata], option=orjson.OPT_SORT_KEYS, default=str)
    return str(uuid5(NAMESPACE_OID, said.decode()))


class MemoryIndex:
    """Rows in this process's memory, searched one by one; implements `VectorIndex`."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def size_bytes(self) -> int:
        """What its vectors and texts take up, about."""
        return sum(8 * len(row.vector) + len(row.document.text) for row in self._rows.values())

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorIndex.upsert`. Raises NodeError when it would hold more than MOST_ROWS."""
        added = {row.id: replace(row, vector=_unit(row.vector)) for row in rows}
        if len(self._rows.keys() | added.keys()) > MOST_ROWS:
            raise NodeError(
                f"An in-memory vector store holds at most {MOST_ROWS} chunks: use the Postgres vector store for more."
            )
        self._rows |= added

    async def query(
        self, vector: Sequence[float], *, top_k: int, where: Mapping[str, Any] | None, with_vectors: bool
    ) -> list[Found]:
        """See `VectorIndex.query`."""
        wanted = allowed_values(where)
        rows = [row for row in self._rows.values() if matches(row.document.metadata, wanted)]
        if any(len(row.vector) != len(vector) for row in rows):
            raise NodeInputError(
                "The store holds embeddings of another length: they were made by another model. Upsert it again."
            )
        # In a thread: thousands of products take longer than the loop may stand still.
        best = await asyncio.to_thread(_nearest, rows, _unit(vector), top_k)
        return [Found(row.document, score, tuple(row.vector) if with_vectors else ()) for score, row in best]

    async def delete(self, ids: Sequence[str]) -> None:
        """See `VectorIndex.delete`."""
        for row_id in ids:
            self._rows.pop(row_id, None)


class Shelf:
    """The in-memory indexes of a process, by the name of what they hold; the longest unused one goes first."""

    def __init__(self) -> None:
        self._indexes: OrderedDict[str, tuple[MemoryIndex, float]] = OrderedDict()

    def find(self, key: str, *, now: float) -> MemoryIndex | None:
        """None if it is not there, or is older than LONGEST_S. `now` is monotonic time."""
        index, since = self._indexes.get(key, (None, 0.0))
        if index is None:
            return None
        if now - since > LONGEST_S:
            del self._indexes[key]
            return None
        self._indexes.move_to_end(key)
        return index

    def put(self, key: str, index: MemoryIndex, *, now: float) -> None:
        self._indexes[key] = (index, now)
        self._indexes.move_to_end(key)
        size = sum(kept.size_bytes for kept, _ in self._indexes.values())
        while len(self._indexes) > MOST_INDEXES or (size > MOST_BYTES and len(self._indexes) > 1):
            _, (gone, _) = self._indexes.popitem(last=False)
            size -= gone.size_bytes


Wanted = Mapping[str, Sequence[Any]]


def allowed_values(where: Mapping[str, Any] | None) -> Wanted:
    """Of each key of a filter, the values that are let through.

    Takes {"key": value}, {"key": [values]}, {"key": {"$eq": value}} and {"key": {"$in": [values]}}.
    Raises NodeInputError for anything else.
    """
    return {key: _values(key, condition) for key, condition in (where or {}).items()}


def _values(key: str, condition: Any) -> Sequence[Any]:
    if isinstance(condition, Mapping):
        if set(condition) == {"$eq"}:
            return [condition["$eq"]]
        condition = condition["$in"] if set(condition) == {"$in"} else None
        if not isinstance(condition, list):
            raise NodeInputError(
                f'The metadata filter of {key!r} must be a value, {{"$eq": value}} or {{"$in": [...]}}.'
            )
    return condition if isinstance(condition, list) else [condition]


def matches(metadata: Mapping[str, Any], wanted: Wanted) -> bool:
    """Whether metadata passes a filter."""
    return all(key in metadata and metadata[key] in allowed for key, allowed in wanted.items())


def diverse(found: Sequence[Found], *, top_k: int, balance: float) -> list[Found]:
    """Some of them that are like the query and unlike each other, best first. All must have vectors.

    `balance` from 0 (only unlike each other) to 1 (only like the query). Source: J. Carbonell, J. Goldstein, "The Use
    of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries", 1998.
    """
    left = [(item, _unit(item.vector)) for item in found]
    chosen: list[tuple[Found, Sequence[float]]] = []
    likeness = [-math.inf] * len(left)  # of each that is left to the likest one chosen
    while left and len(chosen) < top_k:
        values = [
            balance * item.score - (1 - balance) * (near if chosen else 0.0)
            for (item, _), near in zip(left, likeness, strict=True)
        ]
        best = max(range(len(left)), key=values.__getitem__)
        chosen.append(left.pop(best))
        likeness.pop(best)
        likeness = [max(near, _dot(v, chosen[-1][1])) for near, (_, v) in zip(likeness, left, strict=True)]
    return [item for item, _ in chosen]


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """Likeness of two vectors: 1 if they point the same way."""
    return _dot(_unit(a), _unit(b))


def _nearest(rows: Iterable[Row], vector: Sequence[float], top_k: int) -> list[tuple[float, Row]]:
    scored = ((_dot(row.vector, vector), row) for row in rows)
    return nlargest(top_k, scored, key=lambda pair: pair[0])


def _unit(vector: Sequence[float]) -> Sequence[float]:
    length = math.sqrt(_dot(vector, vector))
    # An array takes a quarter of a list's memory, and indexes hold thousands of them.
    return array("d", [x / length for x in vector]) if length else vector


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return float(sum(map(operator.mul, a, b)))
