"""Milvus and Zilliz: a collection with dynamic fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from engine.errors import ProviderError
from engine.providers.base import Document, Found, Row
from engine.providers.rest import RestDatabase, batches, flat

ID, VECTOR = "langchain_primaryid", "langchain_vector"
EXPRESSION = "$filter"  # a filter {"$filter": "..."} is Milvus's own expression


class MilvusIndex:
    """Implements `VectorIndex`."""

    def __init__(
        self, database: RestDatabase, *, collection: str, text_key: str = "langchain_text", partition: str = ""
    ) -> None:
        self._database = database
        self._collection = collection
        self._text_key = text_key
        self._partition = partition

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorIndex.upsert`."""
        if rows and not (await self._call("collections/has"))["has"]:
            await self._call(
                "collections/create",
                dimension=len(rows[0].vector),
                metricType="COSINE",
                idType="VarChar",
                primaryFieldName=ID,
                vectorFieldName=VECTOR,
                params={"max_length": "64"},
            )
        place = {"partitionName": self._partition} if self._partition else {}
        for batch in batches(rows):
            entities = [
                {
                    **flat(row.document.metadata),
                    ID: row.id,
                    VECTOR: list(row.vector),
                    self._text_key: row.document.text,
                }
                for row in batch
            ]
            await self._call("entities/upsert", data=entities, **place)

    async def query(
        self, vector: Sequence[float], *, top_k: int, where: Mapping[str, Any] | None, with_vectors: bool
    ) -> list[Found]:
        """See `VectorIndex.query`."""
        fields = ["*", VECTOR] if with_vectors else ["*"]
        asked: dict[str, Any] = {"data": [list(vector)], "annsField": VECTOR, "limit": top_k, "outputFields": fields}
        if where:
            asked["filter"] = where.get(EXPRESSION) or " and ".join(f"{k} == {_quoted(v)}" for k, v in where.items())
        if self._partition:
            asked["partitionNames"] = [self._partition]
        return [self._found(entity, with_vectors) for entity in await self._call("entities/search", **asked)]

    async def delete(self, ids: Sequence[str]) -> None:
        """See `VectorIndex.delete`."""
        if ids:
            await self._call("entities/delete", filter=f"{ID} in {_quoted(list(ids))}")

    async def _call(self, what: str, **fields: Any) -> Any:
        answer = await self._database.call(
            "POST", f"/v2/vectordb/{what}", {"collectionName": self._collection, **fields}
        )
        if answer.get("code"):
            raise ProviderError(f"Milvus refused: {answer.get('message', answer['code'])}", retryable=False)
        return answer.get("data")

    def _found(self, entity: Mapping[str, Any], with_vectors: bool) -> Found:
        own = {ID, VECTOR, self._text_key, "distance", "id"}
        metadata = {name: value for name, value in entity.items() if name not in own}
        document = Document(str(entity.get(self._text_key, "")), metadata, str(entity.get(ID, entity.get("id", ""))))
        vector = tuple(entity.get(VECTOR) or ()) if with_vectors else ()
        return Found(document, float(entity.get("distance", 0)), vector)


def _quoted(value: Any) -> str:
    return orjson.dumps(value).decode()
