"""The event log of a run in Redis: one stream a run, written by its worker, read by every viewer.

An entry holds the events of one flush as a JSON array of `[type, fields]` pairs; its id is `attempt-number`, so
a later attempt's entries come after an earlier one's and Redis itself refuses what a superseded worker still writes.
The web process whose caller waits gets the same bytes at once on its own channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from engine.encoding import encode
from engine.events import Event, NodeJournalled, RunPaused, TokenEmitted
from predictions.duties import forever
from predictions.store import ClaimedRun

logger = logging.getLogger(__name__)

Pair = tuple[str, Event | Mapping[str, Any]]  # the name of an event, and the event or its fields

GATHER_S = 0.015  # how long tokens may wait for company; the first one of a run, and the last, never do
MAX_ENTRIES = 10_000  # entries kept of one run
PAGE = 500  # entries read with one command, for which all others wait
OPEN_RETENTION_S = 6 * 3600  # a stream whose run never settles goes away after this
RECORD = b"\x1e"  # between entries on a channel: JSON never contains it raw
FIELD = b"e"  # of an entry: its events
AT = b"t"  # likewise: when it was written, in milliseconds since the epoch
CLOSE_WAIT_S = 15.0

# Events that are not the engine's. The first of a run that a person let go on, and of one that goes on after its
# worker's death, tell what is behind it; one takes back the end of what was said; the last of every log is written
# once the run is settled in the database.
RESUMED = "Resumed"
CONTINUED = "Continued"
RETRACTED = "Retracted"
SETTLED = "Settled"
UNHEARD = (NodeJournalled, RunPaused)  # what they hold is kept in the database, and is not for viewers


def now_ms() -> int:
    return int(time.time() * 1000)


def stream_key(execution_id: UUID | str) -> str:
    return f"run:{execution_id}"


@dataclass(frozen=True, slots=True)
class EntryId:
    """Where a viewer is: the attempt, the entry within it, how many of that entry's frames it has, and how much text.

    `said` counts the characters of the answer so far: should the log be gone, the rest is cut from the whole answer.
    """

    attempt: int
    number: int
    frame: int = 0
    said: int = 0

    @classmethod
    def parse(cls, text: str) -> EntryId:
        """From `2-17` or `2-17.3.250`. Raises ValueError."""
        entry, _, place = text.partition(".")
        attempt, _, number = entry.partition("-")
        frame, _, said = place.partition(".")
        return cls(int(attempt), int(number), int(frame or 0), int(said or 0))

    @property
    def entry(self) -> tuple[int, int]:
        return (self.attempt, self.number)

    def __str__(self) -> str:
        return f"{self.attempt}-{self.number}"


class RunLog:
    """The writing end of one run's stream."""

    def __init__(self, publisher: EventPublisher, run: ClaimedRun, retention_s: int) -> None:
        self.key = stream_key(run.id)
        self.name = str(run.id).encode()
        self.reply_to = run.reply_to
        self.attempt = run.attempt
        self.retention_s = retention_s
        self.is_closing = False
        self.flushed = asyncio.Event()
        self._publisher = publisher
        self._is_streaming = run.is_streaming
        self._number = 0
        self._has_token = False
        self._pending: list[Pair] = []
        self._filter: Callable[[Event], Iterable[Pair]] | None = None

    def continue_with(self, opening: Iterable[Pair], fresh: Callable[[Event], Iterable[Pair]]) -> None:
        """Begin behind what an earlier attempt has shown: `fresh` gives of each event what is still news."""
        self._pending += opening
        self._filter = fresh

    def begin_again(self, trace: Sequence[Mapping[str, Any]]) -> None:
        """Say what the run did before it waited."""
        self._pending.append((RESUMED, {"trace": trace}))

    def append(self, event: Event) -> None:
        """Add one event; it leaves with the next flush, or at the end if nobody watches the run."""
        if isinstance(event, UNHEARD):
            return
        if self._filter is None:
            self._pending.append((type(event).__name__, event))
        else:
            self._pending += self._filter(event)
        if not self._is_streaming or not self._pending:
            return
        urgent = not self._has_token and isinstance(event, TokenEmitted)
        self._has_token = self._has_token or urgent
        self._publisher.touch(self, urgent=urgent or self._number == 0)

    async def close(self, settled: Mapping[str, Any]) -> None:
        """Write the last event and wait until Redis has it, for a bounded time: the database has the answer anyway."""
        self._pending.append((SETTLED, settled))
        self.is_closing = True
        self._publisher.touch(self, urgent=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.flushed.wait(), CLOSE_WAIT_S)

    def take(self) -> tuple[str, bytes] | None:
        """The next entry: its id and payload; None if there is nothing to write."""
        if not self._pending:
            return None
        events, self._pending = self._pending, []
        self._number += 1
        return f"{self.attempt}-{self._number}", encode(events)

    @property
    def is_first_entry(self) -> bool:
        return self._number == 1


