"""Several workers and web processes, many callers, and callers who leave."""

from __future__ import annotations

import time

from redis import Redis

from predictions.watch import POLL_S
from tests.journeys.stage import (
    WORDS,
    Stage,
    execution_of,
    new_chat,
    read_until,
    second_web,
    second_worker,
    service_url,
    text_of,
    wait_for,
)

BURST = 40


def test_a_burst_is_shared_by_two_workers_and_answered_once_each(chat: Stage) -> None:
    chat.model.first_token_delay_s = 0.3

    with second_worker(chat.platform):
        waiting = [chat.asking(f"Number {number}") for number in range(BURST)]
        answers = [answer.result(60).json() for answer in waiting]

    assert [answer["text"] for answer in answers] == [f"You said: Number {number}" for number in range(BURST)]
    assert sorted(r.question for r in chat.model.requests) == sorted(f"Number {number}" for number in range(BURST))
    assert len({chat.worker_of(answer["executionId"]) for answer in answers}) == 2


def test_a_client_that_leaves_takes_nothing_with_it(chat: Stage) -> None:
    chat_id = new_chat()
    chat.stall(after=3)

    with chat.platform.stream(chat.flow_id, "Count", chatId=chat_id) as stream:
        read_until(iter(stream), "one two three")
    chat.model.release()
    wait_for(lambda: chat.execution(execution_of(stream))["state"] == "FINISHED", "the end of the run")

    assert not chat.model.hung_up.is_set()
    assert chat.messages(chat_id) == ["Count", WORDS]


def test_a_client_that_leaves_is_followed_no_longer(chat: Stage) -> None:
    chat.stall(after=3)
    with chat.platform.stream(chat.flow_id, "Count") as stream:
        read = read_until(iter(stream), "one two three")

    with Redis.from_url(service_url(chat.platform, "valkey")) as redis:
        with chat.platform.resume(execution_of(stream), after=read[0].id) as again:
            read_until(iter(again), text_of(read)[len(text_of(read[:1])) :])
            was_followed = not is_quiet(redis)
        wait_for(lambda: is_quiet(redis), "the end of the looks at its stream")
    chat.model.release()

    assert was_followed


def is_quiet(redis: Redis) -> bool:
    """Whether no web process looks for news of a run."""
    before = looks(redis)
    time.sleep(3 * POLL_S)
    return looks(redis) == before


def looks(redis: Redis) -> int:
    return int(redis.info("commandstats")["cmdstat_xread"]["calls"])


def test_a_stop_reaches_a_run_from_any_web_process(chat: Stage) -> None:
    chat_id = new_chat()
    chat.stall(after=3)

    with second_web(chat.platform) as other, chat.platform.stream(chat.flow_id, "Count", chatId=chat_id) as stream:
        frames = iter(stream)
        read = read_until(frames, "one two three")
        other.call("PUT", f"/api/v1/chatmessage/abort/{chat.flow_id}/{chat_id}")
        rest = list(frames)

    assert [frame.event for frame in rest] == ["metadata", "abort", "end"]
    assert chat.model.hung_up.wait(10)
    assert chat.messages(chat_id) == ["Count", text_of(read)]
    assert chat.execution(execution_of(stream))["state"] == "TERMINATED"
