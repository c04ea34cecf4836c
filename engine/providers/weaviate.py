"""Weaviate: the objects of one class, asked in GraphQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from engine.errors import NodeInputError, ProviderError
from engine.providers.base import Document, Found, Row
from engine.providers.rest import RestDatabase, as_uuid, batches, flat

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class WeaviateIndex:
    """Implements `VectorIndex`. `metadata_keys` are the properties that come back with a text: GraphQL names each."""

    def __init__(
        self, database: RestDatabase, *, class_name: str, text_key: str = "text", metadata_keys: Sequence[str] = ()
    ) -> None:
        """Raises NodeInputError for names that GraphQL cannot carry."""
        for name in (class_name, text_key, *metadata_keys):
            if not NAME.match(name):
                raise NodeInputError(f"{name!r} is no name in Weaviate: use letters, digits and underscores.")
        self._database = database
        self._class = class_name[0].upper() + class_name[1:]
        self._text_key = text_key
        self._keys = tuple(metadata_keys)

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorIndex.upsert`."""
        for batch in batches(rows):
            objects = [
                {
                    "class": self._class,
                    "id": as_uuid(row.id),
                    "vector": list(row.vector),
                    "properties": _properties(row.document.metadata) | {self._text_key: row.document.text},
                }
                for row in batch
            ]
            answer = await self._database.call("POST", "/v1/batch/objects", {"objects": objects})
            for item in answer:
                if errors := (item.get("result") or {}).get("errors"):
                    raise ProviderError(f"Weaviate refused a document: {_said(errors)}", retryable=False)

    async def query(
        self, vector: Sequence[float], *, top_k: int, where: Mapping[str, Any] | None, with_vectors: bool
    ) -> list[Found]:
        """See `VectorIndex.query`."""
        wanted = " ".join((self._text_key, *self._keys))
        filtered = f", where: {_literal(_filter(where))}" if where else ""
        query = (
            f"{{ Get {{ {self._class}(nearVector: {{vector: {orjson.dumps(list(vector)).decode()}}}, limit: {top_k}"
            f"{filtered}) {{ {wanted} _additional {{ id distance {'vector' if with_vectors else ''} }} }} }} }}"
        )
        answer = await self._database.call("POST", "/v1/graphql", {"query": query})
        if errors := answer.get("errors"):
            raise ProviderError(f"Weaviate refused the query: {errors[0].get('message', '')}", retryable=False)
        return [self._found(item) for item in answer["data"]["Get"].get(self._class) or ()]

    async def delete(self, ids: Sequence[str]) -> None:
        """See `VectorIndex.delete`."""
        for row_id in ids:
            await self._database.call("DELETE", f"/v1/objects/{self._class}/{as_uuid(row_id)}", missing=True)

    def _found(self, item: Mapping[str, Any]) -> Found:
        about = item["_additional"]
        metadata = {key: item[key] for key in self._keys if item.get(key) is not None}
        document = Document(str(item.get(self._text_key) or ""), metadata, str(about["id"]))
        return Found(document, 1 - float(about.get("distance") or 0), tuple(about.get("vector") or ()))


def _properties(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace(".", "_").replace("-", "_"): value for name, value in flat(metadata).items()}


def _filter(where: Mapping[str, Any]) -> Mapping[str, Any]:
    if "operator" in where:
        return where
    operands = [{"path": [key], "operator": "Equal", _kind(value): value} for key, value in where.items()]
    return operands[0] if len(operands) == 1 else {"operator": "And", "operands": operands}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "valueBoolean"
    return "valueInt" if isinstance(value, int) else "valueNumber" if isinstance(value, float) else "valueText"


def _literal(value: Any, key: str = "") -> str:
    """JSON as GraphQL writes it: names without quotes, and the operator as an enum."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_name(name)}: {_literal(item, name)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return _name(str(value)) if key == "operator" else orjson.dumps(value).decode()


def _name(text: str) -> str:
    if not NAME.match(text):
        raise NodeInputError(f"{text!r} cannot stand in a filter of Weaviate's.")
    return text


def _said(errors: Mapping[str, Any]) -> str:
    return "; ".join(str(error.get("message", "")) for error in errors.get("error") or ())
