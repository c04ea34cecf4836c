"""A flow's own rate limit: how often one address may ask it, as its author set it in `apiConfig.rateLimit`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from chatflows.records import FlowRecord
from forjinn.core.errors import AppError, Unavailable

DEFAULT_MESSAGE = "Too many requests: wait a moment and ask again"


class RateLimited(AppError):
    """The address has asked this flow as often as its author allows for now."""

    status = 429
    code = "too_many_requests"

    def __init__(self, message: str, *, limit: int, reset_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = reset_s
        self.headers = {"RateLimit-Limit": str(limit), "RateLimit-Remaining": "0", "RateLimit-Reset": str(reset_s)}


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `most` calls in `window_s` seconds, counted from the first of them."""

    most: int
    window_s: int
    message: str


def rate_limit_of(api_config: Mapping[str, Any]) -> RateLimit | None:
    """The limit in a flow's settings; None if it is switched off or was never filled in."""
    chosen = api_config.get("rateLimit")
    if not isinstance(chosen, Mapping) or chosen.get("status") in (False, "false"):
        return None
    most, window_s = _positive(chosen.get("limitMax")), _positive(chosen.get("limitDuration"))
    if most is None or window_s is None:
        return None
    return RateLimit(most, window_s, str(chosen.get("limitMsg") or DEFAULT_MESSAGE))


async def check_rate(redis: Redis, flow: FlowRecord, address: str) -> None:
    """Count one call. Raises RateLimited beyond the limit, Unavailable if it cannot be counted."""
    if limit := rate_limit_of(flow.api_config):
        await count_call(redis, f"{flow.id}:{address}", limit)


async def count_call(redis: Redis, what: str, limit: RateLimit) -> None:
    """Count one call of this kind. Raises RateLimited beyond the limit, Unavailable if it cannot be counted."""
    key = f"rate:{what}"
    try:
        async with redis.pipeline(transaction=True) as pipeline:
            pipeline.set(key, 0, ex=limit.window_s, nx=True).incr(key).ttl(key)
            _, count, left_s = await pipeline.execute()
    except (RedisError, OSError) as exc:
        raise Unavailable("Predictions are unavailable for the moment: calls cannot be counted") from exc
    if count > limit.most:
        raise RateLimited(limit.message, limit=limit.most, reset_s=max(1, left_s))


def _positive(value: Any) -> int | None:
    """Editors save numbers as text, too."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if math.isfinite(number) and number >= 1 else None
