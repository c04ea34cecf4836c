"""A bounded piece of memory for what is dear to work out: the longest unused goes first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 32 * 1024 * 1024
OVERHEAD = 512  # bytes of an entry beside what it holds


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept, and until when, in monotonic seconds."""

    value: Any
    until: float
    size_bytes: int


class Kept:
    """Values by key, of at most `most_bytes` together, as their owners measure them."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: bytes, *, now: float) -> Any:
        """None if it is not there, or no longer."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now >= entry.until:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.value

    def put(self, key: bytes, value: Any, *, now: float, until: float, size_bytes: int) -> None:
        """What alone is a sixteenth of all there is room for is not kept: it would drive out too much else."""
        self._drop(key)
        size = size_bytes + OVERHEAD
        if size > self._most_bytes // 16 or until <= now:
            return
        self._entries[key] = Entry(value, until, size)
        self._bytes += size
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        if entry := self._entries.pop(key, None):
            self._bytes -= entry.size_bytes
