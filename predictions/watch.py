"""Following runs from a web process: one subscription for every caller that waits here, and a shared poll for the rest.

A caller whose own request started the run gets entries as its worker publishes them. Everybody else (a resumed
stream, a second viewer, anyone after the subscription broke, a reader too slow for its queue) is served from the
run's stream by one XREAD for all of them. When a stream stays silent the database is asked whether the run has ended,
so nobody waits for a worker or a Redis that is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from predictions.duties import forever
from predictions.pool import DatabaseAway, Pool, borrowed
from predictions.redis import open_subscriber
from predictions.stream import AT, CONTINUED, FIELD, RECORD, SETTLED, EntryId, now_ms, stream_key

logger = logging.getLogger(__name__)

POLL_S = 0.1
SILENCE_S = 2.0  # how long a stream may say nothing before the database is asked
MAX_QUEUE = 1000  # entries a slow reader may leave unread before it is served from the stream instead
UNREAD_S = 60.0  # a watcher that nobody reads is followed for so long; readers look at least once a heartbeat
END = 1_000_000_000  # number of an end that the database told: after every entry that a viewer may have seen

ENDED = """
SELECT id, attempt, extract(epoch FROM finished_at)::float8 * 1000, state, output, error, error_code
FROM predictions_execution
WHERE id = ANY(%b) AND state IN ('COMPLETED', 'FAILED', 'CANCELLED', 'WAITING')
"""
MISSING = """
SELECT wanted FROM unnest(%b::uuid[]) wanted WHERE NOT EXISTS (SELECT FROM predictions_execution WHERE id = wanted)
"""

DELETED = {
    "state": "CANCELLED",
    "output": None,
    "error": "This run was deleted with its chatflow",
    "error_code": "deleted",
}

EventPair = Sequence[Any]  # [type, fields]


@dataclass(frozen=True, slots=True)
class Entry:
    """One flush of a run: the events that left its worker together."""

    id: EntryId
    events: Sequence[EventPair]
    at_ms: float = field(default_factory=now_ms)  # when it was written, since the epoch

    @property
    def settled(self) -> Mapping[str, Any] | None:
        """The run's end, if this entry holds it."""
        if self.events and self.events[-1][0] == SETTLED:
            fields: Mapping[str, Any] = self.events[-1][1]
            return fields
        return None

    def follows(self, other: EntryId, *, is_new: bool) -> bool:
        """Whether nothing can be missing for a viewer whose last entry is the other. `is_new`: who has seen nothing."""
        if self.id.attempt == other.attempt:
            return self.id.number == other.number + 1
        if self.id.number != 1:
            return False
        name, fields = self.events[0]
        if name != CONTINUED:
            return True
        # What an earlier attempt said, this one does not repeat; if it does not know what that was, it is only for
        # those who have seen nothing.
        if fields["after"] is None:
            return is_new and other.number in (0, END)
        return bool(fields["after"] == str(other))


