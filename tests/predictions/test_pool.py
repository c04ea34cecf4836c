"""Connections of the prediction path while PostgreSQL is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from django.db import connection
from psycopg.errors import StatementTooComplex

from forjinn.embedded.launch import free_port
from predictions.pool import ASK_S, DatabaseAway, Pool, borrowed, open_pool

pytestmark = pytest.mark.django_db


@pytest.fixture
async def cut_off(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Pool, int]]:
    """A pool that connects through a port where nobody listens yet."""
    port = free_port()
    monkeypatch.setitem(connection.settings_dict, "PORT", str(port))
    pool = open_pool(name="test")
    await pool.open()
    yield pool, port
    await pool.close()


@contextlib.asynccontextmanager
async def leading_to_postgres(port: int, host: str, target: int) -> AsyncIterator[None]:
    forwarded: list[asyncio.Task[None] | None] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        forwarded.append(asyncio.current_task())
        there_reader, there_writer = await asyncio.open_connection(host, target)
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))

    server = await asyncio.start_server(forward, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        await asyncio.gather(*filter(None, forwarded))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
    writer.close()
    await writer.wait_closed()


async def one(pool: Pool) -> int:
    async with borrowed(pool) as connection:
        row = await (await connection.execute("SELECT 1")).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_statement_that_waits_goes_on_soon_after_the_database_is_back(
    monkeypatch: pytest.MonkeyPatch, cut_off: tuple[Pool, int]
) -> None:
    pool, port = cut_off
    monkeypatch.undo()
    host, target = connection.settings_dict["HOST"], int(connection.settings_dict["PORT"])
    waiting = asyncio.create_task(one(pool))
    while not pool.get_stats().get("connections_errors"):
        await asyncio.sleep(0)

    async with leading_to_postgres(port, host, target), asyncio.timeout(2 * ASK_S):
        assert await waiting == 1
        await pool.close()


async def test_a_statement_waits_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch, cut_off: tuple[Pool, int]) -> None:
    pool, _ = cut_off
    monkeypatch.setattr("predictions.pool.WAIT_S", 0.1)

    with pytest.raises(DatabaseAway):
        await one(pool)


async def test_a_statement_that_is_too_complex_is_not_the_databases_absence() -> None:
    pool = open_pool(name="test")
    await pool.open()

    with pytest.raises(StatementTooComplex):
        async with borrowed(pool) as borrowed_one:
            await borrowed_one.execute("SELECT repeat('[', 1000000)::jsonb")

    await pool.close()
