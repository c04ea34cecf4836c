"""How many streams one caller may follow at once in this process: an open stream costs memory whoever reads it."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from django.conf import settings

from forjinn.core.errors import TooManyRequests
from forjinn.core.rates import network_of

RETRY_S = 2


class TooManyStreams(TooManyRequests):
    """The caller follows as many as they may."""

    code = "too_many_streams"
    retry_after_s = RETRY_S


class Seat:
    """One open stream's place. Closing twice is fine."""

    def __init__(self, taken: Counter[str], who: str) -> None:
        self._taken = taken
        self._who: str | None = who
        taken[who] += 1

    def close(self) -> None:
        if self._who is None:
            return
        self._taken[self._who] -= 1
        if not self._taken[self._who]:
            del self._taken[self._who]
        self._who = None


_taken: Counter[str] = Counter()


def take_seat(address: str, key_id: UUID | None) -> Seat:
    """For a stream that is about to open; who closes the stream closes it. Raises TooManyStreams."""
    most = settings.STREAMS_PER_ADDRESS if key_id is None else settings.STREAMS_PER_KEY
    who = f"address:{network_of(address)}" if key_id is None else f"key:{key_id}"
    if most and _taken[who] >= most:
        raise TooManyStreams(f"{most} streams are open already from here: close one, and come back then")
    return Seat(_taken, who)