class Watcher:
    """One reader of one run's events from the attempt after `after` on, each entry once and in order."""

    def __init__(self, hub: Hub, execution_id: UUID, *, is_live: bool, after: int, is_new: bool) -> None:
        self.execution_id = execution_id
        self.is_new = is_new
        self.is_live = is_live
        self.is_abandoned = False
        self.is_closed = False
        self.is_followed = False
        self.last = EntryId(after, END if after else 0)
        self.polled = self.last  # up to where its stream has been looked through
        # A run that nobody publishes to us may be over, and its stream gone: the database is asked soon.
        self.quiet_since = asyncio.get_running_loop().time() - (0 if is_live else SILENCE_S - 3 * POLL_S)
        # When somebody looked for an entry the last time; None: somebody waits for one.
        self.read_at: float | None = asyncio.get_running_loop().time()
        self._hub = hub
        self._queue: deque[Entry] = deque()
        self._ready = asyncio.Event()

    @property
    def wants_poll(self) -> bool:
        return not self.is_live and len(self._queue) < MAX_QUEUE

    @property
    def place(self) -> EntryId:
        """After which entry its stream is read on. What came behind a gap is not read again: it never fits."""
        return max(self.last, self.polled, key=_entry)

    def offer(self, entry: Entry) -> None:
        """Take the next entry; one that came before is ignored.

        After a gap nothing is taken: an answer without its middle is worse than one that comes late. What was missed
        is read from the stream, and if Redis has lost it, the end comes from the database.
        """
        if entry.id.entry <= self.last.entry:
            return
        if not entry.follows(self.last, is_new=self.is_new) or (self.is_live and len(self._queue) >= MAX_QUEUE):
            self.is_live = False
            return
        self._take(entry)

    def end(self, attempt: int, settled: Mapping[str, Any], at_ms: float | None = None) -> None:
        """The run is over, says the database. An end that this reader is already past is ignored."""
        place = EntryId(max(attempt, self.last.attempt), END)
        if place.entry > self.last.entry:
            self._take(Entry(place, [[SETTLED, settled]], at_ms or now_ms()))

    def _take(self, entry: Entry) -> None:
        self.last = entry.id
        self.quiet_since = asyncio.get_running_loop().time()
        self._queue.append(entry)
        self._ready.set()

    def wake(self) -> None:
        """Let a waiting `next_entry` return, with nothing if there is nothing."""
        self._ready.set()

    async def next_entry(self, *, timeout_s: float) -> Entry | None:
        """The next entry, or None if none came in time."""
        self._hub.follow(self)
        self.read_at = None
        try:
            if not self._queue:
                self._ready.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(timeout_s):
                        await self._ready.wait()
        finally:
            self.read_at = asyncio.get_running_loop().time()
        return self._queue.popleft() if self._queue else None

    def close(self) -> None:
        """Stop following, from any thread: Django closes responses in others. Safe to call again."""
        self.is_closed = True
        with contextlib.suppress(RuntimeError):  # the loop has ended, and all watching with it
            self._hub.loop.call_soon_threadsafe(self._hub.forget, self)

    async def settled(self, *, timeout_s: float) -> Mapping[str, Any] | None:
        """The run's end, however much comes before it; None if it did not come in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while (left_s := deadline - loop.time()) > 0 and not self.is_abandoned:
            entry = await self.next_entry(timeout_s=left_s)
            if entry is not None and entry.settled is not None:
                return entry.settled
        return None


class Hub:
    """All watchers of a web process, and the one subscription that feeds them."""

    def __init__(self, redis: Redis, pool: Pool) -> None:
        self.channel = f"web:{secrets.token_hex(8)}"
        self.is_connected = False
        self.loop = asyncio.get_running_loop()
        self._redis = redis
        self._pool = pool
        self._watchers: dict[bytes, list[Watcher]] = {}
        self._subscriber = open_subscriber()
        duties = (self._listen_forever, self._poll_forever, self._ask_forever)
        self._tasks = [asyncio.create_task(forever(duty)) for duty in duties]

    def watch(self, execution_id: UUID, *, is_live: bool, after: int = 0, is_new: bool = True) -> Watcher:
        """Follow a run, its attempts after number `after`, until the watcher is closed.

        `is_new`: who it is for has seen nothing of it; else what only the new may see is kept from them.

        `is_live`: the run's `reply_to` is this hub's channel and that attempt has not started, so all its entries come
        here.
        """
        watcher = Watcher(self, execution_id, is_live=is_live and self.is_connected, after=after, is_new=is_new)
        self._add(watcher)
        return watcher

    def follow(self, watcher: Watcher) -> None:
        """Follow a watcher again that has been forgotten, unless it is closed; what it missed is in the stream."""
        if not watcher.is_followed and not watcher.is_closed:
            watcher.is_live = False
            self._add(watcher)

    def _add(self, watcher: Watcher) -> None:
        watcher.is_followed = True
        self._watchers.setdefault(str(watcher.execution_id).encode(), []).append(watcher)

    def forget(self, watcher: Watcher) -> None:
        """Follow it no longer. On this hub's loop only: its other tasks must not see the watchers change."""
        name = str(watcher.execution_id).encode()
        watchers = self._watchers.get(name, [])
        watcher.is_followed = False
        if watcher in watchers:
            watchers.remove(watcher)
        if not watchers:
            self._watchers.pop(name, None)

    def wake_all(self, *, abandon: bool) -> None:
        """Let every reader look up: this process is to stop. `abandon`: nobody waits here any longer."""
        for watcher in self._everyone():
            watcher.is_abandoned = watcher.is_abandoned or abandon
            watcher.wake()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._subscriber.aclose()

    async def _listen_forever(self) -> None:
        pause_s = 0.05
        while True:
            try:
                async with self._subscriber.pubsub() as pubsub:
                    await pubsub.subscribe(self.channel)
                    async for message in pubsub.listen():
                        if message["type"] == "subscribe":
                            # Perhaps not for the first time: the library connects again by itself.
                            self._serve_from_streams()
                            self.is_connected = True
                            pause_s = 0.05
                        elif message["type"] == "message":
                            self._deliver(message["data"])
            except (RedisError, OSError) as exc:
                logger.warning("event subscription lost", extra={"error": type(exc).__name__})
            self.is_connected = False
            self._serve_from_streams()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.5)

    def _serve_from_streams(self) -> None:
        """What was published while nobody listened is in the streams: everybody who waits here reads on there."""
        for watcher in self._everyone():
            watcher.is_live = False

    def _deliver(self, data: bytes) -> None:
        for record in data.split(RECORD):
            name, entry_id, payload = record.split(b" ", 2)
            if watchers := self._watchers.get(name):
                entry = Entry(EntryId.parse(entry_id.decode()), orjson.loads(payload))
                for watcher in watchers:
                    if watcher.is_live:
                        watcher.offer(entry)

    async def _poll_forever(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            self._forget_unread()
            try:
                await self._poll()
            except (RedisError, OSError):
                logger.debug("streams cannot be polled: Redis is away")

    async def _ask_forever(self) -> None:
        # Apart from the polling, which must go on while this waits for a database that is away.
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self._ask_database()
            except DatabaseAway:
                logger.warning("ended runs cannot be looked up: the database is away")

    def _forget_unread(self) -> None:
        """A client that goes away at the wrong moment leaves a watcher that nobody closes."""
        longest_ago = self.loop.time() - UNREAD_S
        for watcher in self._everyone():
            if watcher.read_at is not None and watcher.read_at < longest_ago:
                self.forget(watcher)

    async def _poll(self) -> None:
        polled: dict[str, list[Watcher]] = {}
        for watcher in self._everyone():
            if watcher.wants_poll:
                polled.setdefault(stream_key(watcher.execution_id), []).append(watcher)
        if not polled:
            return
        after = {key: str(min((w.place for w in watchers), key=_entry)) for key, watchers in polled.items()}
        for key, rows in await self._redis.xread(after, count=200):
            for entry_id, fields in rows:
                at_ms = float(fields.get(AT) or now_ms())
                entry = Entry(EntryId.parse(entry_id.decode()), orjson.loads(fields[FIELD]), at_ms)
                for watcher in polled[key.decode()]:
                    watcher.offer(entry)
                    watcher.polled = max(watcher.polled, entry.id, key=_entry)

    async def _ask_database(self) -> None:
        now = asyncio.get_running_loop().time()
        silent: dict[UUID, list[Watcher]] = {}
        for watcher in self._everyone():
            if now - watcher.quiet_since > SILENCE_S:
                watcher.quiet_since = now
                silent.setdefault(watcher.execution_id, []).append(watcher)
        if not silent:
            return
        async with borrowed(self._pool) as connection:
            rows = await (await connection.execute(ENDED, [list(silent)])).fetchall()
            gone = await (await connection.execute(MISSING, [list(silent)])).fetchall()
        for execution_id, attempt, at_ms, *ending in rows:
            settled = dict(zip(("state", "output", "error", "error_code"), ending, strict=True))
            for watcher in silent[execution_id]:
                watcher.end(attempt, settled, at_ms)
        for (execution_id,) in gone:
            for watcher in silent[execution_id]:
                watcher.end(watcher.last.attempt + 1, DELETED)

    def _everyone(self) -> list[Watcher]:
        return [watcher for watchers in self._watchers.values() for watcher in watchers]


def _entry(position: EntryId) -> tuple[int, int]:
    return position.entry
