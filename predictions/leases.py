"""Which workers are alive.

A worker holds a session advisory lock on its lease's id for as long as its connection lives: PostgreSQL drops it
within milliseconds of a `kill -9`. For a frozen machine or a cut network, where the socket stays open, the lease also
has a beat every 2 s and is dead after 10.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from typing import Any

import psycopg
from django.db import connection as django_connection

from predictions.duties import forever

logger = logging.getLogger(__name__)

LOCK_SPACE = 0x464A << 48  # our part of the 64-bit advisory lock keys; the lease's id is added
BEAT_S = 2.0
RETRY_S = 0.25  # between two tries to get a lost connection back
DEAD_AFTER_S = 10.0
PATIENCE_S = 4.0  # for one statement: below DEAD_AFTER_S, with time left to beat through another connection

BEAT = """
INSERT INTO predictions_workerlease (id, name) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET beat_at = now()
"""


class Lease:
    """This process's lease, held through a connection of its own (a pooler in transaction mode would drop the lock)."""

    def __init__(self) -> None:
        self.id = 0
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._task: asyncio.Task[None] | None = None

    async def take(self) -> int:
        """Register this worker and hold its lock; returns its id."""
        await self._connect()
        self._task = asyncio.create_task(forever(self._beat_forever))
        return self.id

    async def drop(self) -> None:
        """Give the lease back: nothing of this worker's is left to take over."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._connection:
            with contextlib.suppress(psycopg.Error):
                await self._connection.execute("DELETE FROM predictions_workerlease WHERE id = %s", [self.id])
            await self._connection.close()

    async def _connect(self) -> None:
        params = {
            k: v for k, v in django_connection.get_connection_params().items() if k not in ("context", "cursor_factory")
        }
        self._connection = await psycopg.AsyncConnection.connect(
            **{**params, "autocommit": True, "application_name": "forjinn lease"}
        )
        await self._connection.execute("SELECT set_config('statement_timeout', %s, false)", [f"{PATIENCE_S}s"])
        if not self.id:
            cursor = await self._connection.execute(
                "INSERT INTO predictions_workerlease (name) VALUES (%s) RETURNING id", [self._name]
            )
            row = await cursor.fetchone()
            self.id = row[0] if row else 0
        # First of all: the lock may have to wait until the server has seen the end of the connection before this one.
        await self._beat(self._connection)
        await self._connection.execute("SELECT pg_advisory_lock(%s)", [LOCK_SPACE + self.id])

    async def _beat(self, connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute(BEAT, [self.id, self._name])

    async def _beat_forever(self) -> None:
        pause_s = BEAT_S
        while True:
            await asyncio.sleep(pause_s)
            try:
                if self._connection is None or self._connection.closed:
                    await self._connect()
                assert self._connection is not None
                await self._beat(self._connection)
                pause_s = BEAT_S
            except psycopg.Error as exc:
                if (task := asyncio.current_task()) and task.cancelling():
                    raise asyncio.CancelledError from exc  # psycopg says its own error instead
                pause_s = RETRY_S
                logger.warning("lease not renewed", extra={"error": type(exc).__name__})
                if self._connection is not None:
                    await self._connection.close()
