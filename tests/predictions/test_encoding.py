"""What nodes put out reaches rows and streams, however odd it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.conf import settings
from redis.asyncio import Redis

from engine.encoding import DEEPEST, TOO_DEEP, encode
from engine.events import TokenEmitted
from predictions.store import ClaimedRun
from predictions.stream import EventPublisher, stream_key
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow
from tests.predictions.test_functions import function_flow

RUN = UUID(int=0x7E57)
DEEP = "let d = []; for (let i = 0; i < 245; i++) d = [d]; return d"


@dataclass(frozen=True)
class Found:
    text: str
    at: datetime


def nested(levels: int) -> Any:
    value: Any = "inside"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("\ud800 alone", "� alone"),
        ("\ud83d\ude00", "😀"),
        ({"\udfff": 1}, {"�": 1}),
        ([2**63 - 1, 2**80], [2**63 - 1, hex(2**80)]),
        ({7: "\ud800", None: 1, True: 2}, {"7": "�", "null": 1, "true": 2}),
        ({"\ud800", "a"}, ["a", "�"]),
        (Found("\ud800", datetime(2026, 1, 2, tzinfo=UTC)), {"text": "�", "at": "2026-01-02T00:00:00+00:00"}),
    ],
)
def test_what_json_cannot_hold_is_mended(value: object, written: object) -> None:
    assert orjson.loads(encode(value)) == written


def test_nesting_ends_in_words() -> None:
    assert encode(nested(250)) == b"[" * 250 + b'"inside"' + b"]" * 250
    assert encode(nested(10_000)) == b"[" * DEEPEST + f'"{TOO_DEEP}"'.encode() + b"]" * DEEPEST


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with Redis.from_url(settings.REDIS_URL) as client:
        yield client
        await client.delete(stream_key(RUN))


def claimed() -> ClaimedRun:
    return ClaimedRun(RUN, 1, RUN, RUN, RUN, "c", "c", "EXTERNAL", "Hi", {}, True, "", False)


async def test_events_that_cannot_be_written_cost_no_other_run_its_stream(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = EventPublisher(redis, retention_s=60)
    broken, sound = publisher.open(claimed()), publisher.open(claimed())
    monkeypatch.setattr(broken, "take", lambda: orjson.dumps(object()))
    broken.append(TokenEmitted(seq=1, node_id="n", text="a"))
    sound.append(TokenEmitted(seq=1, node_id="n", text="b"))

    async with asyncio.timeout(5):
        await asyncio.gather(broken.close({}), sound.close({}))

    entries = [orjson.loads(fields[b"e"]) for _, fields in await redis.xrange(stream_key(RUN))]
    assert [name for events in entries for name, _ in events] == ["TokenEmitted", "Settled"]
    assert "events of a run are left out of its stream" in caplog.text
    await publisher.stop()


@pytest.mark.parametrize("code", ["return '\\ud800'", "return 1e300", DEEP])
def test_an_odd_value_reaches_its_caller(holder: Caller, new_flow: NewFlow, code: str) -> None:
    flow_id = new_flow(function_flow(code), type="AGENTFLOW")

    answer = holder.predict(flow_id, "Hi")

    assert answer.status_code == 200, answer.text
    [run] = holder.http.get("/executions", params={"agentflowId": flow_id}).json()
    assert run["state"] == "FINISHED"


async def test_the_whole_log_of_a_restarted_run_is_read_page_by_page(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.stream.PAGE", 2)
    publisher = EventPublisher(redis, retention_s=60)
    for number in range(1, 6):
        await redis.xadd(stream_key(RUN), {b"e": orjson.dumps([["TokenEmitted", {}]])}, id=f"1-{number}")

    written = await publisher.written(claimed())

    assert [str(entry_id) for entry_id, _ in written] == ["1-1", "1-2", "1-3", "1-4", "1-5"]
    await publisher.stop()
