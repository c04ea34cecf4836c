"""What is found lost, and what only waits, while messages pile up, Redis is away or workers die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.utils import timezone
from redis.asyncio import Redis

from chatflows.models import Chatflow
from predictions import lanes
from predictions.lanes import QueuedRun
from predictions.models import Execution, NodeRun, Wait
from predictions.pool import open_pool
from predictions.reaper import Reaper
from tests.factories import make_chatflow, make_workspace

pytestmark = pytest.mark.django_db(transaction=True)

OWN_QUEUE = "queue of test_reaper"


@pytest.fixture
async def redis(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Redis]:
    """With a queue of the test's own, and a reaper that does not dawdle."""
    monkeypatch.setattr("predictions.lanes.QUEUE", OWN_QUEUE)
    monkeypatch.setattr("predictions.reaper.TICK_S", 0.02)
    async with Redis.from_url(settings.REDIS_URL) as client:
        yield client
        await client.delete(OWN_QUEUE, *await client.keys(f"{OWN_QUEUE}:*"))


@pytest.fixture
def flow() -> Chatflow:
    return make_chatflow(make_workspace())


@sync_to_async
def make_run(flow: Chatflow, *, sent_s_ago: float = 0, **fields: Any) -> UUID:
    run = Execution.objects.create(
        workspace_id=flow.workspace_id,
        chatflow=flow,
        version=flow.versions.latest("number"),
        chat_id="c",
        session_id="c",
        question="Hi",
        dispatched_at=timezone.now() - timedelta(seconds=sent_s_ago),
        **fields,
    )
    return run.pk


@sync_to_async
def make_due_timer(flow: Chatflow, run_id: UUID) -> None:
    due_at = timezone.now() - timedelta(seconds=1)
    Wait.objects.create(
        workspace_id=flow.workspace_id, execution_id=run_id, kind=Wait.Kind.TIMER, due_at=due_at, goes_on=True
    )


@sync_to_async
def write_down(run_id: UUID, *, attempt: int) -> None:
    NodeRun.objects.create(
        execution_id=run_id, attempt=attempt, seq=1, node_id="n", label="N", status="FINISHED", entry={}, duration_ms=1
    )


async def reap_until_timer(flow: Chatflow, redis: Redis) -> None:
    """Until one whole look is over: that a timer goes on is its last act but one."""
    timer = await make_run(flow, state=Execution.State.WAITING, attempt=1)
    await make_due_timer(flow, timer)
    pool = open_pool(name="test")
    await pool.open()
    reaper = Reaper(pool=pool, redis=redis)
    async with asyncio.timeout(10):
        while (await Execution.objects.aget(pk=timer)).state != Execution.State.QUEUED:
            await asyncio.sleep(0.01)
    await reaper.stop()
    await pool.close()


async def dispatches_of(run_id: UUID) -> int:
    return (await Execution.objects.aget(pk=run_id)).dispatches


async def queued_again(redis: Redis, flow: Chatflow) -> set[UUID]:
    return {UUID(entry.decode()) for entry in await redis.lrange(f"{OWN_QUEUE}:lane:{flow.workspace_id}", 0, -1)}


async def test_a_lost_run_is_sent_again_although_messages_wait(redis: Redis, flow: Chatflow) -> None:
    lost = await make_run(flow, sent_s_ago=60)
    early = await make_run(flow, sent_s_ago=5)
    front = await make_run(flow)
    await lanes.put(redis, [QueuedRun(front, flow.workspace_id), QueuedRun(early, flow.workspace_id)])

    await reap_until_timer(flow, redis)

    assert await dispatches_of(lost) == 2
    assert await dispatches_of(early) == 1
    async with asyncio.timeout(10):
        while lost not in await queued_again(redis, flow):
            await asyncio.sleep(0.01)


async def test_a_run_behind_the_front_is_not_sent_again_however_long_it_waits(redis: Redis, flow: Chatflow) -> None:
    front = await make_run(flow, sent_s_ago=600)
    waiting = await make_run(flow, sent_s_ago=590)
    await lanes.put(redis, [QueuedRun(front, flow.workspace_id), QueuedRun(waiting, flow.workspace_id)])

    await reap_until_timer(flow, redis)

    assert [await dispatches_of(front), await dispatches_of(waiting)] == [1, 1]


async def test_behind_a_front_that_was_sent_several_times_nothing_is_taken_for_lost(
    redis: Redis, flow: Chatflow
) -> None:
    front = await make_run(flow, dispatches=2)
    waiting = await make_run(flow, sent_s_ago=600)
    await lanes.put(redis, [QueuedRun(front, flow.workspace_id), QueuedRun(waiting, flow.workspace_id)])

    await reap_until_timer(flow, redis)

    assert await dispatches_of(waiting) == 1


async def test_with_an_empty_queue_whatever_was_sent_is_lost_after_a_while(redis: Redis, flow: Chatflow) -> None:
    lost, fresh = await make_run(flow, sent_s_ago=5), await make_run(flow)

    await reap_until_timer(flow, redis)

    assert [await dispatches_of(lost), await dispatches_of(fresh)] == [2, 1]


async def test_timers_go_on_while_redis_is_away(redis: Redis, flow: Chatflow) -> None:
    queued = await make_run(flow, sent_s_ago=600)

    await reap_until_timer(flow, Redis.from_url("redis://127.0.0.1:1"))

    assert await dispatches_of(queued) == 1


async def test_the_run_of_a_dead_worker_is_sent_again_at_once_and_later_ever_more_rarely(
    redis: Redis, flow: Chatflow
) -> None:
    held = [await make_run(flow, state=Execution.State.RUNNING, attempt=n, worker=0) for n in range(1, 6)]

    await reap_until_timer(flow, redis)

    states = [await Execution.objects.aget(pk=run_id) for run_id in held]
    assert {run.state for run in states} == {Execution.State.QUEUED}
    # The pause is 2 seconds to this power; the first one is sent without.
    assert [run.dispatches for run in states] == [1, 1, 2, 3, 4]
    async with asyncio.timeout(10):
        while held[0] not in await queued_again(redis, flow):
            await asyncio.sleep(0.01)
    assert not await queued_again(redis, flow) & set(held[1:])


async def test_a_run_whose_worker_died_again_is_sent_when_its_pause_is_over(redis: Redis, flow: Chatflow) -> None:
    due = await make_run(flow, attempt=4, dispatches=3, sent_s_ago=8.1)
    early = await make_run(flow, attempt=4, dispatches=3, sent_s_ago=4)

    await reap_until_timer(flow, redis)

    assert [await dispatches_of(due), await dispatches_of(early)] == [4, 3]


async def test_the_sixth_worker_lost_at_one_place_ends_the_run_and_at_another_one_does_not(
    redis: Redis, flow: Chatflow
) -> None:
    stuck = await make_run(flow, state=Execution.State.RUNNING, attempt=6, worker=0)
    slow = await make_run(flow, state=Execution.State.RUNNING, attempt=6, worker=0)
    await write_down(slow, attempt=5)

    await reap_until_timer(flow, redis)

    ended, going_on = await Execution.objects.aget(pk=stuck), await Execution.objects.aget(pk=slow)
    assert (ended.state, ended.error_code) == (Execution.State.FAILED, "worker_lost")
    assert ended.error == "The worker that ran this prediction stopped before it was done"
    assert (going_on.state, going_on.dispatches) == (Execution.State.QUEUED, 1)
