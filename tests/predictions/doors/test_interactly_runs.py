"""Runs as the turn API lists and shows them, in every state that a run can be in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.predictions import drawing
from tests.predictions.conftest import Inside, NewFlow
from tests.predictions.doors.interactly_calls import STATUSES, TurnClient, Workflows, human, said

# What the reaper would dispatch again is dispatched in a year.
PUT = """
from datetime import timedelta
from django.utils import timezone
from predictions.models import Execution, Wait
runs = Execution.objects.filter(object_id={run_id!r})
runs.update(dispatched_at=timezone.now() + timedelta(days=365), checkpoint=None, **{state!r})
run = runs.get()
Wait.objects.filter(pk=run.pk).delete()
if {kind!r}:
    due = timezone.now() + timedelta(days=365)
    Wait.objects.create(execution=run, workspace=run.workspace, kind={kind!r}, due_at=due, goes_on=False)
"""
FORGET = "from predictions.models import Execution; Execution.objects.filter(object_id={run_id!r}).delete()"
STATES = [
    ({"state": "QUEUED", "attempt": 0}, "", "not_started"),
    ({"state": "QUEUED", "attempt": 1}, "", "started"),
    ({"state": "WAITING"}, "event", "running"),
    ({"state": "WAITING"}, "timer", "running"),
    ({"state": "WAITING"}, "message", "waiting_for_user_input"),
    ({"state": "WAITING"}, "human", "waiting_for_user_input"),
    ({"state": "WAITING"}, "order", "paused"),
    ({"state": "COMPLETED"}, "", "completed"),
    ({"state": "FAILED", "error": "It broke", "error_code": "node_failed"}, "", "failed"),
    ({"state": "FAILED", "error": "The run took longer than 300 seconds", "error_code": "run_limit"}, "", "failed"),
    (
        {"state": "FAILED", "error": "Maximum iteration limit reached: ...", "error_code": "run_limit"},
        "",
        "aborted_looping_risk",
    ),
    ({"state": "CANCELLED"}, "", "cancelled"),
]


@pytest.mark.parametrize(("state", "kind", "status"), STATES)
def test_every_state_of_a_run_has_a_status(
    state: dict[str, Any], kind: str, status: str, turns: TurnClient, workflows: Workflows, inside: Inside
) -> None:
    workflow = workflows.replies("Hello")
    run_id = turns.turn(workflow)["run_id"]
    inside(PUT.format(run_id=run_id, state=state, kind=kind))

    shown = turns.record(run_id)["workflow_run"]["status"]
    listed = turns.http.get("/workflow-runs", params={"workflow_id": workflow, "status": status}).json()
    others = [
        turns.http.get("/workflow-runs", params={"workflow_id": workflow, "status": other}).json()["total"]
        for other in STATUSES - {status}
    ]

    inside(FORGET.format(run_id=run_id))
    assert shown == status
    assert ([record["_id"] for record in listed["workflow_runs"]], listed["total"]) == ([run_id], 1)
    assert set(others) == {0}


def test_all_statuses_are_shown() -> None:
    assert {status for _, _, status in STATES} == STATUSES


def test_a_record_holds_every_turn_as_it_was_answered(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.asking()
    first = turns.turn(workflow, dynamic_variables={"name": "Ann"}, run_by="tests", miscellaneous={"a": 1})
    second = turns.turn(workflow, first["run_id"], "Kyoto")

    record = turns.record(first["run_id"])

    assert record.keys() == {
        "_id", "team_id", "created_by", "updated_by", "created_at", "updated_at", "workflow_run",
    }  # fmt: skip
    run = record["workflow_run"]
    assert (record["_id"], run["workflow_run_id"], run["workflow_id"]) == (first["run_id"], first["run_id"], workflow)
    assert (run["status"], run["version_number"], run["run_by"]) == ("completed", 1, "tests")
    assert (run["miscellaneous"], run["termination_source"]) == ({"a": 1}, None)
    pairs = run["input_output_pairs"]
    assert [pair["run_output"]["events"] for pair in pairs] == [first["events"], second["events"]]
    assert pairs[0]["run_input"]["dynamic_variables"] == {"name": "Ann"}
    assert pairs[1]["run_input"]["thread_to_node_inputs"]["0"]["node_run_inputs"][0]["messages"] == [
        {"type": "human", "content": "Kyoto"}
    ]
    outputs = pairs[0]["run_output"]["thread_to_node_outputs"]["0"]["node_run_outputs"]
    assert [output["node_logical_id"] for output in outputs] == ["askUserAgentflow_0"]


def test_lists_go_page_by_page_newest_first(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.replies("Hello")
    begun = [turns.turn(workflow)["run_id"] for _ in range(3)]

    pages = [
        turns.http.get("/workflow-runs", params={"workflow_id": workflow, "page": page, "size": 2}).json()
        for page in (1, 2, 3)
    ]

    assert [[run["_id"] for run in page["workflow_runs"]] for page in pages] == [begun[:0:-1], begun[:1], []]
    assert {page["total"] for page in pages} == {3}
    assert pages[0]["workflow_runs"][0]["workflow_run"]["input_output_pairs"] == []


def test_lists_are_bounded_by_times(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.replies("Hello")
    begun = turns.record(turns.turn(workflow)["run_id"])["created_at"]

    def total(**query: str) -> int:
        found = turns.http.get("/workflow-runs", params={"workflow_id": workflow, **query})
        return int(found.json()["total"])

    assert (total(start="2020-01-01T00:00:00Z"), total(start="2100-01-01T00:00:00Z")) == (1, 0)
    assert (total(end=begun.replace("Z", "+00:00").replace("20", "21", 1)), total(end="2020-01-01T00:00:00Z")) == (1, 0)


def test_runs_of_other_apis_have_no_name_here(
    turns: TurnClient, workflows: Workflows, new_flow: NewFlow, platform: Any
) -> None:
    flow_id = new_flow(
        drawing.flow(
            [drawing.start(), drawing.reply(0, "Hi")], drawing.path("startAgentflow_0", "directReplyAgentflow_0")
        ),
        type="AGENTFLOW",
    )
    assert platform.call("POST", f"/api/v1/prediction/{flow_id}", {"question": "Hi"}).status == 200

    assert turns.http.get("/workflow-runs", params={"workflow_id": workflows.named(flow_id)}).json()["total"] == 0


def test_a_run_is_begun_and_continued_by_its_input_alone(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.asking()

    begun = turns.http.post("/workflow-runs", json={"workflow_id": workflow}).json()["workflow_run"]
    body = {"workflow_id": workflow, "workflow_run_id": begun["_id"], "thread_to_node_inputs": human("Kyoto")}
    continued = turns.http.post("/workflow-runs", json=body).json()["workflow_run"]

    assert begun["workflow_run"]["status"] == "waiting_for_user_input"
    assert continued["_id"] == begun["_id"]
    assert continued["workflow_run"]["status"] == "completed"
    assert said(continued["workflow_run"]["input_output_pairs"][1]["run_output"]) == ["On to Kyoto"]
