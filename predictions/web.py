"""What a web process shares between its requests: pool, Redis, hub. Opened and closed by the ASGI lifespan."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Sequence
from types import FrameType
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from redis.asyncio import Redis

from engine.http import HttpClient
from forjinn.core.records import listen
from predictions.batching import Batcher
from predictions.dispatch import BrokerAway, dispatch
from predictions.duties import forever
from predictions.lanes import QueuedRun
from predictions.pool import DatabaseAway, Pool, borrowed, open_pool
from predictions.reaper import Reaper
from predictions.redis import open_redis
from predictions.store import NewRun, Store
from predictions.watch import Hub
from workspaces.seals import check_keys_at_start
from workspaces.world import open_http

logger = logging.getLogger(__name__)

LAST_ANSWERS_S = 5.0  # how long waiting callers may still get their answer once the process is to stop

# Recorded, but no worker will ever be told: the caller was answered 503 and will ask again, with the same key.
ABANDON = """
WITH abandoned AS (
    UPDATE predictions_execution SET state = 'FAILED', error = %b, error_code = 'broker_away', finished_at = now()
    WHERE id = ANY(%b) AND state = 'QUEUED' RETURNING id
)
DELETE FROM predictions_idempotencykey WHERE execution_id IN (SELECT id FROM abandoned)
"""


class WebProcess:
    """The shared parts, and the one write that they make together."""

    def __init__(self, *, pool: Pool, redis: Redis, hub: Hub, http: HttpClient) -> None:
        self.pool = pool
        self.redis = redis
        self.hub = hub
        self.http = http
        self.closing = asyncio.Event()
        self._store = Store(pool)
        self.start_run: Batcher[NewRun, bool] = Batcher(self._start_runs, whole=(DatabaseAway, BrokerAway))

    def close_gently(self) -> None:
        """Send streams elsewhere now; callers that wait for one answer get some seconds more."""
        self.closing.set()
        self.hub.wake_all(abandon=False)
        asyncio.get_running_loop().call_later(LAST_ANSWERS_S, lambda: self.hub.wake_all(abandon=True))

    async def _start_runs(self, runs: Sequence[NewRun]) -> Sequence[bool]:
        """Record, commit, then wake workers: from the commit on nothing can lose the runs. Which of them are new?"""
        new = await self._store.record_many(runs)
        try:
            if new:
                await dispatch(self.redis, [QueuedRun(run.id, run.workspace_id) for run in runs if run.id in new])
        except BrokerAway:
            await self._abandon(list(new))
            raise
        return [run.id in new for run in runs]

    async def _abandon(self, ids: Sequence[UUID]) -> None:
        async with borrowed(self.pool) as connection:
            await connection.execute(ABANDON, ["The broker could not be reached", list(ids)])


_process: WebProcess | None = None
_services: contextlib.AsyncExitStack | None = None


def web_process() -> WebProcess:
    """This process's shared parts. They exist between the lifespan's start and its end."""
    assert _process is not None, "the ASGI lifespan has not started"
    return _process


async def startup() -> None:
    """Open everything once, on the server's loop. A database that is away is waited for by the requests, not here.

    Raises SealBroken if the keys are not those of what is stored.
    """
    global _process, _services
    await sync_to_async(check_keys_at_start)()
    async with contextlib.AsyncExitStack() as stack:
        pool = open_pool(name="web")
        await pool.open(wait=False)
        stack.push_async_callback(pool.close)
        redis = open_redis()
        stack.push_async_callback(redis.aclose)
        http = open_http()
        stack.push_async_callback(http.close)
        hub = Hub(redis, pool)
        stack.push_async_callback(hub.stop)
        reaper = Reaper(pool=pool, redis=redis)
        stack.push_async_callback(reaper.stop)
        listener = asyncio.create_task(forever(listen))
        stack.callback(listener.cancel)
        _process = WebProcess(pool=pool, redis=redis, hub=hub, http=http)
        _services = stack.pop_all()
    gc.collect()
    gc.freeze()  # what is there now stays, and need not be looked through again
    _announce_shutdown(_process)
    logger.info("web ready", extra={"channel": hub.channel, "pool": settings.DATABASE_POOL_SIZE})


async def shutdown() -> None:
    global _process, _services
    if _services:
        await _services.aclose()
    _process = _services = None


def _announce_shutdown(process: WebProcess) -> None:
    """Tell open streams as soon as the order to stop comes: the server itself would wait for them to end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        earlier = signal.getsignal(number)

        def on_signal(received: int, stack: FrameType | None, earlier: object = earlier) -> None:
            loop.call_soon_threadsafe(process.close_gently)
            if callable(earlier):
                earlier(received, stack)

        with contextlib.suppress(ValueError):  # not the main thread: somebody else handles signals
            signal.signal(number, on_signal)
