"""What a worker takes, and what it leaves to others: of lanes, and of the queue that Celery writes to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from redis.asyncio import Redis

from predictions import lanes
from predictions.intake import Intake, read_message
from predictions.lanes import QueuedRun, Taken
from tests.predictions.celery_queue import celery_message

OWN_QUEUE = "queue of test_intake"
NOISY, QUIET = uuid4(), uuid4()


@pytest.fixture
async def redis(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Redis]:
    """With lanes of the test's own, as other tests use the real ones."""
    monkeypatch.setattr("predictions.lanes.QUEUE", OWN_QUEUE)
    async with Redis.from_url(settings.REDIS_URL) as client:
        yield client
        await client.delete(OWN_QUEUE, *await client.keys(f"{OWN_QUEUE}:*"))


class Worker:
    """Takes on, and ends runs when it is told to."""

    def __init__(self, redis: Redis, *, places: int) -> None:
        self.begun: list[UUID] = []
        self._leave: dict[UUID, Callable[[], object]] = {}
        self.intake = Intake(redis, redis, places=places, begin=self._begin)

    def _begin(self, execution_id: UUID, leave: Callable[[], object]) -> None:
        self.begun.append(execution_id)
        self._leave[execution_id] = leave

    def end(self, execution_id: UUID) -> None:
        self._leave.pop(execution_id)()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.begun) < count:
                await asyncio.sleep(0.005)


async def queue(redis: Redis, workspace_id: UUID, count: int = 1) -> list[UUID]:
    ids = [uuid4() for _ in range(count)]
    await lanes.put(redis, [QueuedRun(one, workspace_id) for one in ids])
    return ids


def test_the_message_that_celery_writes_is_read() -> None:
    execution_id = uuid4()

    assert read_message(celery_message(execution_id)) == execution_id


@pytest.mark.parametrize("message", [b"{", b"[]", b"{}", b'{"headers":{"task":"other"},"body":"","properties":{}}'])
def test_what_is_no_prediction_is_dropped_and_told(message: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert read_message(message) is None

    assert "a message that is no prediction was dropped" in caplog.text


async def test_as_many_are_taken_as_there_are_places(redis: Redis) -> None:
    ids = await queue(redis, QUIET, 3)
    worker = Worker(redis, places=2)

    await worker.until(2)
    left = await redis.llen(f"{OWN_QUEUE}:lane:{QUIET}")
    worker.end(ids[0])
    await worker.until(3)
    await worker.intake.close()

    assert left == 1
    assert worker.begun == ids


async def test_the_queue_of_an_older_release_is_drained_and_a_bad_message_costs_no_place(redis: Redis) -> None:
    ids = [uuid4() for _ in range(3)]
    await redis.lpush(OWN_QUEUE, b"{", *map(celery_message, ids))
    worker = Worker(redis, places=3)

    await worker.until(3)
    await worker.intake.close()

    assert worker.begun == ids
    assert not await redis.exists(OWN_QUEUE)


async def test_old_messages_and_lanes_do_not_keep_each_other_waiting(redis: Redis) -> None:
    old = [uuid4() for _ in range(50)]
    await redis.lpush(OWN_QUEUE, *map(celery_message, old))
    (quiet,) = await queue(redis, QUIET)
    worker = Worker(redis, places=4)

    await worker.until(4)
    await worker.intake.close()

    assert worker.begun == [old[0], quiet, *old[1:3]]


async def test_one_lane_leaves_places_to_who_comes_next_and_they_start_while_its_runs_go_on(redis: Redis) -> None:
    await queue(redis, NOISY, 100)
    worker = Worker(redis, places=32)
    await worker.until(28)  # seven for each that is free

    quiet = await queue(redis, QUIET, 2)
    await worker.until(30)
    await worker.intake.close()

    assert worker.begun[28:] == quiet


async def test_what_a_lane_gives_back_it_may_take_again(redis: Redis) -> None:
    ids = await queue(redis, NOISY, 100)
    worker = Worker(redis, places=32)
    await worker.until(28)

    for done in ids[:3]:
        worker.end(done)
    await worker.until(31)
    await worker.intake.close()

    assert worker.begun == ids[:31]


async def test_what_one_worker_must_pass_over_another_takes(redis: Redis) -> None:
    ids = await queue(redis, NOISY, 30)
    full = Worker(redis, places=32)
    await full.until(28)

    other = Worker(redis, places=32)
    await other.until(2)
    (late,) = await queue(redis, NOISY)
    await other.until(3)
    await full.intake.close()
    await other.intake.close()

    assert full.begun == ids[:28]
    assert other.begun == [*ids[28:], late]


async def test_once_closed_it_takes_no_more(redis: Redis) -> None:
    worker = Worker(redis, places=8)

    await worker.intake.close()
    await queue(redis, QUIET)

    assert await redis.llen(f"{OWN_QUEUE}:lane:{QUIET}") == 1
    assert worker.begun == []


async def test_what_breaks_the_taking_does_not_end_it(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.duties.PAUSE_S", 0)
    take, answers = Intake._take, iter([{"not": "taken"}])

    async def broken_once(intake: Intake) -> Taken:
        for answer in answers:
            return answer["taken"]  # type: ignore[return-value]  # raises before it returns
        return await take(intake)

    monkeypatch.setattr(Intake, "_take", broken_once)
    ids: Any = await queue(redis, QUIET)
    worker = Worker(redis, places=1)

    await worker.until(1)
    await worker.intake.close()

    assert worker.begun == ids
