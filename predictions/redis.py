"""Connections to Redis for the prediction path."""

from __future__ import annotations

from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError

# redis-py's own defaults are 5 s for a read, which ends blocking reads, 100 connections, which a burst exceeds, and
# three retries with pauses of seconds, in which a caller hears nothing and a subscriber believes that it hears all.
_COMMON = {"max_connections": 1000, "socket_connect_timeout": 2.0}


def _retry(times: int) -> Retry:
    # Who did not answer in time would not the second time either.
    return Retry(NoBackoff(), times, supported_errors=(ConnectionError,))


def open_redis() -> Redis:
    """For commands: gives up after 2 s, so a lost Redis is an error, not a hang."""
    # Once more at once: a pooled connection may have been closed since it was last used.
    return Redis.from_url(settings.REDIS_URL, socket_timeout=2.0, retry=_retry(1), **_COMMON)


def open_subscriber() -> Redis:
    """For pub/sub: waits as long as it takes; the keep-alive finds a peer that is gone."""
    return Redis.from_url(settings.REDIS_URL, socket_timeout=None, socket_keepalive=True, retry=_retry(0), **_COMMON)


def open_blocking(*, longest_s: float) -> Redis:
    """For commands that wait up to `longest_s` for something to come, one after the other on one connection."""
    return Redis.from_url(
        settings.REDIS_URL, socket_timeout=longest_s + 4.0, retry=_retry(0), single_connection_client=True
    )
