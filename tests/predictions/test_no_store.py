"""Flows whose rule says that nothing is stored: they answer as others do, and a minute later nothing of it is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, NewFlow
from tests.predictions.test_end_users import EVERYWHERE, asked_of

EMPTY = """
from datetime import timedelta
from django.db.models import F
from predictions.models import Execution
from predictions.retention.services import PASSING_S, empty_runs
runs = Execution.objects.filter(chatflow_id={flow_id!r})
runs.update(finished_at=F("finished_at") - timedelta(seconds={age_s} * PASSING_S))
print(json.dumps(empty_runs()))
"""
CANARY = "zymurgy-9c1e"
Empty = Callable[..., int]
Unstored = Callable[[str], str]


@pytest.fixture
def unstored(new_flow: NewFlow, holder: Caller) -> Unstored:
    """Saves a flow of which nothing is stored."""

    def create(flow_data: str) -> str:
        flow_id = new_flow(flow_data, type="AGENTFLOW")
        assert holder.http.put(f"/retention/{flow_id}", json={"days": None, "store": False}).status_code == 200
        return flow_id

    return create


@pytest.fixture
def empty(inside: Inside) -> Empty:
    """Lets a minute pass for the flow's runs, and what is due be done; returns how many runs that was done to."""

    def pass_time(flow_id: str, *, age_s: float = 1) -> int:
        emptied: int = inside(EMPTY.format(flow_id=flow_id, age_s=age_s))
        return emptied

    return pass_time


def read(holder: Caller, execution_id: object) -> dict[str, Any]:
    shown: dict[str, Any] = holder.http.get(f"/executions/{execution_id}").json()
    return shown


def test_nothing_is_left_of_what_was_said(
    unstored: Unstored, empty: Empty, holder: Caller, model: ScriptedModel, inside: Inside
) -> None:
    flow_id = unstored(drawing.agentflow(model.url))
    word = f"{CANARY}-{flow_id}"

    answer = holder.answer(flow_id, f"My word is {word}", chatId="c1")
    soon = read(holder, answer["executionId"])
    assert empty(flow_id) == 1

    assert word in answer["text"]
    assert word in soon["output"]["text"], "who asks for the answer later still gets it for a minute"
    assert inside(f"needle = {word!r}\n{EVERYWHERE}") == []
    late = read(holder, answer["executionId"])
    assert (late["state"], late["isStored"], late["output"]["text"]) == ("FINISHED", False, "")
    assert late["usageMetadata"] == soon["usageMetadata"]
    assert empty(flow_id) == 0


def test_a_conversation_is_not_remembered(unstored: Unstored, holder: Caller, model: ScriptedModel) -> None:
    flow_id = unstored(drawing.agentflow(model.url))

    holder.answer(flow_id, f"My word is {CANARY}", chatId="c1")
    holder.answer(flow_id, "What is my word?", chatId="c1")

    assert CANARY not in asked_of(model)
    assert holder.http.get(f"/chatmessage/{flow_id}").json() == []


def test_one_flow_may_store_where_the_workspace_does_not(agent: str, empty: Empty, holder: Caller) -> None:
    holder.http.put("/retention", json={"days": None, "store": False})
    holder.http.put(f"/retention/{agent}", json={"days": None})
    try:
        answer = holder.answer(agent, "Hello")
    finally:
        holder.http.put("/retention", json={"days": None})

    assert empty(agent) == 0
    assert read(holder, answer["executionId"])["isStored"] is True
    assert len(holder.http.get(f"/chatmessage/{agent}").json()) == 2


def test_a_run_that_waits_keeps_what_it_needs(unstored: Unstored, empty: Empty, holder: Caller) -> None:
    flow_id = unstored(drawing.approval_flow("Sent"))
    answer = holder.answer(flow_id, f"Send {CANARY}", chatId="c1")

    assert empty(flow_id) == 0
    done = holder.answer(
        flow_id, "", chatId="c1", humanInput={"type": "proceed", "startNodeId": "humanInputAgentflow_0"}
    )

    assert done["executionId"] == answer["executionId"]
    assert empty(flow_id) == 1


def test_why_a_run_failed_is_told_by_its_code_alone(
    unstored: Unstored, empty: Empty, holder: Caller, model: ScriptedModel
) -> None:
    flow_id = unstored(drawing.agentflow(model.url))
    model.script(Reply(status=400, error=f"{CANARY} is too long"))
    holder.predict(flow_id, f"My word is {CANARY}")
    [run] = holder.http.get("/executions", params={"agentflowId": flow_id}).json()

    told = read(holder, run["id"])["error"]
    empty(flow_id)

    assert CANARY in told
    late = read(holder, run["id"])
    assert (late["state"], late["error"]) == ("ERROR", "What was asked and said in this run is not stored")


def test_what_is_gone_is_not_run_again(unstored: Unstored, empty: Empty, holder: Caller, model: ScriptedModel) -> None:
    flow_id = unstored(drawing.agentflow(model.url))
    first = holder.predict(flow_id, "Hello", headers={"Idempotency-Key": "no-store-1"}).json()
    empty(flow_id)
    calls = len(model.requests)

    fork = holder.http.post(f"/executions/{first['executionId']}/fork", json={})
    again = holder.predict(flow_id, "Hello", headers={"Idempotency-Key": "no-store-1"})

    assert fork.status_code == 409
    assert fork.json()["message"].startswith("Nothing is kept of execution")
    assert (again.status_code, again.json()["text"]) == (200, "")
    assert again.json()["warnings"] == ["What was asked and said in this run is not stored"]
    assert len(model.requests) == calls


def test_receivers_are_told_before_it_goes(
    unstored: Unstored, empty: Empty, holder: Caller, model: ScriptedModel, inside: Inside
) -> None:
    flow_id = unstored(drawing.agentflow(model.url))
    word = f"{CANARY}-{flow_id}"
    receiver = {"name": "away", "url": "https://127.0.0.1:9/", "events": ["run.completed"], "chatflowId": flow_id}
    made = holder.http.post("/hook-subscriptions", json=receiver).json()
    holder.answer(flow_id, f"My word is {word}")

    assert empty(flow_id) == 0, "its receiver has not been told"
    holder.http.delete(f"/hook-subscriptions/{made['id']}")

    assert empty(flow_id) == 1
    assert inside(f"needle = {word!r}\n{EVERYWHERE}") == []
