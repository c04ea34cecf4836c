"""A task that waits for the database ends when it is cancelled, and does not take it for the database's absence."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, cast

import pytest
from psycopg import OperationalError

from predictions.pool import DatabaseAway, Pool, borrowed


class HidingPool:
    """Says an error of its own when a caller is cancelled, as psycopg does when a rollback fails meanwhile."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()
        self.is_away = asyncio.Event()

    async def getconn(self, timeout: float) -> Any:
        self.is_asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self.is_away.wait()
        raise OperationalError("the connection is closed")


async def take(pool: HidingPool) -> None:
    async with borrowed(cast(Pool, pool)):
        pass


async def test_a_cancellation_that_the_driver_hides_is_still_one() -> None:
    pool = HidingPool()
    task = asyncio.create_task(take(pool))
    await pool.is_asked.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_same_error_of_a_task_that_goes_on_is_the_databases_absence() -> None:
    pool = HidingPool()
    pool.is_away.set()

    with pytest.raises(DatabaseAway):
        await take(pool)