class EventPublisher:
    """Writes the logs of all runs of a process, everything that is due in one pipeline."""

    def __init__(self, redis: Redis, *, retention_s: int) -> None:
        self._redis = redis
        self._retention_s = retention_s
        self._dirty: dict[RunLog, None] = {}
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._last_flush = 0.0
        self._task = asyncio.create_task(forever(self._flush_forever))

    def open(self, run: ClaimedRun) -> RunLog:
        # What nobody streamed is in the database whole; its log is only there for those who wait for it right now.
        return RunLog(self, run, self._retention_s if run.is_streaming else min(60, self._retention_s))

    async def written(self, run: ClaimedRun) -> list[tuple[EntryId, Sequence[Any]]]:
        """The entries of the run's log since its last pause; none if Redis is away."""
        rows: list[Any] = []
        begin = f"{run.attempts_before + 1}-0"
        try:
            while page := await self._redis.xrange(stream_key(run.id), min=begin, count=PAGE):
                rows += page
                begin = f"({page[-1][0].decode()}"
        except (RedisError, OSError):
            logger.warning("log of a restarted run not read", extra={"execution_id": run.id})
            return []
        return [(EntryId.parse(entry_id.decode()), orjson.loads(fields[FIELD])) for entry_id, fields in rows]

    def touch(self, log: RunLog, *, urgent: bool) -> None:
        self._dirty[log] = None
        self._wake.set()
        if urgent:
            self._urgent.set()

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _flush_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            pause_s = self._last_flush + GATHER_S - loop.time()
            if pause_s > 0 and not self._urgent.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._urgent.wait(), pause_s)
            self._wake.clear()
            self._urgent.clear()
            logs, self._dirty = self._dirty, {}
            self._last_flush = loop.time()
            await self._flush(logs)

    async def _flush(self, logs: Iterable[RunLog]) -> None:
        entries = [(log, *entry) for log in logs if (entry := _taken(log))]
        try:
            await self._write_patiently(entries)
        finally:
            for log, _, _ in entries:
                if log.is_closing:
                    log.flushed.set()

    async def _write_patiently(self, entries: list[tuple[RunLog, str, bytes]]) -> None:
        pause_s = 0.05
        while entries:
            try:
                return await self._write(entries)
            except (RedisError, OSError):
                logger.warning("event streams are waiting for Redis", extra={"runs": len(entries)})
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, 1.0)

    async def _write(self, entries: list[tuple[RunLog, str, bytes]]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        channels: dict[str, list[bytes]] = {}
        for log, entry_id, payload in entries:
            pipeline.execute_command(
                "XADD", log.key, "MAXLEN", "~", MAX_ENTRIES, entry_id, FIELD, payload, AT, now_ms()
            )
            if log.is_closing:
                pipeline.execute_command("EXPIRE", log.key, log.retention_s)
            elif log.is_first_entry:
                pipeline.execute_command("EXPIRE", log.key, OPEN_RETENTION_S)
            if log.reply_to:
                channels.setdefault(log.reply_to, []).append(b"%b %b %b" % (log.name, entry_id.encode(), payload))
        for channel, messages in channels.items():
            pipeline.execute_command("PUBLISH", channel, RECORD.join(messages))
        for answer in await pipeline.execute(raise_on_error=False):
            # An id that is not above the last one: written before the connection broke, or by a superseded attempt.
            if isinstance(answer, Exception) and not isinstance(answer, ResponseError):
                raise answer


def _taken(log: RunLog) -> tuple[str, bytes] | None:
    """The log's next entry. One that cannot be written leaves a hole: its viewers get the rest from the database."""
    try:
        return log.take()
    except Exception:
        logger.exception("events of a run are left out of its stream", extra={"stream": log.key})
        log.flushed.set()
        return None
