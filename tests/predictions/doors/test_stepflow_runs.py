"""Stepflow's samples and states: what clients of that API read, over real HTTP."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from tests.journeys.stage import wait_for
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow
from tests.predictions.doors.stepflow_calls import Event, Stepflow

EVENT = "waitForEventAgentflow"
INPUT = {"userId": "user_123", "email": "user@example.com"}
PAYMENT = {"status": "paid", "amount": 99.99, "transactionId": "txn_456"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def function(number: int, label: str, code: str) -> drawing.Node:
    inputs = {"customFunctionJavascriptFunction": code}
    return drawing.step(f"customFunctionAgentflow_{number}", label, inputs)


def welcome_flow(event: str) -> str:
    """Start, a function that sends, a wait for an event, and a function that answers."""
    waits = drawing.step(f"{EVENT}_0", "Send Followup", {"waitEventName": event})
    nodes = [
        drawing.start(),
        function(0, "Send Welcome", "return {sent: true};"),
        waits,
        function(1, "Done", "return {success: true};"),
    ]
    ids = [node["id"] for node in nodes]
    edges = [*drawing.path(*ids[:3]), drawing.branch(waits["id"], 0, ids[3])]
    return drawing.flow(nodes, edges)


def saved(new_flow: NewFlow, holder: Caller, flow_data: str, **fields: Any) -> tuple[str, str]:
    """A new agent flow's id and slug."""
    flow_id = new_flow(flow_data, type="AGENTFLOW", **fields)
    return flow_id, str(holder.http.get(f"/chatflows/{flow_id}").json()["slug"])


def reached(stepflow: Stepflow, run_id: str, status: str) -> dict[str, Any]:
    """The run, once its last step is of this status."""

    def run() -> dict[str, Any]:
        return stepflow.run(run_id)

    wait_for(lambda: [step["status"] for step in run()["steps"][-1:]] == [status], f"a step that is {status}")
    return run()


def ended(stepflow: Stepflow, run_id: str) -> dict[str, Any]:
    """The run, once it has ended."""
    wait_for(lambda: stepflow.run(run_id)["status"] not in ("pending", "running"), "the end of the run")
    return stepflow.run(run_id)


def told(events: list[Event]) -> list[tuple[str, dict[str, Any]]]:
    return [(event.name, event.data) for event in events]


def test_a_run_is_shown_as_the_published_samples_have_it(stepflow: Stepflow, holder: Caller, new_flow: NewFlow) -> None:
    event = f"payment-received-{uuid4().hex}"
    _, slug = saved(new_flow, holder, welcome_flow(event), name=f"Welcome user {uuid4().hex}")

    triggered = stepflow.trigger(slug, INPUT)
    waiting = reached(stepflow, triggered["runId"], "pending")
    notified = stepflow.http.post(f"/notify/{event}", json=PAYMENT)
    over = ended(stepflow, triggered["runId"])

    assert list(triggered) == ["runId", "publicAccessToken"]
    assert re.fullmatch("run_[0-9a-f]{32}", triggered["runId"])
    assert re.fullmatch("pat_[A-Za-z0-9_-]{40,}", triggered["publicAccessToken"])
    assert list(waiting) == ["id", "workflowId", "status", "input", "steps", "createdAt", "updatedAt"]
    assert (waiting["id"], waiting["workflowId"]) == (triggered["runId"], slug)
    assert (waiting["status"], waiting["input"]) == ("running", INPUT)
    assert waiting["steps"][1:] == [
        {"name": "send-welcome", "status": "completed", "result": {"sent": True}},
        {"name": "send-followup", "status": "pending"},
    ]
    assert TIME.fullmatch(waiting["createdAt"])
    assert TIME.fullmatch(waiting["updatedAt"])
    assert (notified.status_code, notified.json()) == (200, {"success": True})
    assert (over["status"], over["result"]) == ("completed", {"success": True})
    assert over["steps"][2:] == [
        {"name": "send-followup", "status": "completed", "result": {"eventData": PAYMENT, "timeout": False}},
        {"name": "done", "status": "completed", "result": {"success": True}},
    ]
    assert over["updatedAt"] > over["createdAt"]


