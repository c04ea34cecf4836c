"""Statements that share a trip to the database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from predictions.batching import Batcher


class Trips:
    """A flush that can be held up, and remembers what went together."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(items))
        await self.gate.wait()
        if -2 in items:
            raise ConnectionError("nobody there")
        if -1 in items:
            raise ValueError("a bad row")
        return [item * 10 for item in items]


async def test_an_idle_batcher_sends_a_single_item_at_once() -> None:
    trips = Trips()

    assert await Batcher(trips, lanes=1)(1) == 10

    assert trips.batches == [[1]]


async def test_what_comes_during_a_trip_leaves_together_in_the_next() -> None:
    trips = Trips()
    batch = Batcher(trips, lanes=1)
    trips.gate.clear()
    first = asyncio.create_task(batch(1))
    while not trips.batches:
        await asyncio.sleep(0)
    others = [asyncio.create_task(batch(item)) for item in (2, 3, 4)]
    await asyncio.sleep(0)

    trips.gate.set()
    results = await asyncio.gather(first, *others)

    assert results == [10, 20, 30, 40]
    assert trips.batches == [[1], [2, 3, 4]]


async def test_a_bad_row_fails_alone() -> None:
    trips = Trips()
    batch = Batcher(trips, lanes=1)
    trips.gate.clear()
    tasks = [asyncio.create_task(batch(item)) for item in (1, 2, -1, 3)]
    await asyncio.sleep(0)

    trips.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [result for result in results if not isinstance(result, Exception)] == [10, 20, 30]
    assert isinstance(results[2], ValueError)


async def test_what_no_item_is_to_blame_for_is_not_tried_again() -> None:
    trips = Trips()
    batch = Batcher(trips, whole=(ConnectionError,), lanes=1)
    trips.gate.clear()
    tasks = [asyncio.create_task(batch(item)) for item in (1, -2, 3)]
    await asyncio.sleep(0)

    trips.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(result) for result in results] == [ConnectionError] * 3
    assert trips.batches == [[1, -2, 3]]


async def test_a_caller_that_gives_up_does_not_disturb_the_others() -> None:
    trips = Trips()
    batch = Batcher(trips, lanes=1)
    trips.gate.clear()
    leaving, staying = asyncio.create_task(batch(1)), asyncio.create_task(batch(2))
    await asyncio.sleep(0)

    leaving.cancel()
    trips.gate.set()

    assert await staying == 20
    with pytest.raises(asyncio.CancelledError):
        await leaving
