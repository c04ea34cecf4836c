"""Connections to Redis for the prediction path."""

from __future__ import annotations

from django.conf import settings
from redis.asyncio import Redis

# redis-py's own defaults are 5 s for a read, which ends blocking reads, and 100 connections, which a burst exceeds.
_COMMON = {"max_connections": 1000, "socket_connect_timeout": 2.0}


def open_redis() -> Redis:
    """For commands: gives up after 2 s, so a lost Redis is an error, not a hang."""
    return Redis.from_url(settings.REDIS_URL, socket_timeout=2.0, **_COMMON)


def open_subscriber() -> Redis:
    """For pub/sub: waits as long as it takes; the keep-alive finds a peer that is gone."""
    return Redis.from_url(settings.REDIS_URL, socket_timeout=None, socket_keepalive=True, **_COMMON)
