"""Records that each process keeps: who loads, who is told, and what happens when Redis is away."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import orjson
import pytest
from asgiref.sync import sync_to_async
from pytest_django import Settings
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from forjinn.core import records
from forjinn.core.records import CHANNEL, RecordCache, announce_stale, listen

pytestmark = pytest.mark.django_db(transaction=True)


class Source:
    """A loader that counts, and can be held up."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {"a": "first"}
        self.loads = 0
        self.started = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def load(self, key: str) -> str | None:
        self.loads += 1
        found = self.rows.get(key)
        self.started.set()
        assert self.gate.wait(10)
        return found


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(source: Source) -> Iterator[RecordCache[str, str]]:
    yield RecordCache("test", source.load, read_key=str, capacity=3)
    del records._caches["test"]
    records._untold.clear()


@pytest.fixture
async def listening() -> AsyncIterator[None]:
    task = asyncio.create_task(listen())
    await until(lambda: records._link.is_alive)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object], *, within_s: float = 5.0) -> float:
    """Seconds until the condition held."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within_s, "it never came true"
        await asyncio.sleep(0.005)
    return time.monotonic() - started


async def test_callers_that_miss_together_load_once(cache: RecordCache[str, str], source: Source) -> None:
    found = await asyncio.gather(*(cache.aget("a") for _ in range(50)))

    assert set(found) == {"first"}
    assert source.loads == 1


async def test_a_caller_that_gives_up_does_not_take_the_load_along(
    cache: RecordCache[str, str], source: Source
) -> None:
    source.gate.clear()
    impatient = asyncio.create_task(cache.aget("a"))
    patient = asyncio.create_task(cache.aget("a"))
    await asyncio.to_thread(source.started.wait)

    impatient.cancel()
    source.gate.set()

    assert await patient == "first"
    assert source.loads == 1


def test_a_failed_load_is_tried_again(cache: RecordCache[str, str], source: Source) -> None:
    def fail(key: str) -> str:
        raise RuntimeError("a defect")

    cache._load = fail
    with pytest.raises(RuntimeError):
        cache.get("a")

    cache._load = source.load

    assert cache.get("a") == "first"


def test_an_absence_is_remembered_briefly(
    cache: RecordCache[str, str], source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [cache.get("b"), cache.get("b")] == [None, None]
    assert source.loads == 1

    monkeypatch.setattr(records, "ABSENT_TTL_S", 0.0)
    source.rows["b"] = "now there"

    assert cache.get("b") == "now there"


def test_the_oldest_go_first_and_absences_push_nothing_out(cache: RecordCache[str, str], source: Source) -> None:
    source.rows.update({"b": "b", "c": "c", "d": "d"})
    for key in ("a", "b", "c", "d", *map(str, range(20))):
        cache.get(key)
    loads = source.loads

    assert [cache.get(key) for key in ("b", "c", "d")] == ["b", "c", "d"]
    assert source.loads == loads
    cache.get("a")
    assert source.loads == loads + 1


def test_what_was_read_before_an_announcement_is_not_kept(cache: RecordCache[str, str], source: Source) -> None:
    source.gate.clear()
    reader = threading.Thread(target=cache.get, args=("a",))
    reader.start()
    source.started.wait()

    source.rows["a"] = "second"
    announce_stale("test", "a")
    source.gate.set()
    reader.join()

    assert cache.get("a") == "second"


def test_without_a_link_records_do_not_last(
    cache: RecordCache[str, str], source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.get("a")
    source.rows["a"] = "second"
    assert cache.get("a") == "first"

    monkeypatch.setattr(records, "ALONE_TTL_S", 0.0)

    assert cache.get("a") == "second"


async def test_with_a_link_records_last(
    cache: RecordCache[str, str], source: Source, listening: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "ALONE_TTL_S", 0.0)

    assert [await cache.aget("a"), await cache.aget("a")] == ["first", "first"]
    assert source.loads == 1


async def test_another_process_announcement_is_heard_at_once(
    cache: RecordCache[str, str], source: Source, listening: None, settings: Settings
) -> None:
    await cache.aget("a")
    source.rows["a"] = "second"
    async with Redis.from_url(settings.REDIS_URL) as redis:
        await redis.publish(CHANNEL, orjson.dumps(["test", "a"]))

    took_s = await until(lambda: not cache._entries)

    assert await cache.aget("a") == "second"
    assert took_s < 0.5


async def test_a_message_that_is_none_ends_nothing(
    cache: RecordCache[str, str], source: Source, listening: None, settings: Settings
) -> None:
    await cache.aget("a")
    async with Redis.from_url(settings.REDIS_URL) as redis:
        for message in (
            b"\xff",
            b"{}",
            b"[1]",
            b"1",
            b"[[],1]",
            b'["chatflows",1]',
            b'["nobody","a"]',
            b'["test","a"]',
        ):
            await redis.publish(CHANNEL, message)

    await until(lambda: not cache._entries)

    assert records._link.is_alive


async def test_a_lost_connection_is_noticed_and_found_again(
    cache: RecordCache[str, str], source: Source, listening: None, settings: Settings
) -> None:
    await cache.aget("a")
    async with Redis.from_url(settings.REDIS_URL) as redis:
        await redis.client_kill_filter(_type="pubsub")

    await until(lambda: not records._link.is_alive)
    await until(lambda: records._link.is_alive)

    # What was announced in between was not heard, so nothing from before is believed.
    assert not cache._entries


def test_with_redis_away_a_change_is_still_seen_here(
    cache: RecordCache[str, str], source: Source, settings: Settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    cache.get("a")
    source.rows["a"] = "second"

    announce_stale("test", "a")

    assert cache.get("a") == "second"


async def test_what_could_not_be_announced_is_announced_later(
    cache: RecordCache[str, str], listening: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cache.aget("a")
    await cache.aget("other")
    nowhere = SyncRedis.from_url("redis://127.0.0.1:1/0", retry=None)
    monkeypatch.setattr(records, "_publisher", lambda url: nowhere)
    async with Redis.from_url(settings.REDIS_URL) as redis, redis.pubsub() as elsewhere:
        await elsewhere.subscribe(CHANNEL)
        await elsewhere.get_message(timeout=5)

        await sync_to_async(announce_stale)("test", "a")
        heard = await elsewhere.get_message(timeout=5)

    assert heard is not None
    assert orjson.loads(heard["data"]) == ["test", None]
    await until(lambda: not cache._entries and not cache._absent)
