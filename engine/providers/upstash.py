"""Upstash Vector: one index behind one address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from engine.providers.base import Document, Found, Row
from engine.providers.rest import RestDatabase, batches

TEXT = "_pageContentLC"  # what the field's clients call it
EXPRESSION = "$filter"  # a filter {"$filter": "..."} is Upstash's own expression


class UpstashIndex:
    """Implements `VectorIndex`."""

    def __init__(self, database: RestDatabase, *, namespace: str = "") -> None:
        self._database = database
        self._suffix = f"/{quote(namespace, safe='')}" if namespace else ""

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorIndex.upsert`."""
        for batch in batches(rows):
            vectors = [
                {
                    "id": row.id,
                    "vector": list(row.vector),
                    "metadata": dict(row.document.metadata) | {TEXT: row.document.text},
                }
                for row in batch
            ]
            await self._database.call("POST", f"/upsert{self._suffix}", vectors)

    async def query(
        self, vector: Sequence[float], *, top_k: int, where: Mapping[str, Any] | None, with_vectors: bool
    ) -> list[Found]:
        """See `VectorIndex.query`."""
        asked: dict[str, Any] = {"vector": list(vector), "topK": top_k, "includeMetadata": True}
        asked["includeVectors"] = with_vectors
        if where:
            said = (f"{key} = {orjson.dumps(value).decode()}" for key, value in where.items())
            asked["filter"] = where.get(EXPRESSION) or " AND ".join(said)
        answer = await self._database.call("POST", f"/query{self._suffix}", asked)
        return [_found(item) for item in answer["result"]]

    async def delete(self, ids: Sequence[str]) -> None:
        """See `VectorIndex.delete`."""
        await self._database.call("POST", f"/delete{self._suffix}", list(ids))


def _found(item: Mapping[str, Any]) -> Found:
    metadata = dict(item.get("metadata") or {})
    text = str(metadata.pop(TEXT, ""))
    # It hands on (1 + cosine) / 2.
    return Found(
        Document(text, metadata, str(item["id"])), 2 * float(item["score"]) - 1, tuple(item.get("vector") or ())
    )
