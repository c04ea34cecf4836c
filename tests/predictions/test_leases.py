"""A worker's proof that it lives, over connections that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import psycopg
import pytest
from django.db import connection as django_connection

from predictions.leases import LOCK_SPACE, Lease
from predictions.pool import open_pool

pytestmark = pytest.mark.django_db

PID = "SELECT pid FROM pg_stat_activity WHERE application_name = 'forjinn lease' AND datname = current_database()"
HELD = """
SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND application_name = 'forjinn lease'
    AND (classid::bigint << 32) + objid::bigint = %s
"""


async def connect() -> psycopg.AsyncConnection[Any]:
    params = django_connection.get_connection_params()
    known = {name: value for name, value in params.items() if name not in ("context", "cursor_factory")}
    return await psycopg.AsyncConnection.connect(**{**known, "autocommit": True, "application_name": "test"})


@pytest.fixture
async def witness() -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await connect() as connection:
        yield connection


async def value(connection: psycopg.AsyncConnection[Any], statement: str, *values: object) -> Any:
    row = await (await connection.execute(statement, values)).fetchone()
    return row[0] if row else None


async def until(claim: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(8):
        while not await claim():
            await asyncio.sleep(0.02)


async def test_a_worker_lives_while_the_server_still_sees_its_lost_connection(
    witness: psycopg.AsyncConnection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.leases.BEAT_S", 0.05)
    lease = Lease()
    key = LOCK_SPACE + await lease.take()
    beat = "SELECT beat_at FROM predictions_workerlease WHERE id = %s"
    async with await connect() as earlier:
        holding = asyncio.create_task(earlier.execute("SELECT pg_advisory_lock(%s)", [key]))
        await until(lambda: _is_waiting(witness, key))
        await witness.execute("SELECT pg_terminate_backend(%s)", [await value(witness, PID)])
        await holding
        lost_at = await value(witness, "SELECT clock_timestamp()")

        await until(lambda: _is_later(witness, beat, lease.id, lost_at))
        assert await value(witness, HELD, key) == 0

    await until(lambda: _holds(witness, key))
    await lease.drop()
    assert await value(witness, beat, lease.id) is None


async def _is_waiting(witness: psycopg.AsyncConnection[Any], key: int) -> bool:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND (classid::bigint << 32) + objid::bigint = %s"
    return bool(await value(witness, waiting, key))


async def _is_later(witness: psycopg.AsyncConnection[Any], beat: str, lease_id: int, than: object) -> bool:
    return bool(await value(witness, f"SELECT ({beat}) > %s", lease_id, than))


async def _holds(witness: psycopg.AsyncConnection[Any], key: int) -> bool:
    return bool(await value(witness, HELD, key))


async def test_connections_do_not_wait_for_a_machine_that_is_gone() -> None:
    pool = open_pool(name="test")
    await pool.open()

    async with pool.connection() as connection:
        options = connection.info.get_parameters()

    await pool.close()
    assert int(options["connect_timeout"]) <= 5
    assert int(options["keepalives_idle"]) + 3 * int(options["keepalives_interval"]) <= 15
    assert int(options["tcp_user_timeout"]) <= 10_000
