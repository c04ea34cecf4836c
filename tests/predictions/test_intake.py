"""Messages off the queue: Celery's own, whoever wrote them, and what is no prediction."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from django.conf import settings
from redis.asyncio import Redis

from predictions.dispatch import celery_message
from predictions.intake import Intake, read_message
from predictions.tasks import execute

OWN_QUEUE = "queue of test_intake"


@pytest.fixture
async def redis(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Redis]:
    """With a queue of the test's own, as other tests use the real one."""
    monkeypatch.setattr("predictions.intake.QUEUE", OWN_QUEUE)
    async with Redis.from_url(settings.REDIS_URL) as client:
        yield client
        await client.delete(OWN_QUEUE)


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not claim():
            await asyncio.sleep(0.005)


def test_the_lean_message_is_the_one_that_celery_writes() -> None:
    execution_id = uuid4()
    written: list[bytes] = []
    producer = execute.app.amqp.Producer(execute.app.connection_for_write())
    channel = producer.channel
    channel._put = lambda queue, message, **_: written.append(orjson.dumps(message))

    execute.apply_async([str(execution_id)], task_id=str(execution_id), queue="predictions", producer=producer)

    assert read_message(written[0]) == read_message(celery_message(execution_id)) == execution_id


@pytest.mark.parametrize("message", [b"{", b"[]", b"{}", b'{"headers":{"task":"other"},"body":"","properties":{}}'])
def test_what_is_no_prediction_is_dropped_and_told(message: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert read_message(message) is None

    assert "a message that is no prediction was dropped" in caplog.text


async def test_messages_are_taken_in_order_and_a_bad_one_costs_no_place(redis: Redis) -> None:
    room = threading.Semaphore(2)
    begun: list[UUID] = []
    ids = [uuid4() for _ in range(3)]
    await redis.lpush(OWN_QUEUE, b"{", *map(celery_message, ids))
    taking = Intake(redis, room=room, begin=begun.append)

    await until(lambda: len(begun) == 2)
    left = await redis.llen(OWN_QUEUE)
    room.release()
    await until(lambda: len(begun) == 3)
    await taking.close()

    assert left == 1
    assert begun == ids


async def test_once_closed_it_takes_no_more(redis: Redis) -> None:
    begun: list[UUID] = []
    taking = Intake(redis, room=threading.Semaphore(8), begin=begun.append)

    await taking.close()
    await redis.lpush(OWN_QUEUE, celery_message(uuid4()))

    assert await redis.llen(OWN_QUEUE) == 1
    assert begun == []


async def test_what_breaks_the_taking_costs_no_place_and_does_not_end_it(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.duties.PAUSE_S", 0)
    room, begun = threading.Semaphore(1), list[UUID]()
    pop, answers = Intake._pop, iter([{"not": "a list"}])

    async def broken_once(intake: Intake, most: int) -> Any:
        for answer in answers:
            return answer["messages"]
        return await pop(intake, most)

    monkeypatch.setattr(Intake, "_pop", broken_once)
    execution_id = uuid4()
    await redis.lpush(OWN_QUEUE, celery_message(execution_id))
    taking = Intake(redis, room=room, begin=begun.append)

    await until(lambda: begun == [execution_id])
    await taking.close()
