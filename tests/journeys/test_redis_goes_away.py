"""Valkey is killed, restarted or frozen while predictions run and wait."""

from __future__ import annotations

import os
import signal
import time

import pytest
from redis import Redis

from predictions.lanes import QUEUE
from tests.journeys.stage import (
    WORDS,
    Stage,
    execution_of,
    new_chat,
    read_until,
    rest_of,
    service_url,
    text_of,
    wait_for,
)

REFUSED_S = 3.0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_running_answer_survives_a_restart(stage: Stage, how: signal.Signals) -> None:
    chat_id = new_chat()
    stage.stall(after=3)
    with stage.platform.stream(stage.flow_id, "Count", chatId=chat_id) as stream:
        frames = iter(stream)
        read = read_until(frames, "one two three")

        earlier = stage.platform.kill("valkey", how)
        stage.platform.wait_restarted("valkey", earlier)
        stage.model.release()
        read += list(frames)

    assert text_of(read) == WORDS
    assert [frame.event for frame in read[-2:]] == ["metadata", "end"]
    assert stage.messages(chat_id) == ["Count", WORDS]
    stage.platform.wait_ready()
    assert stage.ask("Still there?").json()["text"] == "You said: Still there?"
    with stage.platform.resume(execution_of(stream), after=read[2].id) as stream:
        assert text_of(read[:3]) + text_of(list(stream)) == WORDS


def test_a_caller_who_waits_gets_the_answer_of_before(stage: Stage) -> None:
    stage.stall(after=0)
    waiting = stage.asking()
    assert stage.model.stalled.wait(10)

    earlier = stage.platform.kill("valkey")
    stage.platform.wait_restarted("valkey", earlier)
    stage.model.release()

    assert waiting.result(30).json()["text"] == WORDS


def test_a_new_prediction_is_refused_soon_and_told_to_come_back(stage: Stage) -> None:
    frozen = stage.platform.kill("valkey", signal.SIGSTOP)
    try:
        asked_at = time.monotonic()
        refused = stage.ask()
        refused_s = time.monotonic() - asked_at
    finally:
        os.kill(frozen, signal.SIGCONT)

    assert refused.status == 503
    assert refused.json()["code"] == "unavailable"
    assert int(refused.headers["retry-after"]) > 0
    assert refused_s < REFUSED_S
    stage.platform.wait_ready()
    assert stage.ask("Again").json()["text"] == "You said: Again"


def test_runs_that_the_broker_forgot_are_dispatched_again(stage: Stage) -> None:
    chat_id = new_chat()
    redis = Redis.from_url(service_url(stage.platform, "valkey"))
    worker = stage.platform.kill("worker", signal.SIGSTOP)
    try:
        # What it waits for would be in its socket before it is lost.
        wait_for(lambda: redis.info("clients")["blocked_clients"] == 0, "the end of the worker's wait")
        with stage.platform.stream(stage.flow_id, "Remember me", chatId=chat_id) as stream:
            wait_for(lambda: redis.keys(f"{QUEUE}:lane:*"), "the run in its lane")
            redis.delete(*redis.keys(f"{QUEUE}:*"))
            os.kill(worker, signal.SIGCONT)
            frames = rest_of(iter(stream))
    finally:
        os.kill(worker, signal.SIGCONT)
        redis.close()

    assert text_of(frames) == "You said: Remember me"
    wait_for(lambda: len(stage.messages(chat_id)) == 2, "both messages")
    assert len(stage.model.requests) == 1


def test_a_stream_whose_events_are_lost_is_completed_from_the_answer(stage: Stage) -> None:
    stage.stall(after=3)
    with stage.platform.stream(stage.flow_id, "Count") as stream:
        read = read_until(iter(stream), "one two three")
    with Redis.from_url(service_url(stage.platform, "valkey")) as redis:
        assert redis.delete(f"run:{execution_of(stream)}") == 1

    with stage.platform.resume(execution_of(stream), after=read[-1].id) as stream:
        stage.model.release()
        rest = list(stream)

    assert text_of(read) + text_of(rest) == WORDS
    assert rest[-1].event == "end"
