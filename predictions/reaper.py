"""Taking back what dead workers held and what the broker lost.

Every web and worker process looks once a second; an advisory lock lets one of them act. A run of a dead worker goes on
behind the last node that it wrote down. One that kills its workers, again and again at one place, ends with a clear
text.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.conf import settings
from redis.asyncio import Redis
from redis.exceptions import RedisError

from predictions import lanes
from predictions.dispatch import BrokerAway, dispatch
from predictions.duties import end, forever
from predictions.endings import EndedRun, keep_questions, tell
from predictions.intake import read_message
from predictions.lanes import QueuedRun
from predictions.leases import DEAD_AFTER_S, LOCK_SPACE
from predictions.pool import Connection, DatabaseAway, Pool, borrowed

logger = logging.getLogger(__name__)

TICK_S = 1.0
# At one place: a node that is written down begins the count anew. After the second death each try waits twice as long
# as the one before it. So six take half a minute at least, which outlasts most of what kills workers in a row, and
# runs that were held beside one that kills its workers come apart from it.
MAX_ATTEMPTS = 6
COME_BACK_S = 4.0  # within which workers have their locks again once PostgreSQL is back: a beat, and some
REAPER_LOCK = LOCK_SPACE - 1
UNKNOWN = UUID(int=0)  # no run's
TOO_LATE = "The run passed its deadline before it was done"
EXPIRED = "Nobody answered within {hours} hours, so the run was ended; ask again from the beginning"
LOST_WORKER = "The worker that ran this prediction stopped before it was done"

# A restart of PostgreSQL frees every lock at once and lets every beat grow old while the workers live: they get some
# seconds to come back. A connection that is older than that has seen no restart.
DEAD = """
SELECT lease.id FROM predictions_workerlease lease
WHERE (SELECT now() - backend_start > make_interval(secs => %b) FROM pg_stat_activity WHERE pid = pg_backend_pid())
  AND (lease.beat_at < now() - make_interval(secs => %b) OR NOT EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
          AND (classid::bigint << 32) + objid::bigint = %b + lease.id))
"""
HELD = """
SELECT id, stop_requested, attempt - greatest(attempts_before, (
    SELECT max(ran.attempt) FROM predictions_noderun ran WHERE ran.execution_id = predictions_execution.id
)) FROM predictions_execution
WHERE state = 'RUNNING' AND (worker = ANY(%b)
   OR NOT EXISTS (SELECT FROM predictions_workerlease lease WHERE lease.id = worker))
"""
# `dispatches` is what makes LOST wait.
REQUEUE = """
UPDATE predictions_execution run
SET state = 'QUEUED', worker = NULL, dispatches = greatest(1, held.tries - 1), dispatched_at = now()
FROM unnest(%b::uuid[], %b::int[]) AS held (id, tries)
WHERE run.id = held.id AND state = 'RUNNING' RETURNING run.id, workspace_id, held.tries
"""
FAIL = """
UPDATE predictions_execution
SET state = CASE WHEN stop_requested THEN 'CANCELLED' ELSE 'FAILED' END, error = %b, error_code = 'worker_lost',
    finished_at = now(), attempt = attempt + 1
