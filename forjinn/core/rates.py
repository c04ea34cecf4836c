"""How often something may be called: all windows that a call counts in at once, in Redis, so that none counts twice.

One script looks at every window first and counts in all of them or in none: a call that one window refuses costs
nothing in the others, and of calls that come together no more get through than a window has room for.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import NoScriptError, RedisError

from forjinn.core.errors import TooManyRequests, Unavailable

logger = logging.getLogger(__name__)

MINUTE_S = 60
WARN_EVERY_S = 60.0
# Managing calls wait in threads, of which there are few: a Redis that hangs must not hold them.
SYNC_TIMEOUT_S = 0.25

# Answers {refused, window, left, ms}: of the window that makes the caller wait longest, or else has the least room.
COUNT = """
local worst, worst_left_ms, nearest, least, nearest_ms = 0, -1, 1, math.huge, 0
local counts, lefts = {}, {}
for i, name in ipairs(KEYS) do
    local most, period_ms = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local count, left_ms = tonumber(redis.call('GET', name) or 0), redis.call('PTTL', name)
    if left_ms < 0 then count, left_ms = 0, period_ms end
    counts[i], lefts[i] = count, left_ms
    if count >= most then
        if left_ms > worst_left_ms then worst, worst_left_ms = i, left_ms end
    elseif most - count - 1 < least then
        nearest, least, nearest_ms = i, most - count - 1, left_ms
    end
end
if worst > 0 then return {1, worst, 0, worst_left_ms} end
for i, name in ipairs(KEYS) do
    if counts[i] == 0 then redis.call('SET', name, 1, 'PX', lefts[i]) else redis.call('INCR', name) end
end
return {0, nearest, least, nearest_ms}
"""
SHA = hashlib.sha1(COUNT.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Window:
    """At most `most` calls in `period_s` seconds, counted from the first of them; `message` is for who is refused."""

    name: str
    most: int
    message: str
    period_s: int = MINUTE_S


@dataclass(frozen=True, slots=True)
class Tally:
    """Where a call stands in the window that is nearest to its end."""

    most: int
    left: int
    reset_s: int

    @property
    def headers(self) -> Mapping[str, str]:
        return {
            "RateLimit-Limit": str(self.most),
            "RateLimit-Remaining": str(self.left),
            "RateLimit-Reset": str(self.reset_s),
        }


class RateLimited(TooManyRequests):
    """A window is full. `window` says which."""

    def __init__(self, window: Window, tally: Tally) -> None:
        super().__init__(window.message)
        self.window = window
        self.retry_after_s = tally.reset_s
        self.headers = tally.headers


_tally: ContextVar[Tally | None] = ContextVar("tally", default=None)


def begin_tally() -> None:
    """A request begins: nothing has been counted for it."""
    _tally.set(None)


def tally_of_call() -> Tally | None:
    """Where the present request stands, if it was counted."""
    return _tally.get()


async def acount(redis: AsyncRedis, windows: Sequence[Window], *, is_known: bool) -> None:
    """Count a call in all of these windows. `is_known`: the caller has shown who they are.

    Raises RateLimited if one is full, and Unavailable for strangers if Redis is away; callers who are known pass then.
    """
    if not windows:
        return
    arguments = _arguments(windows)
    try:
        try:
            answer = await redis.execute_command("EVALSHA", SHA, *arguments)
        except NoScriptError:
            answer = await redis.execute_command("EVAL", COUNT, *arguments)
    except (RedisError, OSError) as exc:
        _let_pass(exc, is_known=is_known)
        return
    _judge(windows, answer)


def count(windows: Sequence[Window], *, is_known: bool) -> None:
    """As `acount`, for synchronous callers."""
    if not windows:
        return
    redis, arguments = _client(settings.REDIS_URL), _arguments(windows)
    try:
        try:
            answer = redis.execute_command("EVALSHA", SHA, *arguments)
        except NoScriptError:
            answer = redis.execute_command("EVAL", COUNT, *arguments)
    except (RedisError, OSError) as exc:
        _let_pass(exc, is_known=is_known)
        return
    _judge(windows, answer)


def network_of(address: str) -> str:
    """What is counted as one address: of IPv6 the network of 64 bits, all of which one subscriber has."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False).network_address)
    except ValueError:
        return address


def _arguments(windows: Sequence[Window]) -> list[Any]:
    bounds = [value for window in windows for value in (window.most, window.period_s * 1000)]
    return [len(windows), *(f"rate:{window.name}" for window in windows), *bounds]


def _judge(windows: Sequence[Window], answer: Sequence[int]) -> None:
    is_refused, number, left, left_ms = answer
    window = windows[number - 1]
    tally = Tally(window.most, left, max(1, -(-left_ms // 1000)))
    _tally.set(tally)
    if is_refused:
        raise RateLimited(window, tally)


class _Warnings:
    """One line a minute, however many calls pass uncounted."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._passed = 0

    def passed(self, exc: Exception) -> None:
        now_s = time.monotonic()
        self._passed += 1
        if self._last_s is None or now_s - self._last_s >= WARN_EVERY_S:
            logger.warning("calls are not counted", extra={"error": type(exc).__name__, "passed": self._passed})
            self._last_s, self._passed = now_s, 0


_warnings = _Warnings()


def passed_uncounted(exc: Exception) -> None:
    """A call was let through although it could not be counted: say so, now and then."""
    _warnings.passed(exc)


def _let_pass(exc: Exception, *, is_known: bool) -> None:
    if not is_known:
        raise Unavailable("Unavailable for the moment: calls without a key cannot be counted") from exc
    passed_uncounted(exc)


@lru_cache(maxsize=2)
def _client(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=SYNC_TIMEOUT_S, socket_connect_timeout=SYNC_TIMEOUT_S)
