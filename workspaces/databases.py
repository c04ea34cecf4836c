"""What flows may read of databases that are not ours: in a transaction that cannot write, and not for long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import psycopg
from psycopg.rows import DictRow, dict_row

from engine.databases import Address, Rows
from engine.egress import Egress, not_public
from engine.errors import NodeError, NodeInputError, NodeTimeout

CONNECT_S = 10
STATEMENT_S = 15
WHOLE_S = 40.0
LONGEST_CELL = 2000  # characters


class ReadOnlyDatabases:
    """Databases on hosts that the administrator has allowed; implements `engine.databases.Databases`."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def read(self, address: Address, statement: str, *, most_rows: int) -> Rows:
        """See `Databases.read`. A public host is no exception: it has to be allowed as well."""
        if not self._egress.allowed.names(address.host, address.port):
            raise NodeInputError(_not_allowed(address))
        try:
            async with asyncio.timeout(WHOLE_S):
                return await _read(address, statement, most_rows)
        except TimeoutError as exc:
            raise NodeTimeout(f"The database at {address.host} took longer than {WHOLE_S:g} seconds.") from exc
        except psycopg.errors.QueryCanceled as exc:
            raise NodeTimeout(f"The statement took longer than {STATEMENT_S} seconds: ask for less.") from exc
        except psycopg.OperationalError as exc:
            raise NodeError(f"The database at {address.host} cannot be asked: {_said(exc)}") from exc
        except (psycopg.Error, ValueError) as exc:
            raise NodeError(f"The database refused the statement: {_said(exc)}") from exc


async def _read(address: Address, statement: str, most_rows: int) -> Rows:
    async with await _connect(address) as connection, connection.cursor() as cursor:
        await cursor.execute("SET TRANSACTION READ ONLY")
        await cursor.execute(f"SET LOCAL statement_timeout = '{STATEMENT_S}s'")
        await cursor.execute("SET LOCAL lock_timeout = '2s'")
        # A cursor takes one query and nothing that writes. `prepare` and `binary`, because only the protocol's extended
        # form refuses a second statement behind a semicolon.
        query = f"DECLARE answer NO SCROLL CURSOR FOR {statement.strip().rstrip(';')}"
        await cursor.execute(query.encode(), prepare=True, binary=True)
        await cursor.execute(f"FETCH {most_rows + 1} FROM answer")
        columns = tuple(column.name for column in cursor.description or ())
        found = await cursor.fetchall()
        await connection.rollback()
    return Rows(columns, [_plain(row) for row in found[:most_rows]], is_cut=len(found) > most_rows)


async def _connect(address: Address) -> psycopg.AsyncConnection[DictRow]:
    """Nothing of this server's own environment goes along: no password file, no certificate, no ticket."""
    return await psycopg.AsyncConnection.connect(
        host=address.host,
        port=address.port,
        dbname=address.database,
        user=address.user,
        password=address.password,
        sslmode=address.ssl_mode,
        sslcertmode="disable",
        passfile="/dev/null",
        gssencmode="disable",
        connect_timeout=CONNECT_S,
        application_name="forjinn flow",
        row_factory=dict_row,
    )


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | memoryview):
        return f"({len(value)} bytes)"
    text = value if isinstance(value, str) else _shown(value)
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"


def _shown(value: Any) -> str:
    return orjson.dumps(value, default=str).decode() if isinstance(value, list | dict) else str(value)


def _said(exc: Exception) -> str:
    diagnostics = getattr(exc, "diag", None)
    return str((diagnostics and diagnostics.message_primary) or exc).strip()[:500]


def _not_allowed(address: Address) -> str:
    refusal = not_public(address.host, address.port).partition("If they are meant to")
    return f"Flows may not ask the database at {address.host}. If they are meant to{refusal[2]}"
