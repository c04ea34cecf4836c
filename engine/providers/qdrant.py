"""Qdrant: a collection of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from engine.providers.base import Document, Found, Row
from engine.providers.rest import RestDatabase, as_uuid, batches

CLAUSES = frozenset({"must", "must_not", "should", "min_should"})


class QdrantIndex:
    """Implements `VectorIndex`. Points are named by UUIDs: other ids become one."""

    def __init__(
        self,
        database: RestDatabase,
        *,
        collection: str,
        distance: str = "Cosine",
        text_key: str = "content",
        metadata_key: str = "metadata",
    ) -> None:
        self._database = database
        self._path = f"/collections/{quote(collection, safe='')}"
        self._distance = distance
        self._text_key = text_key
        self._metadata_key = metadata_key

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorIndex.upsert`."""
        if rows and await self._database.call("GET", self._path, missing=True) is None:
            shape = {"size": len(rows[0].vector), "distance": self._distance}
            await self._database.call("PUT", self._path, {"vectors": shape})
        for batch in batches(rows):
            points = [
                {
                    "id": as_uuid(row.id),
                    "vector": list(row.vector),
                    "payload": {
                        self._text_key: row.document.text,
                        self._metadata_key: dict(row.document.metadata),
                    },
                }
                for row in batch
            ]
            await self._database.call("PUT", f"{self._path}/points?wait=true", {"points": points})

    async def query(
        self, vector: Sequence[float], *, top_k: int, where: Mapping[str, Any] | None, with_vectors: bool
    ) -> list[Found]:
        """See `VectorIndex.query`."""
        asked = {"query": list(vector), "limit": top_k, "with_payload": True, "with_vector": with_vectors}
        answer = await self._database.call(
            "POST", f"{self._path}/points/query", {**asked, **({"filter": self._filter(where)} if where else {})}
        )
        return [self._found(point) for point in answer["result"]["points"]]

    async def delete(self, ids: Sequence[str]) -> None:
        """See `VectorIndex.delete`."""
        points = [as_uuid(row_id) for row_id in ids]
        await self._database.call("POST", f"{self._path}/points/delete?wait=true", {"points": points}, missing=True)

    def _filter(self, where: Mapping[str, Any]) -> Mapping[str, Any]:
        if CLAUSES & set(where):
            return where
        return {
            "must": [
                {
                    "key": f"{self._metadata_key}.{key}",
                    "match": {"any": value} if isinstance(value, list) else {"value": value},
                }
                for key, value in where.items()
            ]
        }

    def _found(self, point: Mapping[str, Any]) -> Found:
        payload = point.get("payload") or {}
        metadata = payload.get(self._metadata_key) or {}
        document = Document(str(payload.get(self._text_key, "")), metadata, str(point["id"]))
        return Found(document, float(point["score"]), tuple(point.get("vector") or ()))
