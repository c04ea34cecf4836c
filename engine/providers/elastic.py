"""Elasticsearch and OpenSearch: an index with a vector in each document."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from engine.errors import NodeInputError, ProviderError
from engine.providers.base import Document, Found, Row
from engine.providers.rest import RestDatabase, batches

VECTOR, TEXT, METADATA = "embedding", "text", "metadata"


def cloud_url(cloud_id: str) -> str:
    """Where a deployment is: its Cloud ID names it in base64, or is an address itself. Raises NodeInputError."""
    if cloud_id.startswith(("http://", "https://")) or not cloud_id:
        return cloud_id
    try:
        host, elastic, *_ = base64.b64decode(cloud_id.rpartition(":")[2], validate=True).decode().split("$")
    except ValueError as exc:
        raise NodeInputError("The Cloud ID in the credential is none: copy it from the deployment's page.") from exc
    return f"https://{elastic}.{host}"


class ElasticIndex:
    """Implements `VectorIndex`. `is_open`: the server is OpenSearch."""

    def __init__(
        self, database: RestDatabase, *, index: str, similarity: str = "cosine", is_open: bool = False
    ) -> None:
        self._database = database
        self._index = index
        self._path = f"/{quote(index, safe='')}"
        self._similarity = similarity
        self._is_open = is_open

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorIndex.upsert`."""
        if rows and await self._database.call("GET", self._path, missing=True) is None:
            await self._database.call("PUT", self._path, self._shape(len(rows[0].vector)))
        for batch in batches(rows):
            lines: list[Any] = []
            for row in batch:
                document = {VECTOR: list(row.vector), TEXT: row.document.text, METADATA: dict(row.document.metadata)}
                lines += [{"index": {"_index": self._index, "_id": row.id}}, document]
            await self._bulk(lines)

    async def query(
        self, vector: Sequence[float], *, top_k: int, where: Mapping[str, Any] | None, with_vectors: bool
    ) -> list[Found]:
        """See `VectorIndex.query`."""
        filters = [_term(key, value) for key, value in (where or {}).items()]
        asked = self._neighbours(vector, top_k, filters)
        hidden = {} if with_vectors else {"_source": {"excludes": [VECTOR]}}
        answer = await self._database.call("POST", f"{self._path}/_search", {"size": top_k, **asked, **hidden})
        return [_found(hit) for hit in answer["hits"]["hits"]]

    async def delete(self, ids: Sequence[str]) -> None:
        """See `VectorIndex.delete`."""
        for batch in batches(ids):
            await self._bulk([{"delete": {"_index": self._index, "_id": row_id}} for row_id in batch])

    async def _bulk(self, lines: Sequence[Any]) -> None:
        body = "".join(f"{orjson.dumps(line).decode()}\n" for line in lines)
        answer = await self._database.call("POST", "/_bulk?refresh=wait_for", body=body)
        if answer.get("errors"):
            results = [result for item in answer["items"] for result in item.values()]
            reason = next((result["error"].get("reason", "") for result in results if "error" in result), "")
            if reason:
                raise ProviderError(f"{self._index} refused a document: {reason}", retryable=False)

    def _shape(self, dimensions: int) -> Mapping[str, Any]:
        if self._is_open:
            method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
            vector: Mapping[str, Any] = {"type": "knn_vector", "dimension": dimensions, "method": method}
            settings: Mapping[str, Any] = {"settings": {"index.knn": True}}
        else:
            vector = {"type": "dense_vector", "dims": dimensions, "index": True, "similarity": self._similarity}
            settings = {}
        properties = {VECTOR: vector, TEXT: {"type": "text"}, METADATA: {"type": "object"}}
        return {**settings, "mappings": {"properties": properties}}

    def _neighbours(self, vector: Sequence[float], top_k: int, filters: Sequence[Any]) -> Mapping[str, Any]:
        filtered = {"filter": {"bool": {"filter": list(filters)}}} if filters else {}
        if self._is_open:
            return {"query": {"knn": {VECTOR: {"vector": list(vector), "k": top_k, **filtered}}}}
        candidates = max(100, 2 * top_k)
        knn = {"field": VECTOR, "query_vector": list(vector), "k": top_k, "num_candidates": candidates, **filtered}
        return {"knn": knn}


def _term(key: str, value: Any) -> Mapping[str, Any]:
    field = f"{METADATA}.{key}{'.keyword' if isinstance(value, str) else ''}"
    return {"terms" if isinstance(value, list) else "term": {field: value}}


def _found(hit: Mapping[str, Any]) -> Found:
    source = hit["_source"]
    document = Document(str(source.get(TEXT, "")), source.get(METADATA) or {}, str(hit["_id"]))
    # Both hand on (1 + cosine) / 2, so that no score is negative.
    return Found(document, 2 * float(hit["_score"]) - 1, tuple(source.get(VECTOR) or ()))
