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

CHANNEL = "runs:stop"
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
WHERE chatflow_id = %b AND chat_id = %b AND state IN ('QUEUED', 'RUNNING')
RETURNING id, attempt, state, error, error_code, reply_to, question, request, attempts_before
"""
STOP_WAITING = """
WITH stopped AS (
    UPDATE predictions_execution
    SET stop_requested = true, state = 'CANCELLED', error = 'Flow execution was cancelled', error_code = 'cancelled',
        attempt = attempt + 1, finished_at = now(), checkpoint = NULL
    WHERE chatflow_id = %b AND chat_id = %b AND state = 'WAITING'
    RETURNING id
), over AS (
    DELETE FROM predictions_wait w USING stopped WHERE w.execution_id = stopped.id
), answered AS (
    UPDATE predictions_chatmessage m SET extra = m.extra - 'action' FROM stopped WHERE m.execution_id = stopped.id
)
SELECT id FROM stopped
"""
STOPPED = "SELECT id FROM predictions_execution WHERE id = ANY(%b) AND stop_requested"


async def request_stop(pool: Pool, redis: Redis, *, chatflow_id: UUID, chat_id: str) -> int:
    """Stop what runs in this conversation; returns how many runs were told."""
    async with borrowed(pool) as connection, connection.transaction():
        rows = await (await connection.execute(REQUEST_STOP, [chatflow_id, chat_id])).fetchall()
        told = [EndedRun(*row) for row in rows]
        ended = [run for run in told if run.state == CANCELLED]
        await keep_questions(connection, ended)
        waiting = await (await connection.execute(STOP_WAITING, [chatflow_id, chat_id])).fetchall()
    await tell(redis, ended)
    # Without Redis the workers find the request in the database, within their beat.
    with contextlib.suppress(RedisError, OSError):
        for run in told:
            if run.state != CANCELLED:
                await redis.publish(CHANNEL, str(run.id))
    return len(told) + len(waiting)


async def stopped_of(pool: Pool, ids: Sequence[UUID]) -> list[UUID]:
    """Those of the runs that somebody asked to stop."""
    if not ids:
        return []
    async with borrowed(pool) as connection:
        rows = await (await connection.execute(STOPPED, [list(ids)])).fetchall()
    return [row[0] for row in rows]


async def read_commands(stop: Callable[[UUID], None]) -> None:
    """Call `stop` with each run that is to stop, for ever."""
    subscriber = open_subscriber()
    while True:
        try:
            async with subscriber.pubsub() as pubsub:
                await pubsub.subscribe(CHANNEL)
                async for message in pubsub.listen():
                    if message["type"] == "message":
                        stop(UUID(message["data"].decode()))
        except (RedisError, OSError):
            logger.warning("commands cannot be heard: Redis is away")
        await asyncio.sleep(0.2)
