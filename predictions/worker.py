"""The worker process: one thread with one uvloop, on which every run of this process lives.

On a Redis broker the loop takes its messages itself; on any other, Celery's main thread consumes them and calls
`submit`, which blocks it at capacity, so that messages stay in the broker for workers that have room. A boot step of
Celery starts and drains the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import uvloop
from asgiref.sync import sync_to_async
from celery import bootsteps
from celery.worker import state as celery_state
from django.conf import settings

from engine.registry import load_registry
from engine.sandbox.pool import JavaScriptSandbox
from forjinn.core.records import listen
from predictions.commands import orders_of, read_commands
from predictions.duties import forever
from predictions.hooks.deliverer import Deliverer
from predictions.intake import BLOCK_S, Intake
from predictions.lanes import QUEUE
from predictions.leases import BEAT_S, Lease
from predictions.pool import DatabaseAway, open_pool
from predictions.reaper import Reaper
from predictions.redis import open_blocking, open_redis
from predictions.runs import RunHost
from predictions.store import Store
from predictions.stream import EventPublisher
from workspaces.seals import check_keys_at_start
from workspaces.world import open_http

logger = logging.getLogger(__name__)

DRAIN_S = 20.0  # how long runs may finish after the order to stop; what is left starts again elsewhere


class HostProcess:
    """The loop thread of a worker process and what lives on it."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="runs", daemon=True)
        self._room = threading.Semaphore(settings.PREDICTION_CONCURRENCY)
        self._tasks: set[asyncio.Task[None]] = set()
        self._services: contextlib.AsyncExitStack | None = None
        self._host: RunHost | None = None
        self._store: Store | None = None
        self._intake: Intake | None = None

    def start(self) -> None:
        self._thread.start()
        self._call(self._open())

    def submit(self, execution_id: UUID) -> None:
        """Run it on the loop. Blocks while the process has no room, until it has or is told to stop."""
        while not self._room.acquire(timeout=0.5):
            if celery_state.should_stop or celery_state.should_terminate:
                return
        self._loop.call_soon_threadsafe(self._begin, execution_id, self._room.release)

    def drain(self) -> None:
        """Let runs finish for a bounded time, then let go of everything. Celery consumes no more by now."""
        deadline = time.monotonic() + DRAIN_S
        if self._intake is not None:
            self._call(self._intake.close())
        logger.info("worker draining", extra={"runs": len(self._tasks)})
        while self._tasks and time.monotonic() < deadline:
            time.sleep(0.05)
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _open(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            pool = open_pool(name="worker")
            await pool.open(wait=True)
            await sync_to_async(check_keys_at_start)()
            stack.push_async_callback(pool.close)
            redis = open_redis()
            stack.push_async_callback(redis.aclose)
            lease = Lease()
            worker_id = await lease.take()
            stack.push_async_callback(lease.drop)
            http = open_http()
            stack.push_async_callback(http.close)
            publisher = EventPublisher(redis, retention_s=settings.STREAM_RETENTION_S)
            stack.push_async_callback(publisher.stop)
            store = self._store = Store(pool, worker=worker_id)
            sandbox = JavaScriptSandbox()
            stack.push_async_callback(sandbox.close)
            host = self._host = RunHost(
                store=store, publisher=publisher, http=http, sandbox=sandbox, registry=load_registry(), redis=redis
            )
            reaper = Reaper(pool=pool, redis=redis)
            stack.push_async_callback(reaper.stop)
            deliverer = Deliverer(pool=pool, http=http)
            stack.push_async_callback(deliverer.stop)
            for duty in (functools.partial(read_commands, host.obey), self._look_for_orders, self._let_go, listen):
                task = asyncio.create_task(forever(duty))
                stack.callback(task.cancel)
            if settings.PREDICTIONS_ON_REDIS:
                queue = open_blocking(longest_s=BLOCK_S)
                stack.push_async_callback(queue.aclose)
                self._intake = Intake(redis, queue, places=settings.PREDICTION_CONCURRENCY, begin=self._begin)
            self._services = stack.pop_all()
        # What is there now stays: to look through it at each collection made a node of a long run a third dearer.
        gc.collect()
        gc.freeze()
        logger.info("worker ready", extra={"worker": worker_id, "concurrency": settings.PREDICTION_CONCURRENCY})

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._services:
            await self._services.aclose()

    def _begin(self, execution_id: UUID, leave: Callable[[], object]) -> None:
        """Run it. A place has been taken for it, which `leave` gives back."""
        assert self._host is not None
        task = asyncio.create_task(self._host.execute(execution_id))
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._end, leave))

    def _end(self, leave: Callable[[], object], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        leave()
        if not task.cancelled() and (exc := task.exception()):
            logger.error("a run escaped its host", exc_info=exc)

    async def _look_for_orders(self) -> None:
        """The second way an order arrives, should Redis have lost the first."""
        assert self._host is not None
        assert self._store is not None
        while True:
            await asyncio.sleep(BEAT_S)
            with contextlib.suppress(DatabaseAway):
                for order, execution_id in await orders_of(self._store.pool, self._host.ids):
                    self._host.obey(order, execution_id)

    async def _let_go(self) -> None:
        """Runs that are ours in the database and not here: nobody else would take them while this process lives."""
        host, store = self._host, self._store
        assert host is not None
        assert store is not None
        while True:
            await asyncio.sleep(BEAT_S)
            with contextlib.suppress(DatabaseAway):
                if ids := await store.let_go(lambda: host.ids):
                    logger.warning("runs let go: they are not here", extra={"runs": len(ids)})


@functools.cache
def host_process() -> HostProcess:
    """This process's one."""
    return HostProcess()


class RunLoopStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery has no types
    """Starts the loop before Celery consumes, and drains it after Celery has stopped consuming."""

    requires = {"celery.worker.components:Pool"}

    def start(self, worker: Any) -> None:
        if settings.PREDICTIONS_ON_REDIS:
            worker.app.amqp.queues.deselect([QUEUE])  # the loop takes them itself
        host_process().start()

    def stop(self, worker: Any) -> None:
        host_process().drain()

    def terminate(self, worker: Any) -> None:
        host_process().drain()
