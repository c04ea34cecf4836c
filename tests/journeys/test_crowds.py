"""Several workers and web processes, many callers, and callers who leave."""

from __future__ import annotations

from tests.journeys.stage import (
    WORDS,
    Stage,
    execution_of,
    new_chat,
    read_until,
    second_web,
    second_worker,
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


def test_a_stop_reaches_a_run_from_any_web_process(chat: Stage) -> None:
    chat_id = new_chat()
    chat.stall(after=3)

    with second_web(chat.platform) as other, chat.platform.stream(chat.flow_id, "Count", chatId=chat_id) as stream:
        frames = iter(stream)
        read = read_until(frames, "one two three")
        other.call("PUT", f"/api/v1/chatmessage/abort/{chat.flow_id}/{chat_id}", key=None)
        rest = list(frames)

    assert [frame.event for frame in rest] == ["metadata", "abort", "end"]
    assert chat.model.hung_up.wait(10)
    assert chat.messages(chat_id) == ["Count", text_of(read)]
    assert chat.execution(execution_of(stream))["state"] == "TERMINATED"
