"""Pinecone: an index and a namespace in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from engine.providers.base import Document, Found, Row
from engine.providers.rest import RestDatabase, batches, flat

API = "https://api.pinecone.io"
VERSION = {"X-Pinecone-API-Version": "2025-04"}


class PineconeIndex:
    """Implements `VectorIndex`. `control` is the server that knows where the index itself lives."""

    def __init__(self, control: RestDatabase, *, index: str, namespace: str = "", text_key: str = "text") -> None:
        self._control = control
        self._index = index
        self._text_key = text_key
        self._place = {"namespace": namespace} if namespace else {}
        self._data: RestDatabase | None = None

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorIndex.upsert`. Pinecone does not create indexes by itself."""
        data = await self._home()
        for batch in batches(rows):
            vectors = [
                {
                    "id": row.id,
                    "values": list(row.vector),
                    "metadata": flat(row.document.metadata) | {self._text_key: row.document.text},
                }
                for row in batch
            ]
            await data.call("POST", "/vectors/upsert", {"vectors": vectors, **self._place})

    async def query(
        self, vector: Sequence[float], *, top_k: int, where: Mapping[str, Any] | None, with_vectors: bool
    ) -> list[Found]:
        """See `VectorIndex.query`."""
        asked = {"vector": list(vector), "topK": top_k, "includeMetadata": True, "includeValues": with_vectors}
        filtered = {"filter": dict(where)} if where else {}
        answer = await (await self._home()).call("POST", "/query", {**asked, **filtered, **self._place})
        return [self._found(match) for match in answer.get("matches") or ()]

    async def delete(self, ids: Sequence[str]) -> None:
        """See `VectorIndex.delete`."""
        data = await self._home()
        for batch in batches(ids):
            await data.call("POST", "/vectors/delete", {"ids": list(batch), **self._place})

    async def _home(self) -> RestDatabase:
        if self._data is None:
            host = str((await self._control.call("GET", f"/indexes/{quote(self._index, safe='')}"))["host"])
            self._data = self._control.at(host if "://" in host else f"https://{host}")
        return self._data

    def _found(self, match: Mapping[str, Any]) -> Found:
        metadata = dict(match.get("metadata") or {})
        text = metadata.pop(self._text_key, None)
        if text is None:  # LlamaIndex wraps it
            node = orjson.loads(metadata.pop("_node_content", "{}"))
            text = node.get("text", "")
        document = Document(str(text), metadata, str(match["id"]))
        return Found(document, float(match.get("score", 0)), tuple(match.get("values") or ()))
