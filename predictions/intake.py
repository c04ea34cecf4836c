"""Taking predictions off a Redis broker on the worker's own loop, without Celery's consumer between.

As many are taken as there is room for, so the rest stays for other workers. No lane gets all of the room: who comes
next need not wait for the end of somebody else's long runs.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import logging
from collections import Counter
from collections.abc import Callable
from uuid import UUID

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from predictions import lanes
from predictions.dispatch import TASK
from predictions.duties import forever
from predictions.lanes import QUEUE, Left, Taken, Wish

logger = logging.getLogger(__name__)

BLOCK_S = 1.0  # one command waits this long for a message; the order to stop is seen in between
MOST_AT_ONCE = 32
AWAY_PAUSE_S = 0.25

Begin = Callable[[UUID, Callable[[], object]], None]


class Intake:
    """Takes messages until it is closed, and calls `begin` with each run's id, and with what gives its place back.

    `waiting` is a connection of its own to wait on.
    """

    def __init__(self, redis: Redis, waiting: Redis, *, places: int, begin: Begin) -> None:
        self._redis = redis
        self._waiting = waiting
        self._places = places
        self._begin = begin
        self._held: Counter[str] = Counter()
        self._left = Left.MORE
        self._has_changed = asyncio.Event()  # a place is free again, or no more is to be taken
        self._entry: asyncio.Task[None] | None = None
        self._is_closing = False
        self._task = asyncio.create_task(forever(self._take_forever))

    async def close(self) -> None:
        """Take no more. A message that is on its way is still taken: nothing would bring it back soon."""
        self._is_closing = True
        self._has_changed.set()
        await self._task
        if self._entry is not None:
            await asyncio.gather(self._entry, return_exceptions=True)

    async def _take_forever(self) -> None:
        is_warned = False
        while not self._is_closing:
            if self._held.total() >= self._places:
                self._has_changed.clear()
                await self._has_changed.wait()
                continue
            try:
                taken = await self._take()
                is_warned = False
            except (RedisError, OSError) as exc:
                if not is_warned:
                    logger.warning("no messages: Redis is away", extra={"error": type(exc).__name__})
                is_warned = True
                self._left = Left.MORE  # for all that is known
                await asyncio.sleep(AWAY_PAUSE_S)
                continue
            self._left = taken.left
            self._start(taken)

    async def _take(self) -> Taken:
        if self._left is Left.NOTHING and self._entry is None:
            return await lanes.wait_and_take(self._waiting, self._wish(), for_s=BLOCK_S)
        if self._left is not Left.MORE:
            await self._wait_for_change()
            if self._is_closing:
                return Taken()
        self._has_changed.clear()
        return await lanes.take(self._redis, self._wish())

    def _wish(self) -> Wish:
        free = self._places - self._held.total()
        return Wish(most=min(free, MOST_AT_ONCE), free=free, held=self._held)

    async def _wait_for_change(self) -> None:
        """Until a run of this worker ends or a lane begins to wait: what waits already may not be taken here."""
        if self._entry is None:
            self._entry = asyncio.create_task(lanes.wait_for_entry(self._waiting, for_s=BLOCK_S))
        change = asyncio.create_task(self._has_changed.wait())
        await asyncio.wait({self._entry, change}, return_when=asyncio.FIRST_COMPLETED)
        change.cancel()
        if self._entry.done():
            entry, self._entry = self._entry, None
            entry.result()

    def _start(self, taken: Taken) -> None:
        for lane, message in taken.messages:
            execution_id = UUID(message.decode()) if lane else read_message(message)
            if execution_id is not None:
                self._held[lane] += 1
                self._begin(execution_id, functools.partial(self._leave, lane))

    def _leave(self, lane: str) -> None:
        self._held[lane] -= 1
        if not self._held[lane]:
            del self._held[lane]
        self._has_changed.set()


def read_message(message: bytes) -> UUID | None:
    """The id in a Celery message of `predictions.execute` (protocol 2, JSON); None, and a log line, for another."""
    try:
        envelope = orjson.loads(message)
        task = envelope["headers"]["task"]
        body = envelope["body"]
        if envelope["properties"].get("body_encoding") == "base64":
            body = base64.b64decode(body)
        if task == TASK:
            return UUID(orjson.loads(body)[0][0])
    except (ValueError, LookupError, TypeError, AttributeError):
        task = "unreadable"
    logger.error("a message that is no prediction was dropped", extra={"queue": QUEUE, "task": task})
    return None
