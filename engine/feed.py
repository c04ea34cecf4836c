"""The way of events out of a run: numbered, in order, to one reader."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from engine.events import Event

Put = tuple[type[Event], tuple[Any, ...]]  # the class of an event, its fields but `seq`


class Sink(Protocol):
    """Where a run's events go."""

    def put(self, kind: type[Event], *fields: Any) -> None:
        """Take the next event of that class; its fields but `seq` are given."""
        ...


class Feed:
    """Events wait here until the reader comes round; what came together is read together."""

    __slots__ = ("_events", "_gathered", "_is_closed", "_seq", "_taken", "_waiter")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._seq = 0
        self._gathered: list[Put] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._taken: asyncio.Future[None] | None = None
        self._is_closed = False

    def put(self, kind: type[Event], *fields: Any) -> None:
        """Make the next event of that class; its `seq` is given here."""
        if self._gathered is not None:
            self._gathered.append((kind, fields))
            return
        self._seq += 1
        self._events.append(kind(self._seq, *fields))
        self._wake()

    @contextlib.contextmanager
    def gathering(self) -> Iterator[Sequence[Put]]:
        """What is put meanwhile is kept back, so that something else can be put before it."""
        gathered: list[Put] = []
        self._gathered = gathered
        try:
            yield gathered
        finally:
            self._gathered = None

    async def taken(self) -> None:
        """Wait until the reader is done with all that was put, and comes round again."""
        self._taken = asyncio.get_running_loop().create_future()
        await self._taken

    def close(self) -> None:
        """No event follows."""
        self._is_closed = True
        self._wake()

    async def read(self) -> list[Event]:
        """The events since the last call, at least one; none when no event follows."""
        while not self._events and not self._is_closed:
            if self._taken is not None and not self._taken.done():
                self._taken.set_result(None)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        events, self._events = self._events, []
        return events

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
