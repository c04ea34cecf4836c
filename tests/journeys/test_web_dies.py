"""A web process is killed or told to stop while callers wait and streams are open."""

from __future__ import annotations

import http.client
import json
import signal
import time

from playwright.sync_api import Page

from tests.journeys.chat_page import ChatPage
from tests.journeys.stage import (
    WORDS,
    Stage,
    execution_of,
    new_chat,
    read_until,
    rest_of,
    second_web,
    text_of,
)

AT_ONCE_S = 1.0


def test_a_stream_cut_by_a_crash_goes_on_where_it_was(stage: Stage) -> None:
    chat_id = new_chat()
    stage.stall(after=3)
    with stage.platform.stream(stage.flow_id, "Count", chatId=chat_id) as stream:
        frames = iter(stream)
        read = read_until(frames, "one two three")
        earlier = stage.platform.kill("web")
        cut = rest_of(frames)

    stage.platform.wait_restarted("web", earlier)
    stage.model.release()
    with stage.platform.resume(execution_of(stream), after=read[-1].id) as stream:
        rest = list(stream)

    assert cut == []
    assert text_of(read) + text_of(rest) == WORDS
    assert [frame.event for frame in rest[-2:]] == ["metadata", "end"]
    assert stage.messages(chat_id) == ["Count", WORDS]
    assert len(stage.model.requests) == 1


def test_a_chat_page_notices_nothing_of_a_crash(stage: Stage, page: Page) -> None:
    talk = ChatPage(page, stage)
    talk.open()
    stage.stall(after=3)
    talk.ask("Count")
    talk.expect_turns("You: Count", "Answer: one two three")

    stage.platform.wait_restarted("web", stage.platform.kill("web"))
    stage.model.release()

    talk.expect_turns("You: Count", f"Answer: {WORDS}")
    talk.expect_idle()


def test_any_web_process_continues_a_stream(stage: Stage) -> None:
    stage.stall(after=3)
    with stage.platform.stream(stage.flow_id, "Count") as stream:
        read = read_until(iter(stream), "one two three")

    with second_web(stage.platform) as other, other.resume(execution_of(stream), after=read[-1].id) as stream:
        stage.model.release()
        rest = list(stream)

    assert text_of(read) + text_of(rest) == WORDS
    assert len({frame.id for frame in read + rest}) == len(read + rest)


def test_a_stop_sends_streams_elsewhere_at_once(stage: Stage) -> None:
    stage.stall(after=3)
    connection = http.client.HTTPConnection(stage.platform.url.removeprefix("http://"), timeout=30)
    body = json.dumps({"question": "Count", "streaming": True})
    connection.request("POST", f"/api/v1/prediction/{stage.flow_id}", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    while b" three" not in response.readline():
        pass

    earlier = stage.platform.kill("web", signal.SIGTERM)
    told_at = time.monotonic()
    rest = response.read()

    assert time.monotonic() - told_at < AT_ONCE_S
    assert rest.endswith(b"retry: 500\n\n")
    assert b"data:" not in rest
    connection.close()
    stage.model.release()
    stage.platform.wait_restarted("web", earlier)


def test_a_stop_leaves_waiting_callers_time_for_their_answers(stage: Stage) -> None:
    stage.stall(after=0)
    waiting = stage.asking()
    assert stage.model.stalled.wait(10)

    earlier = stage.platform.kill("web", signal.SIGTERM)
    meanwhile = stage.asking("Anyone?")
    stage.model.release()
    answer = waiting.result(10)

    assert answer.status == 200
    assert answer.json()["text"] == WORDS
    assert meanwhile.result(30).json()["text"] == "You said: Anyone?"
    stage.platform.wait_restarted("web", earlier)
