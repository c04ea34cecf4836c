"""Embedded documents in the platform's own PostgreSQL: what vector stores and record managers of a workspace keep."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
from psycopg.errors import DataError, UndefinedTable

from engine.documents import storable
from engine.errors import NodeError, NodeInputError
from engine.providers.base import Document, Found, Row
from engine.vectors import allowed_values
from predictions.pool import Connection, DatabaseAway, Pool, borrowed

BATCH = 200  # rows a statement
LONGEST_NAME = 1000  # bytes
NO_EXTENSION = (
    "This server's PostgreSQL keeps no vectors: its administrator has to install the extension 'vector' (pgvector), "
    "then run `manage.py migrate chatflows 0001` and `manage.py migrate`."
)

UPSERT = """
INSERT INTO chatflows_vector (workspace_id, collection, id, content, metadata, embedding)
SELECT %s, %s, id, content, metadata, embedding::vector
FROM jsonb_to_recordset(%s::jsonb) AS new (id text, content text, metadata jsonb, embedding text)
ON CONFLICT (workspace_id, collection, id)
DO UPDATE SET content = excluded.content, metadata = excluded.metadata, embedding = excluded.embedding
"""
# Every row of the collection is compared: exact, and quick up to some hundred thousand rows.
QUERY = """
SELECT id, content, metadata, 1 - (embedding <=> %s::vector), CASE WHEN %s THEN embedding::text END
FROM chatflows_vector
WHERE workspace_id = %s AND collection = %s AND vector_dims(embedding) = %s {conditions}
ORDER BY embedding <=> %s::vector LIMIT %s
"""
OTHER_LENGTH = """
SELECT vector_dims(embedding) FROM chatflows_vector
WHERE workspace_id = %s AND collection = %s AND vector_dims(embedding) <> %s LIMIT 1
"""
DELETE = "DELETE FROM chatflows_vector WHERE workspace_id = %s AND collection = %s AND id = ANY(%s)"

KNOWN = "SELECT id, source FROM chatflows_vectorrecord WHERE workspace_id = %s AND namespace = %s"
REMEMBER = """
INSERT INTO chatflows_vectorrecord (workspace_id, namespace, id, source)
SELECT %s, %s, key, value FROM jsonb_each_text(%s::jsonb)
ON CONFLICT (workspace_id, namespace, id) DO UPDATE SET source = excluded.source
"""
FORGET = "DELETE FROM chatflows_vectorrecord WHERE workspace_id = %s AND namespace = %s AND id = ANY(%s)"


class WorkspaceVectors:
    """The collections of one workspace, and of no other; implements `VectorTables`."""

    def __init__(self, pool: Pool, workspace_id: UUID) -> None:
        self._pool = pool
        self._workspace_id = workspace_id

    def table(self, collection: str) -> PostgresIndex:
        """See `VectorTables.table`. Raises NodeInputError for a name that is too long."""
        return PostgresIndex(self._pool, self._workspace_id, _name("table", collection))


class PostgresIndex:
    """One collection; implements `VectorIndex`."""

    def __init__(self, pool: Pool, workspace_id: UUID, collection: str) -> None:
        self._pool = pool
        self._place = (workspace_id, collection)

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorIndex.upsert`."""
        # In one order, whoever writes: two upserts of the same documents would otherwise wait for each other's rows.
        ordered = sorted(rows, key=lambda row: row.id)
        async with _reached(self._pool) as connection:
            for start in range(0, len(ordered), BATCH):
                batch = [_record(row) for row in ordered[start : start + BATCH]]
                await connection.execute(UPSERT, [*self._place, orjson.dumps(batch).decode()])

    async def query(
        self, vector: Sequence[float], *, top_k: int, where: Mapping[str, Any] | None, with_vectors: bool
    ) -> list[Found]:
        """See `VectorIndex.query`."""
        conditions, given = _conditions(where)
        near = _text(vector)
        async with _reached(self._pool) as connection:
            cursor = await connection.execute(
                QUERY.format(conditions=conditions).encode(),
                [near, with_vectors, *self._place, len(vector), *given, near, top_k],
            )
            found = [
                Found(Document(text, about, row_id), float(score), tuple(orjson.loads(own)) if own else ())
                for row_id, text, about, score, own in await cursor.fetchall()
            ]
            if not found:
                await self._check_length(connection, len(vector))
        return found

    async def delete(self, ids: Sequence[str]) -> None:
        """See `VectorIndex.delete`."""
        async with _reached(self._pool) as connection:
            await connection.execute(DELETE, [*self._place, list(ids)])

    async def _check_length(self, connection: Connection, length: int) -> None:
        cursor = await connection.execute(OTHER_LENGTH, [*self._place, length])
        if other := await cursor.fetchone():
            raise NodeInputError(
                f"The store holds embeddings of length {other[0]}, and the question's has {length}: they were made by "
                "another model. Upsert it again."
            )


class WorkspaceRecords:
    """What the record managers of one workspace remember; implements `Records`."""

    def __init__(self, pool: Pool, workspace_id: UUID) -> None:
        self._pool = pool
        self._workspace_id = workspace_id

    async def known(self, namespace: str) -> Mapping[str, str]:
        """See `Records.known`. Raises NodeInputError for a name that is too long."""
        _name("namespace", namespace)
        async with _reached(self._pool) as connection:
            cursor = await connection.execute(KNOWN, [self._workspace_id, namespace])
            return dict(await cursor.fetchall())

    async def remember(self, namespace: str, sources: Mapping[str, str]) -> None:
        """See `Records.remember`."""
        async with _reached(self._pool) as connection:
            await connection.execute(REMEMBER, [self._workspace_id, namespace, orjson.dumps(sources).decode()])

    async def forget(self, namespace: str, ids: Sequence[str]) -> None:
        """See `Records.forget`."""
        async with _reached(self._pool) as connection:
            await connection.execute(FORGET, [self._workspace_id, namespace, list(ids)])


@asynccontextmanager
async def _reached(pool: Pool) -> AsyncIterator[Connection]:
    """A connection; what goes wrong with it in the words of a node."""
    try:
        async with borrowed(pool) as connection:
            yield connection
    except UndefinedTable as exc:
        raise NodeError(NO_EXTENSION) from exc
    except DataError as exc:
        raise NodeInputError(f"PostgreSQL cannot take this: {str(exc).splitlines()[0]}.") from exc
    except DatabaseAway as exc:
        raise NodeError("The database cannot be reached for the moment.") from exc


def _name(what: str, name: str) -> str:
    # Rows are found by it, and what an index of PostgreSQL holds has to fit a page of its.
    if len(name.encode()) > LONGEST_NAME:
        raise NodeInputError(f"The name of the {what} is too long: at most {LONGEST_NAME} bytes.")
    return name


def _record(row: Row) -> dict[str, Any]:
    document = storable(row.document)
    return {
        "id": row.id,
        "content": document.text,
        "metadata": document.metadata,
        "embedding": _text(row.vector),
    }


def _text(vector: Sequence[float]) -> str:
    return orjson.dumps(list(vector)).decode()


def _conditions(where: Mapping[str, Any] | None) -> tuple[str, list[Any]]:
    """A filter on metadata as SQL: every key must have one of its values."""
    said, given = [], list[Any]()
    for key, values in allowed_values(where).items():
        said.append("AND metadata -> %s = ANY(%s::jsonb[])")
        given += [key, [orjson.dumps(value).decode() for value in values]]
    return " ".join(said), given