def test_a_stream_goes_on_across_a_wait_to_the_end(stepflow: Stepflow, holder: Caller, new_flow: NewFlow) -> None:
    event = f"payment-{uuid4().hex}"
    _, slug = saved(new_flow, holder, welcome_flow(event))
    run_id = stepflow.trigger(slug, INPUT)["runId"]

    with stepflow.follow(run_id) as following:
        before = following.events.until("status", stepName="send-followup")
        reached(stepflow, run_id, "pending")
        stepflow.http.post(f"/notify/{event}", json=PAYMENT)
        after = list(following.events)

    assert told([*before, *after])[-7:] == [
        ("status", {"status": "running", "stepName": "send-welcome"}),
        ("step", {"name": "send-welcome", "status": "completed", "result": {"sent": True}}),
        ("status", {"status": "running", "stepName": "send-followup"}),
        ("step", {"name": "send-followup", "status": "completed", "result": {"eventData": PAYMENT, "timeout": False}}),
        ("status", {"status": "running", "stepName": "done"}),
        ("step", {"name": "done", "status": "completed", "result": {"success": True}}),
        ("complete", {"status": "completed", "result": {"success": True}}),
    ]


def test_from_each_event_on_exactly_the_rest_is_told(stepflow: Stepflow, holder: Caller, new_flow: NewFlow) -> None:
    event = f"payment-{uuid4().hex}"
    _, slug = saved(new_flow, holder, welcome_flow(event))
    run_id = stepflow.trigger(slug, INPUT)["runId"]
    with stepflow.follow(run_id) as following:
        live = following.events.until("status", stepName="send-followup")
        reached(stepflow, run_id, "pending")
        stepflow.http.post(f"/notify/{event}", json=PAYMENT)
        live += following.events

    later = [stepflow.events(run_id, lastEventId=one.id) for one in live[:-1]]
    by_header = stepflow.http.get(f"/runs/{run_id}/stream", headers={"Last-Event-ID": live[-2].id})
    past_the_end = stepflow.http.get(f"/runs/{run_id}/stream", headers={"Last-Event-ID": live[-1].id})

    assert [told(rest) for rest in later] == [told(live[index + 1 :]) for index in range(len(live) - 1)]
    assert [rest[-1].id for rest in later] == [live[-1].id] * len(later)
    assert by_header.text.count("event: ") == 1
    assert (past_the_end.status_code, past_the_end.content) == (204, b"")


def test_a_viewer_who_comes_during_a_wait_gets_everything(
    stepflow: Stepflow, holder: Caller, new_flow: NewFlow
) -> None:
    event = f"payment-{uuid4().hex}"
    _, slug = saved(new_flow, holder, welcome_flow(event))
    run_id = stepflow.trigger(slug, INPUT)["runId"]
    reached(stepflow, run_id, "pending")

    with stepflow.follow(run_id) as one, stepflow.follow(run_id) as other:
        here = one.events.until("status", stepName="send-followup")
        stepflow.http.post(f"/notify/{event}", json=PAYMENT)
        seen = [[*here, *one.events], list(other.events)]

    assert told(seen[0]) == told(seen[1])
    assert [event.data["name"] for event in seen[0] if event.name == "step"] == [
        "start",
        "send-welcome",
        "send-followup",
        "done",
    ]
    assert seen[0][-1].name == "complete"


def test_a_queued_run_is_pending(stepflow: Stepflow, holder: Caller, new_flow: NewFlow, inside: Any) -> None:
    flow_id, _ = saved(new_flow, holder, drawing.flow([drawing.start()], []))
    run_id = stepflow.trigger(flow_id)["runId"]
    ended(stepflow, run_id)
    inside(
        "from predictions.models import Execution, NodeRun\n"
        f"NodeRun.objects.filter(execution={run_id[4:]!r}).delete()\n"
        f"Execution.objects.filter(pk={run_id[4:]!r}).update(state='QUEUED', attempt=0, dispatches=1,"
        " dispatched_at='2999-01-01T00:00:00Z', output=None, finished_at=None)"
    )

    shown = stepflow.run(run_id)
    with stepflow.follow(run_id) as following:
        first = next(following.events)

    assert shown["status"] == "pending"
    assert (first.name, first.data) == ("status", {"status": "pending"})


