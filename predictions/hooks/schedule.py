"""When a message that was not taken is sent again."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from random import Random

# Seconds between two tries; 15 tries in nearly three days.
PAUSES_S = (5, 30, 120, 600, 3600, 3 * 3600, *[8 * 3600] * 8)
SPREAD = 0.1  # of a pause, either way: receivers that were away are not met by everybody at once
LONGEST_WISH_S = 24 * 3600.0


def pause_after(tries: int, *, wish_s: float, random: Random) -> float | None:
    """Seconds to wait after so many tries (the first is 1), not less than the receiver wishes; None after the last."""
    if tries > len(PAUSES_S):
        return None
    pause_s = PAUSES_S[tries - 1] * random.uniform(1 - SPREAD, 1 + SPREAD)
    return max(pause_s, min(wish_s, LONGEST_WISH_S))


def read_wish(retry_after: str, *, now: float) -> float:
    """A `Retry-After` header in seconds from `now` (Unix time), be it a number or a date; 0 for what is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), LONGEST_WISH_S)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0
