"""Chatterfly's stream: a WebSocket with a run's events, for those who may see it; answers go back on it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.journeys.stage import service_url
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform
from tests.predictions.doors.chatterfly_calls import Client, kinds, payloads, read, until
from tests.predictions.doors.chatterfly_flows import INPUT, LLM, START

UNKNOWN = "run_" + 32 * "0"


def said(frames: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in payloads(frames, "message.created")]


def refusal(error: pytest.ExceptionInfo[InvalidStatus]) -> tuple[int, dict[str, Any]]:
    response = error.value.response
    assert response.body is not None
    return response.status_code, json.loads(response.body)


def test_a_run_is_told_from_its_first_event_to_its_last(greeter: Client, model: ScriptedModel) -> None:
    model.script("Hi Alice!")
    run_id = greeter.start(INPUT)

    with greeter.connect(run_id) as stream:
        frames = list(read(stream))

    assert kinds(frames) == [
        "run.started",
        "step.started",
        "step.completed",
        "step.started",
        "step.completed",
        "state.updated",
        "message.created",
        "run.completed",
    ]
    assert [step["step_id"] for step in payloads(frames, "step.completed")] == [START, LLM]
    assert "".join(delta["text"] for delta in payloads(frames, "message.delta")) == "Hi Alice!"
    assert payloads(frames, "message.created") == greeter.messages(run_id)
    assert payloads(frames, "run.completed") == [
        {"run_id": run_id, "status": "completed", "state": {**INPUT, "greeting": "Hi Alice!"}}
    ]
    assert all(list(frame) == ["id", "type", "payload", "timestamp"] for frame in frames)
    times = [datetime.fromisoformat(frame["timestamp"]) for frame in frames]
    assert times == sorted(times)


def test_events_come_while_the_run_goes_on(greeter: Client, model: ScriptedModel) -> None:
    model.script(Reply("one two three", stall_after=2))

    with greeter.connect(greeter.start(INPUT)) as stream:
        begun = until(stream, "message.delta")
        assert model.stalled.wait(30)
        model.release()
        rest = list(read(stream))

    assert "run.completed" not in kinds(begun)
    assert kinds(rest)[-1] == "run.completed"


def test_a_late_viewer_sees_the_same_at_the_same_times(greeter: Client) -> None:
    run_id = greeter.start(INPUT)
    first = greeter.frames(run_id)

    assert greeter.frames(run_id) == first


def test_a_viewer_who_comes_back_gets_what_they_lack(greeter: Client) -> None:
    run_id = greeter.start(INPUT)
    frames = greeter.frames(run_id)

    for place in (0, 3, len(frames) - 2):
        assert greeter.frames(run_id, f"?last_event_id={frames[place]['id']}") == frames[place + 1 :]


def test_a_stream_whose_log_is_gone_is_told_from_what_is_written_down(
    greeter: Client, model: ScriptedModel, platform: Platform
) -> None:
    model.script("Hi Alice!")
    run_id = greeter.start(INPUT)
    whole = [frame for frame in greeter.frames(run_id) if frame["type"] != "message.delta"]

    forget(platform, run_id)
    told = greeter.frames(run_id)

    assert [(frame["type"], frame["payload"]) for frame in told] == [(one["type"], one["payload"]) for one in whole]


def test_a_failed_run_ends_its_stream(greeter: Client, model: ScriptedModel) -> None:
    model.script(Reply(status=400, error="not allowed"))

    frames = greeter.frames(greeter.start(INPUT))

    assert kinds(frames)[-2:] == ["step.failed", "run.failed"]
    assert "not allowed" in payloads(frames, "run.failed")[0]["error"]


def test_a_decision_is_asked_for_and_taken_on_the_stream(approver: Client) -> None:
    run_id = approver.start({"question": "the letter"})

    with approver.connect(run_id) as stream:
        asked = until(stream, "run.waiting")
        stream.send(json.dumps({"type": "answer", "decision": "reject", "feedback": "not yet"}))
        rest = list(read(stream))

    assert kinds(asked)[-4:] == ["message.created", "message.created", "hitl.opened", "run.waiting"]
    assert payloads(asked, "hitl.opened") == [
        {
            "step_id": "humanInputAgentflow_0",
            "kind": "decision",
            "prompt": "Send it?",
            "options": [{"decision": "proceed", "label": "Proceed"}, {"decision": "reject", "label": "Reject"}],
        }
    ]
    assert payloads(asked, "run.waiting")[0]["status"] == "waiting_for_input"
    assert kinds(rest)[0] == "hitl.completed"
    assert kinds(rest)[-1] == "run.completed"
    assert said([*asked, *rest]) == [
        ("user", "the letter"),
        ("assistant", "Send it?"),
        ("user", "not yet"),
        ("assistant", "Kept: not yet"),
    ]


def test_one_who_comes_after_an_answer_sees_the_question_too(asker: Client) -> None:
    run_id = asker.start()
    with asker.connect(run_id) as stream:
        first = until(stream, "run.waiting")
        stream.send(json.dumps({"type": "message", "payload": {"content": "42"}}))
        first += read(stream)

    assert asker.frames(run_id) == first
    assert said(first) == [("assistant", "Which invoice?"), ("user", "42"), ("assistant", "It is 42")]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("not JSON", "Expected JSON"),
        ('{"type": "shout"}', 'Expected {"type": "message"'),
        ('{"type": "message"}', "content: expected text"),
        ('{"type": "answer", "decision": "proceed"}', "waits for the user's next message"),
    ],
)
def test_what_cannot_be_understood_is_told_and_the_stream_goes_on(asker: Client, sent: str, message: str) -> None:
    with asker.connect(asker.start()) as stream:
        until(stream, "run.waiting")
        stream.send(sent)
        [error] = payloads(until(stream, "error"), "error")
        stream.send('{"type": "message", "content": "42"}')
        rest = list(read(stream))

    assert message in error["message"]
    assert kinds(rest)[-1] == "run.completed"


def test_a_stream_closes_in_order_behind_the_end(greeter: Client) -> None:
    with greeter.connect(greeter.start(INPUT)) as stream:
        list(read(stream))

        assert stream.close_code == 1000


def test_a_participant_follows_their_run_and_sees_none_of_its_inside(approver: Client) -> None:
    run_id = approver.start({"question": "the letter", "discount": "secret"})
    token = approver.token(run_id)

    with approver.connect(run_id, query=f"?token={token}", key=None) as stream:
        frames = until(stream, "run.waiting")
        stream.send('{"type": "answer", "decision": "proceed"}')
        frames += read(stream)

    assert kinds(frames)[-1] == "run.completed"
    assert "state.updated" not in kinds(frames)
    assert not re.search('secret|output|state"', json.dumps([f for f in frames if f["type"] != "message.created"]))


@pytest.mark.parametrize("name", ["token", "participant_token"])
def test_a_token_goes_for_its_run_only(approver: Client, name: str) -> None:
    run_id, other = approver.start(), approver.start()
    token = approver.token(run_id)

    with approver.connect(run_id, query=f"?{name}={token}", key=None) as stream:
        until(stream, "run.waiting")
    with pytest.raises(InvalidStatus) as refused, approver.connect(other, query=f"?{name}={token}", key=None):
        pass

    assert refusal(refused) == (404, {"error": f"Run {other} not found"})


@pytest.mark.parametrize(
    ("key", "query", "status"),
    [(None, "", 401), ("cf_wrong", "", 401), (None, "?token=cf_wrong", 401), ("own", "?last_event_id=x", 400)],
)
def test_who_may_not_follow_is_refused_before_anything_is_sent(
    approver: Client, key: str | None, query: str, status: int
) -> None:
    run_id = approver.start()

    with pytest.raises(InvalidStatus) as refused, approver.connect(run_id, key=key, query=query):
        pass

    assert refusal(refused)[0] == status
    assert list(refusal(refused)[1]) == ["error"]


@pytest.mark.parametrize(("run_id", "status"), [(UNKNOWN, 404), ("run_7", 400)])
def test_a_run_that_is_none_is_refused(approver: Client, run_id: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused, approver.connect(run_id):
        pass

    assert refusal(refused)[0] == status


def test_a_run_of_another_deployment_is_not_found(approver: Client, asker: Client) -> None:
    with pytest.raises(InvalidStatus) as refused, approver.connect(asker.start()):
        pass

    assert refusal(refused)[0] == 404


def test_a_socket_where_there_is_none_is_refused(platform: Platform) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"{platform.url.replace('http', 'ws', 1)}/api/v1/elsewhere"):
        pass

    assert refusal(refused) == (404, {"message": "Nothing here: /api/v1/elsewhere", "code": "not_found"})


def test_a_token_in_an_address_is_in_no_log(approver: Client, platform: Platform) -> None:
    run_id = approver.start()
    token = approver.token(run_id)

    with approver.connect(run_id, query=f"?token={token}", key=None) as stream:
        until(stream, "run.waiting")

    logs = "".join(log.read_text() for log in (platform.var / "log").glob("*.log"))
    assert run_id in logs
    assert token not in logs


def test_a_client_that_says_too_much_at_once_is_cut_off(asker: Client) -> None:
    with asker.connect(asker.start()) as stream:
        until(stream, "run.waiting")
        stream.send("x" * 2_000_000)
        with pytest.raises(ConnectionClosed):
            until(stream, "never")

        assert stream.close_code == 1009


def forget(platform: Platform, run_id: str) -> None:
    """As if the log's time were over."""
    from uuid import UUID

    from redis import Redis

    with Redis.from_url(service_url(platform, "valkey")) as redis:
        assert redis.delete(f"run:{UUID(hex=run_id.removeprefix('run_'))}") == 1
