"""What a viewer is told when a part of a run's log never comes: nothing twice, no hole, and the end."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from predictions.flowise import FrameRenderer
from predictions.pool import open_pool
from predictions.sse import Frames
from predictions.stream import EntryId
from predictions.watch import Entry, Hub, Watcher

RUN = UUID(int=1)


@pytest.fixture
async def watcher() -> Watcher:
    """Of a process that hears nothing: the entries are those that the test offers."""
    hub = Hub(Redis.from_url("redis://127.0.0.1:1"), open_pool(name="test"))
    await hub.stop()
    hub.is_connected = True
    return hub.watch(RUN, is_live=True)


def token(attempt: int, number: int, text: str) -> Entry:
    return Entry(EntryId(attempt, number), [["TokenEmitted", {"seq": 1, "node_id": "n", "text": text}]])


def finished(text: str, **output: Any) -> dict[str, Any]:
    return {"state": "COMPLETED", "output": {"text": text, **output}, "error": "", "error_code": ""}


async def seen(watcher: Watcher, *, after: str = "0-0") -> list[tuple[str, Any]]:
    position = EntryId.parse(after)
    renderer = FrameRenderer(question="Hi", chat_id="c", session_id="s", said=position.said)
    frames = Frames(watcher, renderer, after=position, closing=asyncio.Event())
    written = b"".join([part async for part in frames])
    lines = [line for line in written.decode().split("\n") if line.startswith("data:")]
    return [(body["event"], body["data"]) for body in map(json.loads, (line[5:] for line in lines))]


async def test_an_entry_after_a_hole_waits_for_the_stream(watcher: Watcher) -> None:
    watcher.offer(token(1, 1, "Hel"))
    watcher.offer(token(1, 3, "orld"))

    assert watcher.last == EntryId(1, 1)
    assert watcher.wants_poll


async def test_a_later_attempt_starts_from_its_first_entry(watcher: Watcher) -> None:
    watcher.offer(token(1, 1, ""))
    watcher.offer(token(2, 2, "lost its first"))
    watcher.offer(token(2, 1, "Hello"))

    assert watcher.last == EntryId(2, 1)


async def test_a_hole_is_filled_from_the_answer(watcher: Watcher) -> None:
    watcher.offer(token(1, 1, "Hel"))
    watcher.offer(token(1, 3, "wor"))
    watcher.end(1, finished("Hello world"))

    events = await seen(watcher)

    assert [data for event, data in events if event == "token"] == ["Hel", "lo world"]
    assert events[-1] == ("end", "[DONE]")


async def test_who_comes_back_after_the_log_is_gone_gets_only_the_rest(watcher: Watcher) -> None:
    watcher.end(1, finished("Hello world"))

    events = await seen(watcher, after="1-7.1.5")

    assert [event for event, _ in events] == ["token", "metadata", "end"]
    assert events[0] == ("token", " world")


async def test_who_had_it_all_gets_only_the_end(watcher: Watcher) -> None:
    watcher.end(1, finished("Hello"))

    assert [event for event, _ in await seen(watcher, after="1-7.1.5")] == ["metadata", "end"]


async def test_an_agentflow_whose_log_is_gone_still_shows_its_trace(watcher: Watcher) -> None:
    trace = [{"nodeId": "llm_0", "status": "FINISHED"}]
    watcher.end(1, finished("Hello", agentFlowExecutedData=trace))

    events = await seen(watcher, after="1-7.1.5")

    assert events[0] == ("agentFlowExecutedData", trace)
    assert [event for event, _ in events[1:]] == ["agentFlowEvent", "metadata", "end"]


async def test_a_second_attempt_shows_no_node_twice(watcher: Watcher) -> None:
    node = {"node_id": "llm_0", "label": "Ask"}
    entry = {"nodeId": "llm_0", "status": "FINISHED"}
    ran = [["RunStarted", {"kind": "AGENTFLOW"}], ["NodeFinished", {**node, "entry": entry}]]
    watcher.offer(Entry(EntryId(1, 1), ran))
    watcher.offer(Entry(EntryId(2, 1), [*ran, ["Settled", finished("", agentFlowExecutedData=[entry])]]))

    traces = [data for event, data in await seen(watcher) if event == "agentFlowExecutedData"]

    assert traces == [[entry], [entry]]


async def test_a_process_that_stops_sends_even_a_busy_stream_elsewhere(watcher: Watcher) -> None:
    closing = asyncio.Event()
    frames = Frames(
        watcher, FrameRenderer(question="", chat_id="", session_id=""), after=EntryId(0, 0), closing=closing
    )
    watcher.offer(token(1, 1, "Hel"))
    watcher.offer(token(1, 2, "lo"))
    written = []

    async for part in frames:
        written.append(part)
        closing.set()

    assert len(written) == 2
    assert written[-1] == b"retry: 500\n\n"


def continued(after: str | None) -> Entry:
    return Entry(EntryId(2, 1), [["Continued", {"after": after, "trace": []}]])


async def test_what_goes_on_behind_words_that_were_never_seen_waits_for_them(watcher: Watcher) -> None:
    watcher.offer(continued(after="1-7"))

    assert watcher.last == EntryId(0, 0)
    assert watcher.wants_poll


async def test_what_goes_on_behind_nothing_that_is_known_is_for_who_has_seen_nothing(watcher: Watcher) -> None:
    watcher.offer(continued(after=None))

    assert watcher.last == EntryId(2, 1)
