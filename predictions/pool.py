"""The asynchronous connections of the prediction path, one pool a process and event loop.

The ORM would cost a hop to a thread for each statement; these few statements are written by hand instead
(docs/adr/0004-sql-on-the-hot-path.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import orjson
from django.conf import settings
from django.db import connection as django_connection
from psycopg import AsyncConnection, OperationalError
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from forjinn.core.scopes import SET_SCOPE, SYSTEM, Scope, current

logger = logging.getLogger(__name__)


class Connection(AsyncConnection[TupleRow]):
    """Remembers which scope PostgreSQL was told last: a new one works as the tables' owner, whom no policy holds."""

    scope: Scope = SYSTEM


Pool = AsyncConnectionPool[Connection]
T = TypeVar("T")
# How long a statement may wait for a connection: PostgreSQL restarts in less.
WAIT_S = 10.0
ASK_S = 1.0
# SQLSTATE's class of what is too large or too complex. The driver counts it among the server's failures, but the server
# is there, and would say the same again.
BEYOND_LIMITS = "54"


class DatabaseAway(Exception):
    """PostgreSQL cannot be reached, or went away during the statement."""


def open_pool(*, name: str) -> Pool:
    """A pool that is not open yet: call `await pool.open()` on the loop that will use it."""
    set_json_dumps(orjson.dumps)
    set_json_loads(orjson.loads)
    params: dict[str, Any] = django_connection.get_connection_params()
    kwargs = {
        key: value for key, value in params.items() if key not in ("context", "cursor_factory", "prepare_threshold")
    }
    return AsyncConnectionPool(
        kwargs={**kwargs, "autocommit": True, "application_name": f"forjinn {name}"},
        connection_class=Connection,
        min_size=1,
        max_size=settings.DATABASE_POOL_SIZE,
        reconnect_timeout=0,  # no pauses that double: whoever asks for a connection has it tried again
        name=name,
        open=False,
    )


@contextlib.asynccontextmanager
async def borrowed(pool: Pool) -> AsyncIterator[Connection]:
    """A connection for a few statements, in the scope of the code that asks for it. Raises DatabaseAway."""
    try:
        connection = await _take(pool)
        try:
            async with connection:
                await _tell_scope(connection)
                yield connection
        finally:
            await pool.putconn(connection)
    except OperationalError as exc:
        # psycopg ends the statement of a task that is cancelled, and says that instead of the cancellation.
        if (task := asyncio.current_task()) and task.cancelling():
            raise asyncio.CancelledError from exc
        if (exc.sqlstate or "").startswith(BEYOND_LIMITS):
            raise
        raise DatabaseAway(str(exc)) from exc


async def _tell_scope(connection: Connection) -> None:
    """A round trip where another scope was told last. Who is behind it is of no interest: nothing here is audited."""
    scope = current()
    if not scope.shows_as(connection.scope):
        await connection.execute(SET_SCOPE, scope.settings())
        connection.scope = scope


async def _take(pool: Pool) -> Connection:
    """Asks again and again: what a pool could not connect for one caller it tries again only for the next."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WAIT_S
    while True:
        try:
            return await pool.getconn(timeout=ASK_S)
        except PoolTimeout:
            if loop.time() > deadline:
                raise


async def patiently(action: Callable[[], Awaitable[T]], *, for_s: float) -> T:
    """`await action()`, again and again while the database is away, for at most `for_s` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + for_s
    pause_s = 0.05
    while True:
        try:
            return await action()
        except DatabaseAway:
            if loop.time() + pause_s > deadline:
                raise
            logger.warning("database away, trying again", extra={"pause_s": pause_s})
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 1.0)
