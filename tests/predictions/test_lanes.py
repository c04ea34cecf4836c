"""Lanes on a real server: whose turn it is, and that nothing is lost or given out twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from predictions import lanes
from predictions.intake import read_message
from predictions.lanes import Left, QueuedRun, Taken, Wish
from tests.predictions.celery_queue import celery_message

OWN_QUEUE = "queue-of-test-lanes"
A, B, C = uuid4(), uuid4(), uuid4()
PLENTY = 10_000
WAIT_S = 10.0  # for what comes at once, or fails the test


@pytest.fixture
async def redis(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Redis]:
    """With lanes of the test's own, as other tests use the real ones."""
    monkeypatch.setattr("predictions.lanes.QUEUE", OWN_QUEUE)
    async with Redis.from_url(settings.REDIS_URL, client_name=OWN_QUEUE) as client:
        yield client
        await client.delete(OWN_QUEUE, *await client.keys(f"{OWN_QUEUE}:*"))


async def queue(redis: Redis, *workspaces: UUID) -> list[UUID]:
    runs = [QueuedRun(uuid4(), workspace_id) for workspace_id in workspaces]
    await lanes.put(redis, runs)
    return [run.id for run in runs]


def wish(most: int, *, free: int = PLENTY) -> Wish:
    return Wish(most=most, free=free, held={})


async def blocked(redis: Redis, count: int) -> list[str]:
    """The connections of this test that wait, once so many do."""
    while True:
        clients = await redis.client_list()
        ids = [one["id"] for one in clients if one["cmd"] == "brpop" and one["name"] == OWN_QUEUE]
        if len(ids) == count:
            return ids
        await asyncio.sleep(0.005)


def owners(taken: Taken) -> list[UUID]:
    return [UUID(lane) for lane, _ in taken.messages]


def runs(taken: Taken) -> list[UUID]:
    return [UUID(message.decode()) for _, message in taken.messages]


async def test_lanes_take_turns_and_each_is_first_in_first_out(redis: Redis) -> None:
    a1, a2, a3, b1, b2, c1 = await queue(redis, A, A, A, B, B, C)

    taken = await lanes.take(redis, wish(10))

    assert runs(taken) == [a1, b1, c1, a2, b2, a3]
    assert taken.left is Left.NOTHING


async def test_the_next_worker_goes_on_where_the_last_one_stopped(redis: Redis) -> None:
    await queue(redis, A, A, A, B, B, C)

    turns = [await lanes.take(redis, wish(2)) for _ in range(3)]

    assert [owners(taken) for taken in turns] == [[A, B], [C, A], [B, A]]
    assert [taken.left for taken in turns] == [Left.MORE, Left.MORE, Left.NOTHING]


async def test_who_comes_late_waits_for_one_turn_of_the_others_not_for_all_that_they_have(redis: Redis) -> None:
    await queue(redis, *[A] * 1000, *[B] * 1000)
    (late,) = await queue(redis, C)

    taken = await lanes.take(redis, wish(3))

    assert runs(taken)[-1] == late


async def test_an_empty_lane_leaves_nothing_behind_and_may_come_again(redis: Redis) -> None:
    await queue(redis, A, B)

    await lanes.take(redis, wish(2))
    left = await redis.keys(f"{OWN_QUEUE}*")
    again = await queue(redis, A)
    taken = await lanes.take(redis, wish(2))

    assert left == []
    assert runs(taken) == again


async def test_a_lane_over_its_share_is_passed_over_and_keeps_its_place(redis: Redis) -> None:
    a1, b1 = await queue(redis, A, B)

    taken = await lanes.take(redis, Wish(most=4, free=4, held={str(A): 28}))
    later = await lanes.take(redis, Wish(most=4, free=4, held={str(A): 27}))

    assert (runs(taken), taken.left) == ([b1], Left.OTHERS_SHARE)
    assert (runs(later), later.left) == ([a1], Left.NOTHING)


async def test_who_alone_waits_leaves_an_eighth_of_the_places_free(redis: Redis) -> None:
    await queue(redis, *[A] * 100)

    taken = await lanes.take(redis, wish(64, free=64))

    assert len(taken.messages) == 56
    assert taken.left is Left.OTHERS_SHARE


