"""The worker's side of a run: whatever breaks, the run has an end, and its caller hears of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import orjson
import pytest
from django.conf import settings
from redis.asyncio import Redis

from engine.context import Sandbox
from engine.registry import load_registry
from predictions.runs import RunHost
from predictions.store import ClaimedRun, JournalledNode, Outcome, Step, Store
from predictions.stream import EventPublisher, stream_key
from tests.predictions import drawing
from workspaces.world import open_http

pytestmark = pytest.mark.django_db  # a run's limits are looked up

RUN = UUID(int=0x405)
FLOW = drawing.flow(
    [drawing.start(), drawing.reply(0, "Hello")], drawing.path("startAgentflow_0", "directReplyAgentflow_0")
)


class PickyStore:
    """Holds one run, and takes no outcome that has the part `refused`."""

    pool = None

    def __init__(self, refused: str, **claimed: Any) -> None:
        fresh = ClaimedRun(RUN, 1, RUN, RUN, RUN, "c", "c", "EXTERNAL", "Hi", {}, False, "", False)
        self.run = replace(fresh, **claimed)
        self.settled: list[Outcome] = []
        self._refused = refused

    async def claim(self, execution_id: UUID) -> ClaimedRun:
        return self.run

    async def flow_data(self, version_id: UUID) -> str:
        return FLOW

    async def journalled(self, run: ClaimedRun) -> Sequence[JournalledNode]:
        return []

    async def journal(self, step: Step) -> bool:
        return True

    async def settle(self, outcome: Outcome) -> bool:
        if self._refused and getattr(outcome, self._refused):
            raise ValueError("no row holds this")
        self.settled.append(outcome)
        return True


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with Redis.from_url(settings.REDIS_URL) as client:
        yield client
        await client.delete(stream_key(RUN))


async def run_on(store: PickyStore, redis: Redis) -> Any:
    """Execute the run; what its log ends with."""
    publisher, http = EventPublisher(redis, retention_s=60), open_http()
    host = RunHost(
        store=cast(Store, store),
        publisher=publisher,
        http=http,
        sandbox=cast(Sandbox, None),
        registry=load_registry(),
        redis=redis,
    )
    await host.execute(RUN)
    assert host.ids == []
    await publisher.stop()
    await http.close()
    [*_, (_, fields)] = await redis.xrange(stream_key(RUN))
    return orjson.loads(fields[b"e"])[-1]


async def test_a_run_ends_with_its_answer(redis: Redis) -> None:
    store = PickyStore(refused="")

    name, settled = await run_on(store, redis)

    assert (name, settled["state"], settled["output"]["text"]) == ("Settled", "COMPLETED", "Hello")


@pytest.mark.parametrize("part", ["output", "node_runs"])
async def test_a_run_whose_outcome_no_row_holds_fails_and_keeps_its_question(redis: Redis, part: str) -> None:
    store = PickyStore(refused=part)

    name, settled = await run_on(store, redis)

    assert (name, settled["state"], settled["error_code"]) == ("Settled", "FAILED", "internal")
    [outcome] = store.settled
    assert [message["content"] for message in outcome.messages] == ["Hi", ""]


@pytest.mark.parametrize("written", ["{", "[]", '{"another": "version"}'])
async def test_a_run_whose_checkpoint_cannot_be_read_ends_and_asks_nothing_twice(redis: Redis, written: str) -> None:
    answer = {"type": "proceed", "feedback": "", "text": "Yes"}
    store = PickyStore(refused="", written=written, attempt=2, attempts_before=1, request={"humanInput": answer})

    name, settled = await run_on(store, redis)

    assert (name, settled["state"], settled["error_code"]) == ("Settled", "FAILED", "cannot_go_on")
    [outcome] = store.settled
    assert [message["content"] for message in outcome.messages] == ["Yes", ""]
