"""PostgreSQL is killed or restarted while predictions run and wait."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psycopg
import pytest

from predictions.reaper import COME_BACK_S, TICK_S
from tests.journeys.stage import WORDS, Stage, new_chat, read_until, service_url, text_of, wait_steady
from tests.platform import Platform

FAST_STOP, CRASH = signal.SIGINT, signal.SIGKILL


def crash_of_all(platform: Platform) -> None:
    platform.wait_restarted("postgres", platform.kill("postgres", CRASH))


def crash_of_one_session(platform: Platform) -> None:
    """PostgreSQL then ends all the others, too, but not itself."""
    url = service_url(platform, "postgres")
    with psycopg.connect(url) as crashed, psycopg.connect(url) as witness:
        os.kill(crashed.info.backend_pid, CRASH)
        with pytest.raises(psycopg.OperationalError):
            witness.execute("SELECT pg_sleep(60)")


@pytest.mark.parametrize("how", [FAST_STOP, CRASH])
def test_a_running_answer_is_kept_until_it_can_be_written(stage: Stage, how: signal.Signals) -> None:
    chat_id = new_chat()
    stage.stall(after=3)
    with stage.platform.stream(stage.flow_id, "Count", chatId=chat_id) as stream:
        frames = iter(stream)
        read = read_until(frames, "one two three")

        earlier = stage.platform.kill("postgres", how)
        stage.model.release()
        read += list(frames)

    stage.platform.wait_restarted("postgres", earlier)
    assert text_of(read) == WORDS
    assert [frame.event for frame in read[-2:]] == ["metadata", "end"]
    assert len(stage.model.requests) == 1
    stage.platform.wait_ready()
    assert stage.messages(chat_id) == ["Count", WORDS]


@pytest.mark.parametrize("crash", [crash_of_all, crash_of_one_session])
def test_a_crash_is_not_mistaken_for_the_death_of_workers(stage: Stage, crash: Callable[[Platform], None]) -> None:
    stage.stall(after=3)
    with stage.platform.stream(stage.flow_id, "Count") as stream:
        frames = iter(stream)
        read = read_until(frames, "one two three")

        crash(stage.platform)
        stage.platform.wait_ready()
        wait_steady(stage.platform, for_s=COME_BACK_S + 2 * TICK_S)
        stage.model.release()
        read += list(frames)

    assert text_of(read) == WORDS
    assert read[-1].event == "end"


def test_a_new_prediction_waits_or_is_told_to_come_back(stage: Stage) -> None:
    earlier = stage.platform.kill("postgres", CRASH)

    answer = stage.ask("Anyone?")

    assert answer.status in (200, 503)
    if answer.status == 503:
        assert int(answer.headers["retry-after"]) > 0
    stage.platform.wait_restarted("postgres", earlier)
    stage.platform.wait_ready()
    assert stage.ask("Still there?").json()["text"] == "You said: Still there?"
