"""Chatterfly's runs: started, looked at, talked to, over HTTP."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.doors.chatterfly_calls import Client
from tests.predictions.doors.chatterfly_flows import INPUT, LLM
from tests.predictions.doors.conftest import Deploy
from tests.predictions.receiver import Receiver

SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_a_run_is_accepted_and_its_input_is_the_state_that_templates_read(
    greeter: Client, model: ScriptedModel
) -> None:
    started = greeter.http.post("/runs", json={"input": INPUT})

    assert started.status_code == 202
    run_id = started.json()["run_id"]
    assert started.json() == {"run_id": run_id, "status": "pending"}
    assert re.fullmatch("run_[0-9a-f]{32}", run_id)
    assert started.headers["Location"] == f"/api/v1/runs/{run_id}"
    assert greeter.until(run_id)["status"] == "completed"
    assert model.requests[-1].question == "Greet Alice about Billing query"


def test_a_completed_run_shows_what_its_nodes_captured_and_when(greeter: Client, model: ScriptedModel) -> None:
    model.script("Hi Alice!")

    run = greeter.until(run_id := greeter.start(INPUT))

    dates = [run.pop(name) for name in ("created_at", "started_at", "completed_at")]
    assert run == {
        "id": run_id,
        "status": "completed",
        "state": {**INPUT, "greeting": "Hi Alice!"},
        "current_step_id": None,
    }
    assert all(SECOND.fullmatch(date) for date in dates)
    assert dates == sorted(dates)


def test_a_running_run_names_the_node_that_runs(greeter: Client, model: ScriptedModel) -> None:
    model.script(Reply("Hi Alice!", stall_after=1))

    run_id = greeter.start(INPUT)
    assert model.stalled.wait(30)
    run = greeter.look(run_id)
    model.release()

    assert {**run, "created_at": "", "started_at": ""} == {
        "id": run_id,
        "status": "running",
        "state": INPUT,
        "current_step_id": LLM,
        "created_at": "",
        "started_at": "",
    }
    assert greeter.until(run_id)["status"] == "completed"


def test_the_conversation_says_which_node_spoke(greeter: Client, model: ScriptedModel) -> None:
    model.script("Hi Alice! How can I help with your billing query?")
    greeter.until(run_id := greeter.start(INPUT))

    [message] = greeter.messages(run_id)

    assert re.fullmatch("msg_[0-9a-f]{32}", message.pop("id"))
    assert SECOND.fullmatch(message.pop("created_at"))
    assert message == {
        "role": "assistant",
        "content": "Hi Alice! How can I help with your billing query?",
        "step_id": LLM,
    }


def test_a_question_in_the_input_is_a_message_of_the_user(greeter: Client) -> None:
    greeter.until(run_id := greeter.start({"question": "Where is my invoice?"}))

    said = greeter.messages(run_id)

    assert [(message["role"], message["step_id"]) for message in said] == [
        ("user", "startAgentflow_0"),
        ("assistant", LLM),
    ]
    assert said[0]["content"] == "Where is my invoice?"


def test_a_failed_run_says_why(greeter: Client, model: ScriptedModel) -> None:
    model.script(Reply(status=400, error="not allowed"))

    run = greeter.until(greeter.start(INPUT))

    assert run["status"] == "failed"
    assert "not allowed" in run["error"]
    assert run["state"] == INPUT


def test_a_cancelled_run_has_failed(greeter: Client, model: ScriptedModel, holder: Any) -> None:
    model.script(Reply("Hi", stall_after=0))
    run_id = greeter.start(INPUT)
    assert model.stalled.wait(30)

    holder.http.post(f"/executions/{run_id.removeprefix('run_')}/cancel")

    run = greeter.until(run_id)
    model.release()
    assert (run["status"], run["error"]) == ("failed", "Flow execution was cancelled")


def test_a_run_that_asks_for_a_decision_waits_for_input_and_goes_on_with_it(approver: Client) -> None:
    waiting = approver.until(run_id := approver.start({"question": "the letter"}), "waiting_for_input")

    answered = approver.http.post(f"/runs/{run_id}/messages", json={"decision": "reject", "feedback": "not yet"})

    assert waiting["current_step_id"] == "humanInputAgentflow_0"
    assert "completed_at" not in waiting
    assert (answered.status_code, answered.json()) == (202, {"run_id": run_id, "status": "running"})
    run = approver.until(run_id)
    assert run["status"] == "completed"
    assert [(said["role"], said["content"], said["step_id"]) for said in approver.messages(run_id)] == [
        ("user", "the letter", "startAgentflow_0"),
        ("assistant", "Send it?", "humanInputAgentflow_0"),
        ("user", "not yet", "humanInputAgentflow_0"),
        ("assistant", "Kept: not yet", "directReplyAgentflow_1"),
    ]


def test_a_run_that_asks_a_question_goes_on_with_the_next_message(asker: Client) -> None:
    asker.until(run_id := asker.start(), "waiting_for_input")

    answered = asker.http.post(f"/runs/{run_id}/messages", json={"content": "number 42"})

    assert answered.status_code == 202
    assert asker.until(run_id)["status"] == "completed"
    assert [said["content"] for said in asker.messages(run_id)] == ["Which invoice?", "number 42", "It is number 42"]


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        ({"decision": "proceed"}, 409, "waits for the user's next message, not for a person's decision"),
        ({"decision": "perhaps"}, 400, "decision: expected proceed or reject"),
        ({"content": "  "}, 400, "content: expected text"),
        ({}, 400, "content: expected text"),
    ],
)
def test_what_a_run_does_not_wait_for_is_refused(
    asker: Client, answer: dict[str, Any], status: int, error: str
) -> None:
    asker.until(run_id := asker.start(), "waiting_for_input")

    refused = asker.http.post(f"/runs/{run_id}/messages", json=answer)

    assert refused.status_code == status
    assert list(refused.json()) == ["error"]
    assert error in refused.json()["error"]
    assert asker.look(run_id)["status"] == "waiting_for_input"


def test_a_run_that_is_over_takes_no_answer(greeter: Client) -> None:
    greeter.until(run_id := greeter.start(INPUT))

    assert greeter.http.post(f"/runs/{run_id}/messages", json={"content": "Hi"}).status_code == 409


def test_an_answer_with_a_key_counts_once(asker: Client) -> None:
    asker.until(run_id := asker.start(), "waiting_for_input")
    path, headers = f"/runs/{run_id}/messages", {"Idempotency-Key": "answer-1"}

    first, second = (asker.http.post(path, json={"content": "42"}, headers=headers) for _ in range(2))

    assert (first.status_code, second.status_code) == (202, 202)
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"


def test_a_start_with_a_key_counts_once(greeter: Client) -> None:
    headers = {"Idempotency-Key": "start-1"}

    first, second = (greeter.http.post("/runs", json={"input": INPUT}, headers=headers) for _ in range(2))
    other = greeter.http.post("/runs", json={"input": {}}, headers=headers)

    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, list(other.json())) == (422, ["error"])


def test_a_run_that_waits_for_an_event_waits_but_for_no_input(deploy: Deploy) -> None:
    client = deploy(drawing.waiting_flow("waitForEventAgentflow", {"waitEventName": "paid-7"}, "Paid"))

    assert client.until(client.start(), "waiting")["current_step_id"] == "waitForEventAgentflow_0"


def test_a_run_keeps_to_the_version_that_was_deployed(greeter: Client, holder: Any, model: ScriptedModel) -> None:
    changed = {"flowData": drawing.flow([drawing.start()], [])}
    saved = holder.http.put(f"/agentflows/{greeter.flow_id}", json=changed)

    greeter.until(greeter.start(INPUT))

    assert saved.status_code == 200
    assert model.requests[-1].question == "Greet Alice about Billing query"


def test_a_hook_of_the_run_hears_of_its_end(greeter: Client, model: ScriptedModel) -> None:
    model.script("Hi Alice!")

    with Receiver() as receiver:
        run_id = greeter.start(INPUT, hooks=[{"url": receiver.url, "events": ["run.completed"], "secret": "quiet"}])
        told = json.loads(receiver.next_call().body)

    assert (told["event"], told["run_id"], told["status"]) == ("run.completed", run_id, "completed")
    assert told["state"] == {**INPUT, "greeting": "Hi Alice!"}
