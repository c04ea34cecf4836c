"""Runs that wait without a process: for an event, for the user's next message, for a time to come."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.journeys.stage import wait_for
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow
from tests.predictions.test_human_input import messages_of

EVENT = "waitForEventAgentflow"
ASK = "askUserAgentflow"


def waiting(new_flow: NewFlow, name: str, inputs: dict[str, Any], in_time: str) -> str:
    return new_flow(drawing.waiting_flow(name, inputs, in_time), type="AGENTFLOW")


def awaiting(new_flow: NewFlow, event: str, timeout: str = "24h") -> str:
    inputs = {"waitEventName": event, "waitTimeout": timeout}
    return waiting(new_flow, EVENT, inputs, "Paid: {{ waitForEventAgentflow_0 }}")


def report(caller: Caller, event: str, data: Any = None) -> httpx.Response:
    return caller.http.post(f"/events/{event}", json=data)


def ended(holder: Caller, execution_id: str) -> dict[str, Any]:
    """The run, once it has ended."""

    def run() -> dict[str, Any]:
        found: dict[str, Any] = holder.http.get(f"/executions/{execution_id}").json()
        return found

    wait_for(lambda: run()["state"] in ("FINISHED", "ERROR", "TERMINATED"), "the end of the run")
    return run()


def test_every_run_that_waits_for_an_event_goes_on_with_what_was_reported(holder: Caller, new_flow: NewFlow) -> None:
    event = f"payment-{uuid4().hex}"
    flow_id = awaiting(new_flow, event)
    asked = [holder.answer(flow_id, "Order", chatId=chat)["executionId"] for chat in ("a", "b")]

    reported = report(holder, event, {"amount": 42})

    assert reported.status_code == 200
    assert sorted(reported.json()["executionIds"]) == sorted(asked)
    assert {ended(holder, one)["output"]["text"] for one in asked} == {'Paid: {"amount":42}'}
    assert [message["content"] for message in messages_of(holder, flow_id)].count("Order") == 2


def test_an_event_that_nobody_waits_for_is_not_found_and_not_kept(holder: Caller, new_flow: NewFlow) -> None:
    event = f"early-{uuid4().hex}"

    early = report(holder, event)
    asked = holder.answer(awaiting(new_flow, event), "Order")

    assert early.status_code == 404
    assert event in early.json()["message"]
    assert holder.http.get(f"/executions/{asked['executionId']}").json()["state"] == "STOPPED"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("[" * 300 + "]" * 300, "The body: nested more than 100 levels deep"),
        (r'{"a": "\u0000"}', "The body: the character NUL is not allowed"),
    ],
)
def test_an_event_that_cannot_be_kept_is_refused(holder: Caller, new_flow: NewFlow, data: str, message: str) -> None:
    event = f"odd-{uuid4().hex}"
    holder.answer(awaiting(new_flow, event), "Order")

    refused = holder.http.post(f"/events/{event}", content=data)

    assert (refused.status_code, refused.json()["message"]) == (400, message)
    assert report(holder, event).status_code == 200


def test_of_many_reports_of_one_event_one_counts(holder: Caller, new_flow: NewFlow) -> None:
    event = f"storm-{uuid4().hex}"
    holder.answer(awaiting(new_flow, event), "Order")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: report(holder, event, number), range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 7


def test_without_a_key_no_event_is_reported(visitor: Caller, holder: Caller, new_flow: NewFlow) -> None:
    event = f"secret-{uuid4().hex}"
    holder.answer(awaiting(new_flow, event), "Order")

    assert report(visitor, event).status_code == 401
    assert report(holder, event).status_code == 200


def test_an_event_that_does_not_come_in_time_lets_the_run_go_on_the_other_way(
    holder: Caller, new_flow: NewFlow
) -> None:
    asked = holder.answer(awaiting(new_flow, f"never-{uuid4().hex}", timeout="50ms"), "Order")

    run = ended(holder, asked["executionId"])

    assert run["output"]["text"] == "Too late"
    assert json.loads(run["executionData"])[1]["data"]["output"]["timeout"] is True


@pytest.mark.parametrize("streams", [False, True])
def test_the_users_next_message_is_the_answer_to_what_they_were_asked(
    holder: Caller, new_flow: NewFlow, streams: bool
) -> None:
    flow_id = waiting(new_flow, ASK, {"askQuestion": "What is your name?"}, "Hello {{ askUserAgentflow_0 }}")
    first = holder.answer(flow_id, "Hi", chatId="c")

    second = (
        [frame.data for frame in holder.stream(flow_id, "Ada", chatId="c") if frame.event == "token"]
        if streams
        else holder.answer(flow_id, "Ada", chatId="c")["text"]
    )

    assert first["text"] == "What is your name?"
    assert "action" not in first
    assert "".join(second) == "Hello Ada"
    said = [message["content"] for message in messages_of(holder, flow_id)]
    assert said == ["Hi", "What is your name?", "Ada", "Hello Ada"]


def test_another_chats_message_is_no_answer(holder: Caller, new_flow: NewFlow) -> None:
    flow_id = waiting(new_flow, ASK, {"askQuestion": "What is your name?"}, "Hello {{ askUserAgentflow_0 }}")
    holder.answer(flow_id, "Hi", chatId="c")

    other = holder.answer(flow_id, "Ada", chatId="d")

    assert other["text"] == "What is your name?"


def test_a_run_that_sleeps_goes_on_by_itself(holder: Caller, new_flow: NewFlow) -> None:
    flow_id = new_flow(
        drawing.flow(
            [
                drawing.start(),
                drawing.step("sleepAgentflow_0", "sleepAgentflow", {"sleepFor": "50ms"}),
                drawing.reply(0, "Good morning"),
            ],
            drawing.path("startAgentflow_0", "sleepAgentflow_0", "directReplyAgentflow_0"),
        ),
        type="AGENTFLOW",
    )

    asked = holder.answer(flow_id, "Good night")

    assert asked["text"].strip() == ""
    assert ended(holder, asked["executionId"])["output"]["text"] == "Good morning"


def test_a_decision_is_no_event(holder: Caller, new_flow: NewFlow) -> None:
    event = f"payment-{uuid4().hex}"
    flow_id = awaiting(new_flow, event)
    holder.answer(flow_id, "Order", chatId="c")

    refused = holder.predict(flow_id, "Proceed", chatId="c", humanInput={"type": "proceed"})

    assert refused.status_code == 409
    assert f"waits for the event '{event}', not for a decision" in refused.json()["message"]


def test_a_report_that_is_sent_again_with_its_key_gets_the_first_answer(holder: Caller, new_flow: NewFlow) -> None:
    event = f"payment-{uuid4().hex}"
    flow_id = awaiting(new_flow, event)
    for chat in ("a", "b"):
        holder.answer(flow_id, "Order", chatId=chat)
    key = {"Idempotency-Key": "a"}

    first, second = (holder.http.post(f"/events/{event}", json=1, headers=key) for _ in range(2))
    other = holder.http.post(f"/events/{event}", json=2, headers=key)

    assert len(first.json()["executionIds"]) == 2
    assert second.json() == first.json()
    assert other.status_code == 422
