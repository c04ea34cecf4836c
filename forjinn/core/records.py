"""Frozen records that each process keeps, so that a warm request asks no database.

A record is believed for RECORD_TTL_S while this process hears announcements, and for ALONE_TTL_S while it does not.
Announcements travel over Redis; "hears" means that Redis has answered within LEASE_S. So a change is visible
everywhere within ALONE_TTL_S, or LEASE_S if Redis is lost at that moment, whichever is longer: a second at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

import orjson
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, transaction
from redis import Redis, RedisError
from redis.asyncio import Redis as AsyncRedis

from forjinn.core.errors import DATABASE_AWAY, Unavailable
from forjinn.core.scopes import system_scope

logger = logging.getLogger(__name__)

CHANNEL = "forjinn:stale"
RECORD_TTL_S = 60.0
ALONE_TTL_S = 0.9
ABSENT_TTL_S = 0.9  # shields the database from a client that keeps asking for what is not there
LEASE_S = 0.9
BEAT_S = 0.25  # how often a silent Redis is asked whether it is still there
RECONNECT_S = 0.5
MAX_ABSENT = 1000

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class _Link:
    """Whether this process hears announcements."""

    def __init__(self) -> None:
        self._heard_at: float | None = None

    @property
    def is_alive(self) -> bool:
        return self._heard_at is not None and time.monotonic() - self._heard_at < LEASE_S

    @property
    def was_heard(self) -> bool:
        return self._heard_at is not None

    def heard(self) -> None:
        self._heard_at = time.monotonic()

    def lost(self) -> None:
        self._heard_at = None


_link = _Link()
_caches: dict[str, RecordCache[Any, Any]] = {}
# Caches of which something was to be announced, and nobody was told: said again by who listens, of the whole cache.
_untold: set[str] = set()


@dataclass(frozen=True, slots=True)
class _Entry(Generic[R]):
    record: R | None
    loaded_at: float

    def is_fresh(self) -> bool:
        age = time.monotonic() - self.loaded_at
        if self.record is None:
            return age < ABSENT_TTL_S
        return age < (RECORD_TTL_S if _link.is_alive else ALONE_TTL_S)


class RecordCache(Generic[K, R]):
    """Records by key, loaded on a miss by `load`, which uses the ORM and returns None for what is absent.

    `read_key` turns the text of an announcement into a key again. At most `capacity` records are kept, the oldest go
    first; absences are counted apart, so that guessing keys pushes out no record.
    """

    def __init__(
        self, name: str, load: Callable[[K], R | None], *, read_key: Callable[[str], K], capacity: int = 10_000
    ) -> None:
        self.name = name
        self.read_key = read_key
        self._load = load
        self._capacity = capacity
        self._entries: dict[K, _Entry[R]] = {}
        self._absent: dict[K, _Entry[R]] = {}
        self._loading: dict[K, asyncio.Task[R | None]] = {}
        self._drops = 0
        self._lock = threading.Lock()
        _caches[name] = self

    def get(self, key: K) -> R | None:
        """The record; a miss loads it in this thread. Raises Unavailable if the database is away."""
        entry = self._fresh(key)
        return entry.record if entry else self._load_and_keep(key)

    async def aget(self, key: K) -> R | None:
        """The record, with neither thread nor database when warm; callers that miss together load once."""
        if entry := self._fresh(key):
            return entry.record
        task = self._loading.get(key)
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            task = asyncio.create_task(self._aload(key))
            self._loading[key] = task
        # A caller that goes away must not take the load from the others.
        return await asyncio.shield(task)

    def drop(self, key: K) -> None:
        with self._lock:
            self._drops += 1
            self._entries.pop(key, None)
            self._absent.pop(key, None)
            self._loading.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._drops += 1
            self._entries.clear()
            self._absent.clear()
            self._loading.clear()

    def _fresh(self, key: K) -> _Entry[R] | None:
        entry = self._entries.get(key) or self._absent.get(key)
        return entry if entry is not None and entry.is_fresh() else None

    async def _aload(self, key: K) -> R | None:
        try:
            return await sync_to_async(self._load_and_keep)(key)
        finally:
            if self._loading.get(key) is asyncio.current_task():
                del self._loading[key]

    def _load_and_keep(self, key: K) -> R | None:
        """Load, and keep unless something was announced meanwhile: what was read may be the state before that."""
        drops, loaded_at = self._drops, time.monotonic()
        is_in_transaction = transaction.get_connection().in_atomic_block
        try:
            if not is_in_transaction:
                # Where no request begins and ends (a worker), nobody else would notice a connection that has died.
                close_old_connections()
            # A record tells whose something is: it is found by an id or by a secret's hash, before that is known.
            with system_scope():
                record = self._load(key)
        except (OperationalError, InterfaceError) as exc:
            raise Unavailable(DATABASE_AWAY) from exc
        with self._lock:
            # What a transaction sees may never be committed.
            if self._drops == drops and not is_in_transaction:
                self._keep(key, _Entry(record, loaded_at))
        return record

    def _keep(self, key: K, entry: _Entry[R]) -> None:
        self._entries.pop(key, None)
        self._absent.pop(key, None)
        kept, most = (self._absent, MAX_ABSENT) if entry.record is None else (self._entries, self._capacity)
        kept[key] = entry
        if len(kept) > most:
            del kept[next(iter(kept))]


def announce_stale(cache_name: str, key: object) -> None:
    """Have every process load the record anew, once the present transaction is committed."""
    transaction.on_commit(partial(_announce, cache_name, str(key)), robust=True)


def _announce(cache_name: str, key: str) -> None:
    _drop(cache_name, key)
    if not settings.REDIS_URL:
        return
    try:
        _publisher(settings.REDIS_URL).publish(CHANNEL, orjson.dumps([cache_name, key]))
    except RedisError as exc:
        # With Redis away nobody's link is alive, and records last for ALONE_TTL_S only. It may be away for us alone.
        _untold.add(cache_name)
        logger.warning("announcement not sent", extra={"cache": cache_name, "error": type(exc).__name__})


@lru_cache(maxsize=2)
def _publisher(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)


async def listen() -> None:
    """Hear announcements for as long as the process lives: started once in each web and worker process."""
    is_warned = False
    while True:
        try:
            await _follow()
        except (RedisError, OSError, TimeoutError) as exc:
            if _link.was_heard or not is_warned:
                logger.warning("announcements not heard", extra={"error": type(exc).__name__})
                is_warned = True
        finally:
            _link.lost()
        await asyncio.sleep(RECONNECT_S)


async def _follow() -> None:
    """Listen on one connection. Raises when it is lost, or silent for longer than LEASE_S."""
    redis = AsyncRedis.from_url(settings.REDIS_URL, socket_connect_timeout=LEASE_S, socket_timeout=None)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(redis.aclose)
        pubsub = await stack.enter_async_context(redis.pubsub())
        await pubsub.subscribe(CHANNEL)
        asked_at = heard_at = time.monotonic()
        while True:
            message = await pubsub.get_message(timeout=BEAT_S)
            now = time.monotonic()
            if message is not None:
                heard_at = now
                _heed(message)
            elif now - heard_at > LEASE_S:
                raise TimeoutError("Redis is silent")
            if now - asked_at >= BEAT_S:
                asked_at = now
                await pubsub.ping()
                await _tell_again(redis)


async def _tell_again(redis: AsyncRedis) -> None:
    while _untold:
        cache_name = _untold.pop()
        try:
            async with asyncio.timeout(LEASE_S):
                await redis.publish(CHANNEL, orjson.dumps([cache_name, None]))
        except (RedisError, OSError):  # which a TimeoutError is
            _untold.add(cache_name)
            raise


def _heed(message: dict[str, Any]) -> None:
    if message["type"] == "subscribe":
        # What was announced before this moment was not heard.
        for cache in _caches.values():
            cache.clear()
    elif message["type"] == "message":
        with contextlib.suppress(ValueError, TypeError, AttributeError):  # somebody else's message on our channel
            cache_name, key = orjson.loads(message["data"])
            _drop(cache_name, key)
    _link.heard()


def _drop(cache_name: str, key: str | None) -> None:
    """Without a key: all of that cache."""
    if cache := _caches.get(cache_name):
        if key is None:
            cache.clear()
        else:
            cache.drop(cache.read_key(key))
