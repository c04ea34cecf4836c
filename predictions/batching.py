"""Many small statements in one: what arrives while a statement is under way leaves together in the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BATCH = 64


class Batcher(Generic[Item, Result]):
    """Turns calls with one item each into calls of `flush` with many.

    An idle batcher flushes at once, so a single caller waits for nothing; a busy one gathers what comes meanwhile, so
    a burst shares statements and commits. `flush` returns one result an item, in order. When it fails, each item is
    tried alone; an error that is one of `whole` is no item's own, and nothing is tried again.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        whole: tuple[type[Exception], ...] = (),
        lanes: int = 2,
    ) -> None:
        self._flush = flush
        self._whole = whole
        self._idle_lanes = lanes
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._idle_lanes:
            self._idle_lanes -= 1
            # What leaves together is many callers': in nobody's context, least of all that of whoever came first.
            task = asyncio.create_task(self._drain(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                await self._settle(batch)
        finally:
            self._idle_lanes += 1

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._flush([item for item, _ in batch])
        except Exception as exc:
            if len(batch) == 1 or isinstance(exc, self._whole):
                for _, future in batch:
                    _fail(future, exc)
                return
            # One bad row must not fail its neighbours.
            for entry in batch:
                await self._settle([entry])
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)


def _fail(future: asyncio.Future[Result], exc: Exception) -> None:
    if not future.done():
        future.set_exception(exc)
