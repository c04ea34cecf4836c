"""Supabase: a table with vectors behind its REST API, searched by a function of the project's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from engine.errors import ProviderError
from engine.providers.base import Document, Found, Row
from engine.providers.rest import RestDatabase, batches

NUMBERED = re.compile(r"invalid input syntax for type (bigint|integer)")


class SupabaseIndex:
    """Implements `VectorIndex`. `function` takes query_embedding and filter, and gives rows with their similarity."""

    def __init__(self, database: RestDatabase, *, table: str, function: str) -> None:
        self._database = database
        self._table = f"/rest/v1/{quote(table, safe='')}"
        self._function = f"/rest/v1/rpc/{quote(function, safe='')}"

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorIndex.upsert`. A table that numbers its rows itself has a row kept twice two times."""
        for batch in batches(rows):
            try:
                await self._keep(batch, with_ids=True)
            except ProviderError as exc:
                if not NUMBERED.search(exc.message):
                    raise
                await self._keep(batch, with_ids=False)

    async def query(
        self, vector: Sequence[float], *, top_k: int, where: Mapping[str, Any] | None, with_vectors: bool
    ) -> list[Found]:
        """See `VectorIndex.query`. Vectors come only if the project's function gives them."""
        # No match_count: not every project's function takes one.
        asked = {"query_embedding": list(vector), **({"filter": dict(where)} if where else {})}
        found = await self._database.call("POST", f"{self._function}?limit={top_k}", asked)
        try:
            return [
                Found(
                    Document(str(row["content"]), dict(row.get("metadata") or {}), str(row["id"])),
                    float(row["similarity"]),
                )
                for row in found
            ]
        except (KeyError, TypeError, ValueError) as exc:
            raise ProviderError(
                "The function in Supabase must give id, content, metadata and similarity.", retryable=False
            ) from exc

    async def delete(self, ids: Sequence[str]) -> None:
        """See `VectorIndex.delete`."""
        for batch in batches(ids):
            quoted = ",".join('"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"')) for text in batch)
            await self._database.call("DELETE", f"{self._table}?{urlencode({'id': f'in.({quoted})'})}")

    async def _keep(self, rows: Sequence[Row], *, with_ids: bool) -> None:
        await self._database.call("POST", self._table, [_sent(row, with_id=with_ids) for row in rows])


def _sent(row: Row, *, with_id: bool) -> dict[str, Any]:
    document = row.document
    sent = {"content": document.text, "embedding": list(row.vector), "metadata": dict(document.metadata)}
    return {"id": row.id, **sent} if with_id else sent
