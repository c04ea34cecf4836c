"""Orders to running runs: a pub/sub channel that every worker hears, and the database for those that it missed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from predictions.endings import EndedRun, keep_questions, tell
from predictions.pool import Pool, borrowed
from predictions.redis import open_subscriber

logger = logging.getLogger(__name__)

CHANNEL = "runs:orders"
TO_STOP, TO_PAUSE = "stop", "pause"
CANCELLED = "CANCELLED"

# A queued run has no worker to tell: it ends here and now, and with a number of its own, should it have run before.
REQUEST_STOP = """
UPDATE predictions_execution
SET stop_requested = true,
    attempt = CASE WHEN state = 'QUEUED' THEN attempt + 1 ELSE attempt END,
    state = CASE WHEN state = 'QUEUED' THEN 'CANCELLED' ELSE state END,
    error = CASE WHEN state = 'QUEUED' THEN 'Flow execution was cancelled' ELSE error END,
    error_code = CASE WHEN state = 'QUEUED' THEN 'cancelled' ELSE error_code END,
    finished_at = CASE WHEN state = 'QUEUED' THEN now() ELSE finished_at END
WHERE id = ANY(%b) AND state IN ('QUEUED', 'RUNNING')
RETURNING id, attempt, state, error, error_code, reply_to, question, request, attempts_before
"""
STOP_WAITING = """
WITH stopped AS (
    UPDATE predictions_execution
    SET stop_requested = true, state = 'CANCELLED', error = 'Flow execution was cancelled', error_code = 'cancelled',
        attempt = attempt + 1, finished_at = now(), checkpoint = NULL
    WHERE id = ANY(%b) AND state = 'WAITING'
    RETURNING id
), over AS (
    DELETE FROM predictions_wait w USING stopped WHERE w.execution_id = stopped.id
), answered AS (
    UPDATE predictions_chatmessage m SET extra = m.extra - 'action' FROM stopped WHERE m.execution_id = stopped.id
)
SELECT id FROM stopped
"""
OPEN_IN_CHAT = """
SELECT id FROM predictions_execution
WHERE chatflow_id = %b AND chat_id = %b AND state IN ('QUEUED', 'RUNNING', 'WAITING')
    AND (%b::text = '' OR end_user = %b)
"""
PAUSE = """
UPDATE predictions_execution SET pause_requested = true WHERE id = ANY(%b) AND state IN ('QUEUED', 'RUNNING')
RETURNING id
"""
ORDERED = """
SELECT id, stop_requested FROM predictions_execution WHERE id = ANY(%b) AND (stop_requested OR pause_requested)
"""


async def request_stop(pool: Pool, redis: Redis, *, chatflow_id: UUID, chat_id: str, end_user: str) -> int:
    """Stop what runs in this conversation of theirs, or of anybody for a key; returns how many runs were told."""
    async with borrowed(pool) as connection:
        rows = await (await connection.execute(OPEN_IN_CHAT, [chatflow_id, chat_id, end_user, end_user])).fetchall()
    return await stop_runs(pool, redis, [row[0] for row in rows])


async def stop_runs(pool: Pool, redis: Redis, ids: Sequence[UUID]) -> int:
    """Stop those of the runs that have not ended; returns how many that were."""
    if not ids:
        return 0
    async with borrowed(pool) as connection, connection.transaction():
        rows = await (await connection.execute(REQUEST_STOP, [list(ids)])).fetchall()
        told = [EndedRun(*row) for row in rows]
        ended = [run for run in told if run.state == CANCELLED]
        await keep_questions(connection, ended)
        waiting = await (await connection.execute(STOP_WAITING, [list(ids)])).fetchall()
    await tell(redis, ended)
    await _order(redis, TO_STOP, [run.id for run in told if run.state != CANCELLED])
    return len(told) + len(waiting)


async def pause_runs(pool: Pool, redis: Redis, ids: Sequence[UUID]) -> int:
    """Have those of the runs that go on wait before their next node; returns how many that were."""
    async with borrowed(pool) as connection:
        rows = await (await connection.execute(PAUSE, [list(ids)])).fetchall()
    await _order(redis, TO_PAUSE, [row[0] for row in rows])
    return len(rows)


async def _order(redis: Redis, order: str, ids: Sequence[UUID]) -> None:
    # Without Redis the workers find the order in the database, within their beat.
    with contextlib.suppress(RedisError, OSError):
        for execution_id in ids:
            await redis.publish(CHANNEL, f"{order} {execution_id}")


async def orders_of(pool: Pool, ids: Sequence[UUID]) -> list[tuple[str, UUID]]:
    """The orders that somebody gave to the runs, and to which."""
    if not ids:
        return []
    async with borrowed(pool) as connection:
        rows = await (await connection.execute(ORDERED, [list(ids)])).fetchall()
    return [(TO_STOP if stop_requested else TO_PAUSE, execution_id) for execution_id, stop_requested in rows]


async def read_commands(obey: Callable[[str, UUID], None]) -> None:
    """Call `obey` with each order and its run, for ever."""
    subscriber = open_subscriber()
    while True:
        try:
            async with subscriber.pubsub() as pubsub:
                await pubsub.subscribe(CHANNEL)
                async for message in pubsub.listen():
                    if message["type"] == "message":
                        order, _, execution_id = message["data"].decode().partition(" ")
                        obey(order, UUID(execution_id))
        except (RedisError, OSError):
            logger.warning("commands cannot be heard: Redis is away")
        await asyncio.sleep(0.2)
