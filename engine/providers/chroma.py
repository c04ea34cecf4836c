"""Chroma: a collection in a tenant's database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from engine.providers.base import Document, Found, Row
from engine.providers.rest import RestDatabase, batches, flat


class ChromaIndex:
    """Implements `VectorIndex`."""

    def __init__(
        self,
        database: RestDatabase,
        *,
        collection: str,
        tenant: str = "default_tenant",
        name: str = "default_database",
    ) -> None:
        self._database = database
        self._path = f"/api/v2/tenants/{quote(tenant, safe='')}/databases/{quote(name, safe='')}/collections"
        self._collection = collection
        self._id = ""

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorIndex.upsert`."""
        path = await self._home()
        for batch in batches(rows):
            columns = {
                "ids": [row.id for row in batch],
                "embeddings": [list(row.vector) for row in batch],
                "documents": [row.document.text for row in batch],
                # It takes no empty object, and no list in one.
                "metadatas": [_scalars(row.document.metadata) or None for row in batch],
            }
            await self._database.call("POST", f"{path}/upsert", columns)

    async def query(
        self, vector: Sequence[float], *, top_k: int, where: Mapping[str, Any] | None, with_vectors: bool
    ) -> list[Found]:
        """See `VectorIndex.query`."""
        columns = ["documents", "metadatas", "distances", *(["embeddings"] if with_vectors else [])]
        asked = {"query_embeddings": [list(vector)], "n_results": top_k, "include": columns}
        if where:
            conditions = [{key: value} for key, value in where.items()]
            asked["where"] = conditions[0] if len(conditions) == 1 else {"$and": conditions}
        answer = await self._database.call("POST", f"{await self._home()}/query", asked)
        ids = answer["ids"][0]
        vectors = answer["embeddings"][0] if with_vectors else [()] * len(ids)
        rows = zip(ids, answer["documents"][0], answer["metadatas"][0], answer["distances"][0], vectors, strict=True)
        return [
            Found(Document(text or "", about or {}, key), 1 - far, tuple(near)) for key, text, about, far, near in rows
        ]

    async def delete(self, ids: Sequence[str]) -> None:
        """See `VectorIndex.delete`."""
        await self._database.call("POST", f"{await self._home()}/delete", {"ids": list(ids)})

    async def _home(self) -> str:
        if not self._id:
            wanted = {
                "name": self._collection,
                "get_or_create": True,
                "configuration": {"hnsw": {"space": "cosine"}},
            }
            self._id = str((await self._database.call("POST", self._path, wanted))["id"])
        return f"{self._path}/{self._id}"


def _scalars(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: ", ".join(value) if isinstance(value, list) else value for name, value in flat(metadata).items()}