WHERE id = ANY(%b) AND state = 'RUNNING'
RETURNING id, attempt, state, error, error_code, reply_to, question, request, attempts_before
"""
# Lost by the broker, taken by a worker that died before it claimed them, or not sent yet because their workers die. The
# pause doubles with each try, so a backlog is not multiplied. While others wait in its lane, first in, first out, a run
# is mostly not lost but early: lost are those that were sent well before the one at the lane's front, because they were
# there earlier and are gone. The margin is for who writes a run down and is slow to send it. Of a front that was sent
# several times nobody knows when it came into the lane, so nothing is lost then: another one is at the front soon, or
# no worker takes any. Celery's own queue, which any run may wait in, has a front as well.
LOST = """
WITH front AS MATERIALIZED (
    SELECT lane, run.dispatched_at - interval '10 seconds' AS lost_before
    FROM unnest(%b::uuid[], %b::uuid[]) AS fronts (lane, id)
    LEFT JOIN predictions_execution run ON run.id = fronts.id AND run.dispatches = 1
)
UPDATE predictions_execution SET dispatched_at = now(), dispatches = dispatches + 1
WHERE id IN (
    SELECT id FROM predictions_execution LEFT JOIN front ON lane = workspace_id
    WHERE state = 'QUEUED' AND dispatched_at < now() - interval '1 second' * least(300, 2 ^ least(dispatches, 9))
      AND (lane IS NULL OR dispatched_at < lost_before)
      AND (%b::uuid IS NULL OR dispatched_at < (
        SELECT dispatched_at - interval '10 seconds' FROM predictions_execution WHERE id = %b AND dispatches = 1))
    ORDER BY dispatched_at LIMIT 500 FOR UPDATE OF predictions_execution SKIP LOCKED
) RETURNING id, workspace_id
"""
# What waited long enough goes on, if its flow says how: a timer always, the others by their way out for that.
GO_ON = """
UPDATE predictions_execution
SET state = 'QUEUED', attempts_before = attempt, request = request || '{"humanInput": {"type": "timeout"}}',
    reply_to = '', worker = NULL, dispatches = 1, dispatched_at = now(), stop_requested = false, output = NULL,
    error = '', error_code = '', finished_at = NULL
WHERE id IN (
    SELECT run.id FROM predictions_wait wait JOIN predictions_execution run ON run.id = wait.execution_id
    WHERE wait.due_at <= now() AND wait.goes_on AND run.state = 'WAITING'
    ORDER BY wait.due_at LIMIT 500 FOR UPDATE OF run SKIP LOCKED
) RETURNING id, workspace_id
"""
# Nobody answered in time. What was asked is asked no longer.
EXPIRE = """
WITH expired AS (
    UPDATE predictions_execution
    SET state = 'FAILED', error = %b, error_code = 'wait_expired', attempt = attempt + 1, finished_at = now(),
        checkpoint = NULL
    WHERE id IN (
        SELECT run.id FROM predictions_wait wait JOIN predictions_execution run ON run.id = wait.execution_id
        WHERE wait.due_at <= now() AND NOT wait.goes_on AND run.state = 'WAITING'
        ORDER BY wait.due_at LIMIT 500 FOR UPDATE OF run SKIP LOCKED
    ) RETURNING id
), answered AS (
    UPDATE predictions_chatmessage m SET extra = m.extra - 'action' FROM expired WHERE m.execution_id = expired.id
)
SELECT count(*) FROM expired
"""
# Of runs that were let go on and ended otherwise than by their worker.
FORGET = """
DELETE FROM predictions_wait wait USING predictions_execution run
WHERE wait.due_at <= now() AND run.id = wait.execution_id AND run.state NOT IN ('WAITING', 'QUEUED', 'RUNNING')
"""


# Past their deadline, and no worker has them who would notice.
LATE = """
UPDATE predictions_execution run
SET state = 'FAILED', error = %b, error_code = 'deadline', attempt = attempt + 1, finished_at = now(), checkpoint = NULL
FROM (
    SELECT id, state FROM predictions_execution
    WHERE deadline_at IS NOT NULL AND deadline_at <= now() AND state IN ('QUEUED', 'WAITING')
    ORDER BY deadline_at LIMIT 500 FOR UPDATE SKIP LOCKED
) late WHERE run.id = late.id
-- What waited has its question stored already.
RETURNING run.id, attempt, run.state, error, error_code, reply_to, question, request,
    greatest(attempts_before, (late.state = 'WAITING')::int)