def test_a_node_that_runs_is_the_last_step(
    stepflow: Stepflow, holder: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    model.script(Reply("Good morning", stall_after=1))
    nodes = [drawing.start(), drawing.llm_step(model.url)]
    flow_id, _ = saved(new_flow, holder, drawing.flow(nodes, drawing.path(*(node["id"] for node in nodes))))
    run_id = stepflow.trigger(flow_id, {"question": "Hi"})["runId"]

    assert model.stalled.wait(10)
    running = stepflow.run(run_id)
    with stepflow.follow(run_id) as following:
        events = following.events.until("status", stepName="ask")
        model.release()
        rest = list(following.events)

    assert running["status"] == "running"
    assert running["input"] == {"question": "Hi"}
    assert [step["name"] for step in running["steps"]] == ["start", "ask"]
    assert [step["status"] for step in running["steps"]] == ["completed", "running"]
    assert [event.data for event in events if event.name == "step"] == running["steps"][:-1]
    assert [event.name for event in rest] == ["step", "complete"]
    assert rest[-1].data == {"status": "completed", "result": "Good morning"}


def test_a_run_that_fails_says_why(stepflow: Stepflow, holder: Caller, new_flow: NewFlow) -> None:
    nodes = [drawing.start(), function(0, "Charge", "throw new Error('No money');")]
    flow_id, _ = saved(new_flow, holder, drawing.flow(nodes, drawing.path(*(node["id"] for node in nodes))))
    run_id = stepflow.trigger(flow_id)["runId"]

    events = stepflow.events(run_id)
    failed = stepflow.run(run_id)

    assert failed["status"] == "failed"
    assert "No money" in failed["error"]
    assert "result" not in failed
    assert failed["steps"][-1]["name"] == "charge"
    assert failed["steps"][-1]["status"] == "failed"
    assert "No money" in failed["steps"][-1]["error"]
    assert (events[-1].name, events[-1].data) == ("error", {"status": "failed", "error": failed["error"]})


def test_a_run_that_is_stopped_is_cancelled(stepflow: Stepflow, holder: Caller, new_flow: NewFlow) -> None:
    flow_id, slug = saved(new_flow, holder, welcome_flow(f"payment-{uuid4().hex}"))
    run_id = stepflow.trigger(slug)["runId"]
    reached(stepflow, run_id, "pending")
    chat_id = holder.http.get(f"/executions/{run_id[4:]}").json()["chatId"]

    with stepflow.follow(run_id) as following:
        following.events.until("status", stepName="send-followup")
        holder.http.put(f"/chatmessage/abort/{flow_id}/{chat_id}")
        [last] = following.events

    assert stepflow.run(run_id)["status"] == "cancelled"
    assert (last.name, last.data) == ("status", {"status": "cancelled"})


def test_a_run_that_sleeps_is_running_and_wakes_by_itself(
    stepflow: Stepflow, holder: Caller, new_flow: NewFlow
) -> None:
    nodes = [
        drawing.start(),
        drawing.step("sleepAgentflow_0", "Sleep", {"sleepFor": "1s"}),
        drawing.reply(0, "Good morning"),
    ]
    flow_id, _ = saved(new_flow, holder, drawing.flow(nodes, drawing.path(*(node["id"] for node in nodes))))
    run_id = stepflow.trigger(flow_id)["runId"]

    asleep = reached(stepflow, run_id, "pending")
    events = stepflow.events(run_id)

    assert (asleep["status"], asleep["steps"][-1]) == ("running", {"name": "sleep", "status": "pending"})
    assert told(events)[-1] == ("complete", {"status": "completed", "result": "Good morning"})


def test_an_event_that_comes_too_late_is_told_as_a_timeout(
    stepflow: Stepflow, holder: Caller, new_flow: NewFlow
) -> None:
    inputs = {"waitEventName": f"never-{uuid4().hex}", "waitTimeout": "50ms"}
    flow_id, _ = saved(new_flow, holder, drawing.waiting_flow(EVENT, inputs, "In time"))

    over = ended(stepflow, stepflow.trigger(flow_id)["runId"])

    assert over["steps"][1]["result"] == {"eventData": None, "timeout": True}
    assert (over["status"], over["result"]) == ("completed", "Too late")


def test_steps_of_one_name_are_told_apart(stepflow: Stepflow, holder: Caller, new_flow: NewFlow) -> None:
    nodes = [drawing.start(), *(function(number, "Work!", f"return '{number}';") for number in range(3))]
    flow_id, _ = saved(new_flow, holder, drawing.flow(nodes, drawing.path(*(node["id"] for node in nodes))))
    run_id = stepflow.trigger(flow_id)["runId"]

    events = stepflow.events(run_id)
    over = stepflow.run(run_id)

    assert [step["name"] for step in over["steps"]] == ["start", "work", "work-2", "work-3"]
    assert [event.data for event in events if event.name == "step"] == over["steps"]


def test_a_run_begun_through_another_api_is_shown(
    stepflow: Stepflow, holder: Caller, chat: str, model: ScriptedModel
) -> None:
    answered = holder.answer(chat, "Hello")
    run_id = f"run_{answered['executionId'].replace('-', '')}"

    shown = stepflow.run(run_id)
    events = stepflow.events(run_id)

    assert (shown["status"], shown["input"]) == ("completed", {"question": "Hello"})
    assert shown["result"] == answered["text"]
    assert events[-1].data == {"status": "completed", "result": answered["text"]}