async def test_many_lanes_at_their_shares_still_leave_a_place_to_another(redis: Redis) -> None:
    await queue(redis, *[A] * 100, *[B] * 100, *[C] * 100)

    taken = await lanes.take(redis, wish(64, free=64))

    assert len(taken.messages) < 64
    assert {owners(taken).count(lane) for lane in (A, B, C)} <= {20, 21}


async def test_takers_at_once_lose_nothing_and_take_nothing_twice(redis: Redis) -> None:
    found: list[UUID] = []
    sent: list[UUID] = []

    async def put_many() -> None:
        for number in range(50):
            sent.extend(await queue(redis, A, *[B] * (number % 3), *[C] * 5))

    async def take_all(connection: Redis) -> None:
        async with asyncio.timeout(WAIT_S):
            while len(found) < len(sent) or not done.is_set():
                found.extend(runs(await lanes.wait_and_take(connection, wish(7), for_s=0.1)))

    done = asyncio.Event()
    async with Redis.from_url(settings.REDIS_URL) as own, asyncio.TaskGroup() as group:
        for connection in (own, own, redis, redis):
            group.create_task(take_all(connection))
        await asyncio.gather(*(put_many() for _ in range(4)))
        done.set()

    assert len(found) == len(set(found))
    assert set(found) == set(sent)


async def test_one_run_wakes_one_of_those_who_wait_and_what_is_left_wakes_another(redis: Redis) -> None:
    waiting = [asyncio.create_task(lanes.wait_and_take(redis, wish(1), for_s=WAIT_S)) for _ in range(3)]
    await blocked(redis, 3)

    first = await queue(redis, A)
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    woken = sum(task.done() for task in waiting)
    rest = await queue(redis, A, A)
    found = [run for taken in await asyncio.gather(*waiting) for run in runs(taken)]

    assert woken == 1
    assert sorted(found) == sorted(first + rest)


async def test_who_passes_lanes_over_hears_of_one_that_enters_and_not_of_those_that_wait(redis: Redis) -> None:
    await queue(redis, A)
    await lanes.wait_for_entry(redis, for_s=WAIT_S)

    await queue(redis, A)
    async with asyncio.timeout(WAIT_S):
        await lanes.wait_for_entry(redis, for_s=0.01)
    heard = asyncio.create_task(lanes.wait_for_entry(redis, for_s=WAIT_S * 2))
    await queue(redis, B)

    async with asyncio.timeout(WAIT_S):
        await heard


async def test_messages_of_celery_are_taken_and_do_not_keep_lanes_waiting(redis: Redis) -> None:
    old = [uuid4() for _ in range(3)]
    await redis.lpush(OWN_QUEUE, *map(celery_message, old))
    (new,) = await queue(redis, A)

    first = await lanes.take(redis, wish(2))
    second = await lanes.take(redis, wish(9))

    assert [lane for lane, _ in first.messages] == ["", str(A)]
    assert [read_message(message) for _, message in (first.messages[0], *second.messages)] == old
    assert runs(Taken(first.messages[1:])) == [new]
    assert (first.left, second.left) == (Left.MORE, Left.NOTHING)


async def test_the_front_of_each_lane_is_what_is_taken_next(redis: Redis) -> None:
    a1, _, b1 = await queue(redis, A, A, B)
    message = celery_message(uuid4())
    await redis.lpush(OWN_QUEUE, message)

    assert await lanes.fronts(redis) == (message, {A: a1, B: b1})


async def test_a_server_that_knows_no_script_and_has_cut_its_connections_is_served_as_before(redis: Redis) -> None:
    waiting = asyncio.create_task(lanes.wait_and_take(redis, wish(1), for_s=WAIT_S))
    (connection,) = await blocked(redis, 1)
    await redis.client_kill_filter(_id=connection)
    with pytest.raises(ConnectionError):
        await waiting
    await redis.script_flush()

    (run,) = await queue(redis, A)

    assert runs(await lanes.wait_and_take(redis, wish(1), for_s=WAIT_S)) == [run]


async def test_ten_thousand_queued_runs_take_little_memory(redis: Redis) -> None:
    await queue(redis, *[A] * 10_000)

    assert await redis.memory_usage(f"{OWN_QUEUE}:lane:{A}", samples=0) < 1_000_000
