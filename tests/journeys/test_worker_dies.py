"""A worker is killed, frozen or told to stop while it answers."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.journeys.stage import (
    WORDS,
    Stage,
    execution_of,
    new_chat,
    read_until,
    second_worker,
    text_of,
    wait_for_log,
)
from tests.model_wire import Reply

NOTICED_S = 2.0

pytestmark = pytest.mark.usefixtures("steady")


def test_a_viewer_of_a_part_gets_the_rest_and_nothing_twice(stage: Stage) -> None:
    chat_id = new_chat()
    stage.model.script(Reply(WORDS, stall_after=3), Reply(WORDS))

    with stage.platform.stream(stage.flow_id, "Count", chatId=chat_id) as stream:
        frames = iter(stream)
        read = read_until(frames, "one two three")
        earlier = stage.platform.kill("worker")
        read += list(frames)

    assert text_of(read) == WORDS
    assert [frame.event for frame in read if frame.event != "token"] == ["start", "metadata", "end"]
    assert len({frame.id for frame in read}) == len(read)
    assert stage.messages(chat_id) == ["Count", WORDS]
    stage.platform.wait_restarted("worker", earlier)


def test_words_that_are_not_said_again_are_taken_back(stage: Stage) -> None:
    chat_id = new_chat()
    stage.model.script(Reply(WORDS, stall_after=3), Reply("one two and so on"))

    with stage.platform.stream(stage.flow_id, "Count", chatId=chat_id) as stream:
        frames = iter(stream)
        read_until(frames, "one two three")
        stage.platform.kill("worker")
        rest = list(frames)

    retract = next(frame for frame in rest if frame.event == "retract")
    assert "one two three"[: -retract.data["length"]] + text_of(rest) == "one two and so on"
    assert stage.messages(chat_id) == ["Count", "one two and so on"]


def test_an_answer_that_nobody_saw_starts_again(stage: Stage) -> None:
    chat_id = new_chat()
    stage.stall(after=0)
    waiting = stage.asking(chatId=chat_id)
    assert stage.model.stalled.wait(10)

    stage.platform.kill("worker")
    answer = waiting.result(30)

    assert answer.status == 200
    assert answer.json()["text"] == "You said: Count"
    assert len(stage.model.requests) == 2
    assert stage.messages(chat_id) == ["Count", "You said: Count"]
    assert stage.execution(answer.json()["executionId"])["attempt"] == 2


def test_a_stream_that_had_said_nothing_starts_again(stage: Stage) -> None:
    chat_id = new_chat()
    stage.stall(after=0)

    with stage.platform.stream(stage.flow_id, "Count", chatId=chat_id) as stream:
        assert stage.model.stalled.wait(10)
        stage.platform.kill("worker")
        frames = list(stream)

    assert text_of(frames) == "You said: Count"
    assert [frame.event for frame in frames].count("start") == 1
    assert frames[-1].event == "end"
    assert stage.messages(chat_id) == ["Count", "You said: Count"]


def test_a_worker_that_comes_back_after_its_run_was_taken_over_changes_nothing(stage: Stage) -> None:
    chat_id = new_chat()
    stage.stall(after=0)
    waiting = stage.asking(chatId=chat_id)
    assert stage.model.stalled.wait(10)

    frozen = stage.platform.kill("worker", signal.SIGSTOP)
    try:
        with second_worker(stage.platform):
            answer = waiting.result(30)
    finally:
        os.kill(frozen, signal.SIGCONT)
    stage.model.release()
    wait_for_log(stage.platform, "worker", "run was taken over")

    assert answer.json()["text"] == "You said: Count"
    assert stage.messages(chat_id) == ["Count", "You said: Count"]
    assert stage.execution(answer.json()["executionId"])["output"] == answer.json()


def test_a_worker_that_is_told_to_stop_finishes_its_answers(stage: Stage) -> None:
    stage.stall(after=3)

    with stage.platform.stream(stage.flow_id, "Count") as stream:
        frames = iter(stream)
        read = read_until(frames, "one two three")
        earlier = stage.platform.kill("worker", signal.SIGTERM)
        wait_for_log(stage.platform, "worker", "worker draining")
        meanwhile = stage.asking("Anyone?")
        stage.model.release()
        read += list(frames)
        assert not meanwhile.done()

    assert text_of(read) == WORDS
    assert meanwhile.result(30).json()["text"] == "You said: Anyone?"
    assert stage.platform.wait_restarted("worker", earlier) != earlier
    assert len(stage.model.requests) == 2


def test_a_queued_run_can_be_stopped(stage: Stage) -> None:
    chat_id = new_chat()
    frozen = stage.platform.kill("worker", signal.SIGSTOP)
    try:
        with stage.platform.stream(stage.flow_id, "Count", chatId=chat_id) as stream:
            stopped = stage.stop(chat_id)
            stopped_at = time.monotonic()
            frames = list(stream)
            told_s = time.monotonic() - stopped_at
    finally:
        os.kill(frozen, signal.SIGCONT)

    assert stopped.status == 200
    assert told_s < NOTICED_S
    assert [frame.event for frame in frames] == ["metadata", "abort", "end"]
    assert stage.messages(chat_id) == ["Count", ""]
    assert stage.execution(execution_of(stream))["state"] == "TERMINATED"
    assert stage.ask("Next").json()["text"] == "You said: Next"
    assert [request.question for request in stage.model.requests] == ["Next"]
