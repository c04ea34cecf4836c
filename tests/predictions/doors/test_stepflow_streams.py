"""Events of a run, told from its log, from its journal, and from one after the other: the same ones, each once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

from predictions.doors.stepflow.stream import Place, Teller
from predictions.stream import EntryId
from predictions.watch import Entry
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, NewFlow
from tests.predictions.doors.stepflow_calls import FRAME, Event, Stepflow
from tests.predictions.doors.test_stepflow_runs import ended, function, reached, saved, told, welcome_flow

FORGET = """
from django.conf import settings
from redis import Redis
print(Redis.from_url(settings.REDIS_URL).delete("run:{run_id}"))
"""


def looping_flow() -> str:
    """A function that runs twice, by a loop."""
    loop = drawing.step(
        "loopAgentflow_0", "Again", {"loopBackToNode": "customFunctionAgentflow_0-Work", "maxLoopCount": 2}
    )
    nodes = [drawing.start(), function(0, "Work", "return 'done';"), loop]
    return drawing.flow(nodes, drawing.path(*(node["id"] for node in nodes)))


def iterating_flow() -> str:
    """A function that runs for each of two items, within a node of its own name, and one behind it."""
    each = drawing.step("iterationAgentflow_0", "Work", {"iterationInput": '["a", "b"]'})
    inside = {**function(0, "Work", "return $iteration.value;"), "parentNode": each["id"]}
    nodes = [drawing.start(), each, inside, function(1, "Done", "return 'done';")]
    return drawing.flow(nodes, drawing.path("startAgentflow_0", each["id"], "customFunctionAgentflow_1"))


def read(written: Iterable[bytes]) -> list[Event]:
    frames = [FRAME.fullmatch(frame.removesuffix(b"\n\n")) for frame in written]
    return [
        Event(found["id"].decode(), found["event"].decode(), json.loads(found["data"])) for found in frames if found
    ]


def entry(attempt: int, number: int, *events: tuple[str, dict[str, Any]]) -> Entry:
    return Entry(EntryId(attempt, number), [list(event) for event in events])


def began(label: str) -> tuple[str, dict[str, Any]]:
    return "NodeStarted", {"seq": 1, "node_id": f"{label}_0", "label": label}


def traced(label: str, status: str = "FINISHED") -> dict[str, Any]:
    return {
        "nodeId": f"{label}_0",
        "nodeLabel": label,
        "data": {"output": {"content": label}},
        "previousNodeIds": [],
        "status": status,
    }


def finished(label: str, status: str = "FINISHED") -> tuple[str, dict[str, Any]]:
    return "NodeFinished", {"seq": 2, "node_id": f"{label}_0", "label": label, "entry": traced(label, status)}


def test_passes_of_a_loop_are_steps_of_their_own(stepflow: Stepflow, holder: Caller, new_flow: NewFlow) -> None:
    flow_id, _ = saved(new_flow, holder, looping_flow())
    run_id = stepflow.trigger(flow_id)["runId"]

    live = stepflow.events(run_id)
    over = ended(stepflow, run_id)

    assert [step["name"] for step in over["steps"]] == ["start", "work", "again", "work-2", "again-2"]
    assert [event.data for event in live if event.name == "step"] == over["steps"]
    # Whether a viewer came in time to see the run wait for its worker is not the same for all.
    assert told(stepflow.events(run_id)) == [one for one in told(live) if one[1] != {"status": "pending"}]


def test_what_runs_inside_an_iteration_is_told_in_one_way(
    stepflow: Stepflow, holder: Caller, new_flow: NewFlow
) -> None:
    flow_id, _ = saved(new_flow, holder, iterating_flow())
    run_id = stepflow.trigger(flow_id)["runId"]

    live = stepflow.events(run_id)
    over = ended(stepflow, run_id)
    again = [stepflow.events(run_id, lastEventId=event.id) for event in live[:-1]]

    assert [step["name"] for step in over["steps"]] == ["start", "work-2", "work-3", "work", "done"]
    assert [event.data for event in live if event.name == "step"] == over["steps"]
    assert [len(rest) for rest in again] == list(range(len(live) - 1, 0, -1))


def test_a_viewer_loses_nothing_when_the_log_is_lost_during_a_wait(
    stepflow: Stepflow, holder: Caller, new_flow: NewFlow, inside: Inside
) -> None:
    event = f"payment-{uuid4().hex}"
    _, slug = saved(new_flow, holder, welcome_flow(event))
    run_id = stepflow.trigger(slug)["runId"]
    with stepflow.follow(run_id) as following:
        before = following.events.until("status", stepName="send-followup")
    reached(stepflow, run_id, "pending")
    inside(FORGET.format(run_id=UUID(run_id[4:])))

    with stepflow.follow(run_id, lastEventId=before[-1].id) as one, stepflow.follow(run_id) as other:
        late = other.events.until("status", stepName="send-followup")
        stepflow.http.post(f"/notify/{event}", json=1)
        rest, all_of_it = list(one.events), [*late, *other.events]

    assert [event.data.get("name") or event.data.get("stepName") for event in rest[:-1]] == [
        "send-followup",
        "done",
        "done",
    ]
    assert told(all_of_it)[-len(rest) :] == told(rest)
    assert [event.id for event in all_of_it[-len(rest) :]] == [event.id for event in rest]


def test_a_paused_run_waits_before_its_next_step(
    stepflow: Stepflow, holder: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    model.script(Reply("Good morning", stall_after=0))
    nodes = [drawing.start(), drawing.llm_step(model.url), function(0, "Done", "return 'done';")]
    flow_id, _ = saved(new_flow, holder, drawing.flow(nodes, drawing.path(*(node["id"] for node in nodes))))
    run_id = stepflow.trigger(flow_id, {"question": "Hi"})["runId"]
    assert model.stalled.wait(10)

    with stepflow.follow(run_id) as following:
        assert holder.http.post(f"/executions/{run_id[4:]}/pause").status_code < 300
        model.release()
        paused = reached(stepflow, run_id, "pending")
        assert holder.http.post(f"/executions/{run_id[4:]}/resume").status_code < 300
        events = list(following.events)

    assert (paused["status"], paused["steps"][-1]) == ("running", {"name": "done", "status": "pending"})
    assert [event.data["name"] for event in events if event.name == "step"] == ["start", "ask", "done"]
    assert events[-1].data == {"status": "completed", "result": "done"}


def test_a_run_that_is_deleted_ends_its_streams(stepflow: Stepflow, holder: Caller, new_flow: NewFlow) -> None:
    flow_id, slug = saved(new_flow, holder, welcome_flow(f"payment-{uuid4().hex}"))
    run_id = stepflow.trigger(slug)["runId"]
    reached(stepflow, run_id, "pending")

    with stepflow.follow(run_id) as following:
        following.events.until("status", stepName="send-followup")
        assert holder.http.delete(f"/chatflows/{flow_id}").status_code < 300
        [last] = following.events

    assert (last.name, last.data) == ("status", {"status": "cancelled"})
    assert stepflow.http.get(f"/runs/{run_id}").status_code == 404


def test_after_an_answer_only_what_is_new_is_told() -> None:
    teller = Teller(Place())
    first = read(teller.said(entry(1, 1, began("A"), finished("A"), began("W"), finished("W", "STOPPED"))))

    then = read(teller.said(entry(2, 1, ("Resumed", {"trace": [traced("A")]}), began("W"), finished("W"), began("B"))))

    assert told(first)[-1] == ("status", {"status": "running", "stepName": "w"})
    assert told(then) == [
        ("step", {"name": "w", "status": "completed", "result": "W"}),
        ("status", {"status": "running", "stepName": "b"}),
    ]


def test_nodes_that_run_again_after_a_workers_death_are_told_once() -> None:
    teller = Teller(Place())
    list(teller.said(entry(1, 1, began("A"), finished("A"), began("B"), finished("B"), began("C"))))

    lost = ("Continued", {"after": None, "trace": [traced("A")]})
    again = entry(2, 1, lost, began("B"), finished("B"), began("C"), finished("C"))
    then = read(teller.said(again))

    assert told(then) == [("step", {"name": "c", "status": "completed", "result": "C"})]


def test_places_hold_in_whatever_order_a_run_is_told() -> None:
    whole = [began("A"), finished("A"), began("B"), finished("B")]
    events = read(Teller(Place()).said(entry(1, 1, *whole)))

    rests = [read(Teller(Place.read(event.id) or Place()).said(entry(1, 1, *whole))) for event in events]

    assert rests == [events[number + 1 :] for number in range(4)]
