"""How a web process follows runs for its readers: cheaply, and none for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast
from uuid import UUID

import orjson
import pytest
from redis.asyncio import Redis

from predictions.pool import open_pool
from predictions.stream import EntryId, stream_key
from predictions.watch import Hub, Watcher

READ, UNREAD = UUID(int=1), UUID(int=2)


class Streams:
    """The streams of Redis, and from where on each was read."""

    def __init__(self) -> None:
        self.entries: dict[str, list[str]] = {}
        self.calls: list[Mapping[str, str]] = []

    async def xread(self, after: Mapping[str, str], *, count: int) -> list[Any]:
        self.calls.append(after)
        return [
            (key.encode(), [self._row(key, entry_id) for entry_id in self._behind(key, place)[:count]])
            for key, place in after.items()
        ]

    def _behind(self, key: str, place: str) -> list[str]:
        return [one for one in self.entries.get(key, []) if EntryId.parse(one).entry > EntryId.parse(place).entry]

    def _row(self, key: str, entry_id: str) -> tuple[bytes, dict[bytes, bytes]]:
        said = [["TokenEmitted", {"seq": 1, "node_id": "n", "text": entry_id}]]
        return entry_id.encode(), {b"e": orjson.dumps(said)}

    def places(self, execution_id: UUID) -> list[str]:
        key = stream_key(execution_id)
        return [call[key] for call in self.calls if key in call]


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture
async def hub(streams: Streams) -> AsyncIterator[Hub]:
    opened = Hub(cast(Redis, streams), open_pool(name="test"))
    yield opened
    await opened.stop()


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not claim():
            await asyncio.sleep(0.005)


async def read(watcher: Watcher) -> str:
    entry = await watcher.next_entry(timeout_s=10)
    assert entry is not None
    return str(entry.id)


async def test_a_reader_is_let_go_on_the_loop_whatever_thread_closes_it(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = hub.watch(READ, is_live=False)
    threads: list[int] = []
    monkeypatch.setattr(hub, "forget", lambda _: threads.append(threading.get_ident()))

    await asyncio.to_thread(watcher.close)
    await until(lambda: bool(threads))

    assert threads == [threading.get_ident()]


async def test_who_is_not_read_is_not_followed_until_somebody_reads_again(
    hub: Hub, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.watch.UNREAD_S", 0.05)
    waiting = asyncio.create_task(read(hub.watch(READ, is_live=False)))
    left = hub.watch(UNREAD, is_live=True)
    await until(lambda: bool(streams.calls) and list(streams.calls[-1]) == [stream_key(READ)])
    streams.entries = {stream_key(READ): ["1-1"], stream_key(UNREAD): ["1-1"]}

    assert await waiting == "1-1"
    assert await read(left) == "1-1"


async def test_who_is_closed_is_not_followed_again(hub: Hub, streams: Streams) -> None:
    waiting = asyncio.create_task(read(hub.watch(READ, is_live=False)))
    closed = hub.watch(UNREAD, is_live=False)
    closed.close()

    assert await closed.next_entry(timeout_s=0.01) is None

    await until(lambda: bool(streams.calls) and list(streams.calls[-1]) == [stream_key(READ)])
    streams.entries = {stream_key(READ): ["1-1"]}
    assert await waiting == "1-1"


async def test_a_stream_without_its_beginning_is_looked_through_once(hub: Hub, streams: Streams) -> None:
    key = stream_key(READ)
    streams.entries = {key: [f"1-{number}" for number in range(500, 950)]}
    watcher = hub.watch(READ, is_live=False)

    await until(lambda: streams.places(READ).count("1-949") > 2)
    streams.entries[key].append("2-1")

    assert streams.places(READ)[:3] == ["0-0", "1-699", "1-899"]
    assert await read(watcher) == "2-1"
