"""Taking predictions off a Redis broker on the worker's own loop, without Celery's consumer between.

Messages are Celery's own (see `dispatch.py`); only their way is shorter: kombu spends over a millisecond of two threads
on each, here many come with one command. As many are taken as there is room for, so the rest stays for other workers.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
from collections.abc import Callable, Sequence
from uuid import UUID

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from predictions.dispatch import QUEUE, TASK
from predictions.duties import forever

logger = logging.getLogger(__name__)

BLOCK_S = 1.0  # one command waits this long for a message; the order to stop is seen in between
MOST_AT_ONCE = 32
FULL_PAUSE_S = 0.01
AWAY_PAUSE_S = 0.25


class Intake:
    """Takes messages until it is closed, and calls `begin` with each run's id, a place in `room` taken for it."""

    def __init__(self, redis: Redis, *, room: threading.Semaphore, begin: Callable[[UUID], None]) -> None:
        self._redis = redis
        self._room = room
        self._begin = begin
        self._is_closing = False
        self._task = asyncio.create_task(forever(self._take_forever))

    async def close(self) -> None:
        """Take no more. A message that is on its way is still taken: nothing would bring it back soon."""
        self._is_closing = True
        await self._task

    async def _take_forever(self) -> None:
        is_warned = False
        while not self._is_closing:
            if not (places := self._reserve()):
                await asyncio.sleep(FULL_PAUSE_S)
                continue
            messages: Sequence[bytes] = ()
            try:
                messages = await self._pop(places)
                is_warned = False
            except (RedisError, OSError) as exc:
                if not is_warned:
                    logger.warning("no messages: Redis is away", extra={"error": type(exc).__name__})
                is_warned = True
                await asyncio.sleep(AWAY_PAUSE_S)
            finally:
                self._start(messages, places)

    def _reserve(self) -> int:
        places = 0
        while places < MOST_AT_ONCE and self._room.acquire(blocking=False):
            places += 1
        return places

    async def _pop(self, most: int) -> Sequence[bytes]:
        # From the end where kombu takes its messages, too: first in, first out.
        found = await self._redis.execute_command("BLMPOP", BLOCK_S, 1, QUEUE, "RIGHT", "COUNT", most)
        return found[1] if found else ()

    def _start(self, messages: Sequence[bytes], places: int) -> None:
        for message in messages:
            if (execution_id := read_message(message)) is not None:
                places -= 1
                self._begin(execution_id)
        if places:
            self._room.release(places)


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