"""
# The keys of requests that nobody will send again.
OLD_KEYS = """
DELETE FROM predictions_idempotencykey WHERE id IN (
    SELECT id FROM predictions_idempotencykey WHERE created_at < now() - interval '24 hours' LIMIT 1000
)
"""


class Reaper:
    """One process's share of looking after open runs."""

    def __init__(self, *, pool: Pool, redis: Redis) -> None:
        self._pool = pool
        self._redis = redis
        self._task = asyncio.create_task(forever(self._reap_forever))

    async def stop(self) -> None:
        await end(self._task)

    async def _reap_forever(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self._reap()
            except (DatabaseAway, BrokerAway, RedisError, OSError) as exc:
                logger.warning("open runs not looked after", extra={"error": type(exc).__name__})

    async def _reap(self) -> None:
        fronts, old_front = await self._fronts()  # before the transaction, which a Redis that is away must not undo
        async with borrowed(self._pool) as connection, connection.transaction():
            cursor = await connection.execute("SELECT pg_try_advisory_xact_lock(%b)", [REAPER_LOCK])
            row = await cursor.fetchone()
            if not (row and row[0]):
                return
            requeued, ended = await self._take_back(connection)
            values = [list(fronts), list(fronts.values()), old_front, old_front]
            lost = [QueuedRun(*row) for row in await (await connection.execute(LOST, values)).fetchall()]
            going_on = [QueuedRun(*row) for row in await (await connection.execute(GO_ON)).fetchall()]
            await self._expire(connection)
            late = await self._end_late(connection)
        for run in ended:
            logger.warning("run ended: its worker is gone", extra={"execution_id": run.id})
        await tell(self._redis, [*ended, *late])
        if again := [*requeued, *lost]:
            logger.warning("runs dispatched again", extra={"runs": len(again), "of_dead_workers": len(requeued)})
        if due := [*again, *going_on]:
            await dispatch(self._redis, due)

    async def _take_back(self, connection: Connection) -> tuple[Sequence[QueuedRun], Sequence[EndedRun]]:
        """What starts again at once, and what ended with its worker."""
        cursor = await connection.execute(DEAD, [COME_BACK_S, DEAD_AFTER_S, LOCK_SPACE])
        dead = [row[0] for row in await cursor.fetchall()]
        held = await (await connection.execute(HELD, [dead])).fetchall()
        restart: dict[UUID, int] = {}
        fail: list[UUID] = []
        for execution_id, stop_requested, tries in held:
            if stop_requested or tries >= MAX_ATTEMPTS:
                fail.append(execution_id)
            else:
                restart[execution_id] = tries
        if dead:
            await connection.execute("DELETE FROM predictions_workerlease WHERE id = ANY(%b)", [dead])
        values = [list(restart), list(restart.values())]
        requeued = await (await connection.execute(REQUEUE, values)).fetchall() if restart else []
        failed = await (await connection.execute(FAIL, [LOST_WORKER, fail])).fetchall() if fail else []
        ended = [EndedRun(*row) for row in failed]
        await keep_questions(connection, ended)
        return [QueuedRun(*row) for *row, tries in requeued if tries < 2], ended

    async def _end_late(self, connection: Connection) -> Sequence[EndedRun]:
        late = [EndedRun(*row) for row in await (await connection.execute(LATE, [TOO_LATE])).fetchall()]
        await keep_questions(connection, late)
        return late

    async def _expire(self, connection: Connection) -> None:
        text = EXPIRED.format(hours=settings.PREDICTION_WAIT_EXPIRY_H)
        row = await (await connection.execute(EXPIRE, [text])).fetchone()
        await connection.execute(FORGET)
        await connection.execute(OLD_KEYS)
        if row and row[0]:
            logger.info("runs ended: nobody answered", extra={"runs": row[0]})

    async def _fronts(self) -> tuple[Mapping[UUID, UUID], UUID | None]:
        """What is taken next of each lane, and of Celery's own queue: UNKNOWN if that cannot be said."""
        if not settings.PREDICTIONS_ON_REDIS:
            return {}, None
        try:
            message, fronts = await lanes.fronts(self._redis)
        except (RedisError, OSError):
            return {}, UNKNOWN
        return fronts, None if message is None else read_message(message) or UNKNOWN
