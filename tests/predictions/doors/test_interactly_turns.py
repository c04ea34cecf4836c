"""Sessions over the turn API: begun, answered, stopped, paused, and told in events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow
from tests.predictions.doors.interactly_calls import (
    SAMPLE,
    TurnClient,
    Workflows,
    assert_consistent,
    human,
    names,
    said,
)

NODE = ["start_node_run", "say_static", "assistant_response", "end_node_run", "workflow_show_state"]
ENDS = ["end_thread", "end_workflow_iteration", "end_workflow"]
WAITS = ["busy_wait_for_user_message", "end_workflow_iteration", "workflow_ready_for_input"]


def test_the_sample_request_is_a_turn_of_an_unknown_session(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.replies("Hello")

    response = turns.http.post(f"/workflows/{workflow}/execute", json=SAMPLE)

    assert (response.status_code, response.json()) == (404, {"detail": "Session not found"})


def test_the_sample_request_without_a_session_begins_one(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.replies("Hello")

    response = turns.http.post(f"/workflows/{workflow}/execute", json={"run_input": SAMPLE["run_input"]})

    body = response.json()
    assert_consistent(body)
    assert (body["status"], body["turn_number"], said(body)) == ("completed", 1, ["Hello"])
    [warning] = [event for event in body["events"] if event["type"] == "workflow_warning"]
    assert warning["warning_message"].startswith("start_node_logical_id is not used")


def test_two_replies_are_told_in_the_recorded_order(turns: TurnClient, workflows: Workflows) -> None:
    body = turns.turn(
        workflows.replies("Hello", "Bye"), command="start", thread_to_node_inputs={"0": {"node_run_inputs": []}}
    )

    assert body["status"] == "completed"
    assert names(body) == [*NODE, "direct_edge", "workflow_navigation_message", *NODE, *ENDS]
    events = body["events"]
    assert [event["origin_node_name"] for event in events if "origin_node_name" in event] == ["Reply 0"] * 4 + [
        "Reply 1"
    ] * 4
    assert events[2]["logical_id"] == events[1]["message"]["id"]
    assert events[2]["response_metadata"]["message_type"] == "static"
    assert (events[0]["origin_node_run_id"], events[5]["edge_run_id"]) == ("1", "1")
    assert events[3]["run_output"].keys() == {"events", "type", "node_logical_id", "node_run_id"}
    assert (events[4]["origin_thread_id"], events[4]["thread_id"]) == (None, "0")
    assert events[4]["workflow_runtime_variables"].keys() >= {
        "_evaluated_dynamic_variables",
        "_input_dynamic_variables",
    }
    assert events[6]["message"]["id"].startswith("nav_msg_")
    assert all(event["logical_id"].startswith(("event_", "assistant_message_")) for event in events)


def test_a_question_waits_for_the_users_next_turn(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.asking()

    asked = turns.turn(workflow)
    answered = turns.turn(workflow, asked["run_id"], "Kyoto")

    assert (asked["status"], asked["turn_number"], said(asked)) == ("waiting_for_user_input", 1, ["Which city?"])
    assert names(asked) == [*NODE, *WAITS]
    assert asked["next_input_hint"] == asked["events"][5]
    assert asked["next_input_hint"]["origin_node_logical_id"] == "askUserAgentflow_0"
    assert (answered["status"], answered["turn_number"], said(answered)) == ("completed", 2, ["On to Kyoto"])
    assert answered["run_id"] == asked["run_id"]
    told = ["start_node_run", "user_messages", "end_node_run", "workflow_show_state"]
    assert names(answered) == [*told, "conditional_edge", "workflow_navigation_message", *NODE, *ENDS]
    assert answered["events"][1]["messages"][0]["content"] == "Kyoto"
    assert [e["origin_node_run_id"] for e in answered["events"][:3]] == ["2", "2", "2"]


@pytest.mark.parametrize(
    "fields",
    [
        {"command": "data", "thread_to_node_inputs": human("Kyoto")},
        {"thread_to_node_inputs": human("Kyoto")},
        {"command": "resume", "thread_to_node_inputs": human("Kyoto")},
        {"dynamic_variables": {"user_message": "Kyoto"}},
        {"dynamic_variables": {"text": "Kyoto"}},
        {
            "thread_to_node_inputs": {
                "0": {
                    "node_run_inputs": [
                        {
                            "messages": [
                                {"type": "system", "content": "no"},
                                {"type": "human", "content": [{"type": "text", "text": "Kyoto"}, {"type": "image"}]},
                            ]
                        }
                    ]
                }
            }
        },
    ],
)
def test_users_speak_in_several_ways(fields: dict[str, Any], turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.asking()
    run_id = turns.turn(workflow)["run_id"]

    assert said(turns.turn(workflow, run_id, **fields)) == ["On to Kyoto"]


def test_the_first_turn_is_asked_what_the_user_says(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.replies("You said {{ question }} to {{ $flow.state.name }}")

    body = turns.turn(workflow, None, "hello", dynamic_variables={"name": "Ann"}, runtime_variables={"age": 3})

    assert said(body) == ["You said hello to Ann"]
    shown = body["events"][4]["workflow_runtime_variables"]
    assert (shown["name"], shown["age"], shown["_input_dynamic_variables"]) == ("Ann", 3, {"name": "Ann"})


@pytest.mark.parametrize(
    ("word", "answer"),
    [("Proceed", "Sent"), ("yes", "Sent"), ("reject", "Kept: reject"), ("No: too late", "Kept: too late")],
)
def test_a_decision_is_read_from_what_the_user_says(
    word: str, answer: str, turns: TurnClient, workflows: Workflows
) -> None:
    workflow = workflows.approving()
    asked = turns.turn(workflow)

    decided = turns.turn(workflow, asked["run_id"], word)

    assert (asked["status"], said(asked)) == ("waiting_for_user_input", ["Send it?"])
    assert (decided["status"], said(decided), decided["turn_number"]) == ("completed", [answer], 2)


def test_what_is_no_decision_is_refused_and_the_run_waits_on(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.approving()
    run_id = turns.turn(workflow)["run_id"]

    refused = turns.execute(workflow, run_id, thread_to_node_inputs=human("perhaps"))

    assert (refused.status_code, refused.json()["message"]) == (400, "Decision expected")
    assert "'Proceed' or 'Reject'" in refused.json()["error"]
    assert turns.turn(workflow, run_id, "proceed")["status"] == "completed"


def test_a_turn_without_a_word_is_refused(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.asking()
    run_id = turns.turn(workflow)["run_id"]

    refused = turns.execute(workflow, run_id, command="data")

    assert (refused.status_code, refused.json()["message"]) == (400, "User message missing")


def test_a_model_speaks_last_or_works_in_silence(
    turns: TurnClient, workflows: Workflows, new_flow: NewFlow, model: ScriptedModel
) -> None:
    last = workflows.new(drawing.agentflow(model.url))
    silent = workflows.new(drawing.reply_flow(model.url))
    model.script("four", "five")

    spoken, worked = turns.turn(last, None, "2 + 2?"), turns.turn(silent, None, "2 + 3?")

    assert names(spoken)[:3] == ["start_node_run", "say_llm", "assistant_response"]
    assert spoken["events"][1]["llm_usage_info"]["total_tokens"] > 0
    assert said(spoken) == ["four"]
    assert names(worked)[:2] == ["start_node_run", "worker_llm"]
    assert said(worked) == ["So: five"]


def test_a_classic_flow_answers_in_one_turn(
    turns: TurnClient, workflows: Workflows, chat: str, model: ScriptedModel
) -> None:
    model.script("Hello, you")

    body = turns.turn(workflows.named(chat), None, "Hello")

    assert (body["status"], said(body)) == ("completed", ["Hello, you"])
    assert names(body)[-3:] == ENDS


def test_a_failure_inside_is_a_turn_that_failed(turns: TurnClient, workflows: Workflows, model: ScriptedModel) -> None:
    workflow = workflows.new(drawing.agentflow(model.url))
    model.script(Reply(status=400))

    body = turns.turn(workflow, None, "Hello")

    assert body["status"] == "failed"
    assert names(body) == ["start_node_run", "end_workflow_iteration", "workflow_error"]
    assert body["events"][-1]["error_message"] == body["error"] != ""
    record = turns.record(body["run_id"])["workflow_run"]
    assert (record["status"], record["termination_source"]) == ("failed", "execution_error")


def test_a_loop_without_an_end_is_aborted(turns: TurnClient, workflows: Workflows) -> None:
    body = turns.turn(workflows.looping())

    assert body["status"] == "aborted_looping_risk"
    assert body["error"].startswith("Maximum iteration limit reached")
    assert names(body)[-1] == "workflow_error"
    [listed] = turns.http.get("/workflow-runs", params={"status": "aborted_looping_risk", "size": 1}).json()[
        "workflow_runs"
    ]
    assert listed["_id"] == body["run_id"]


def test_a_run_that_waits_is_stopped_at_once(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.asking()
    run_id = turns.turn(workflow)["run_id"]

    stopped, again = (turns.turn(workflow, run_id, command="stop") for _ in range(2))

    assert (stopped["status"], stopped["turn_number"], names(stopped)) == (
        "cancelled",
        1,
        ["end_thread", "end_workflow"],
    )
    assert again == stopped
    assert turns.execute(workflow, run_id, thread_to_node_inputs=human("Kyoto")).status_code == 409


def test_a_run_in_the_midst_of_a_turn_is_stopped(turns: TurnClient, workflows: Workflows, model: ScriptedModel) -> None:
    workflow = workflows.new(drawing.agentflow(model.url))
    model.script(Reply("one two three", stall_after=0))
    begun = turns.turn(workflow, None, "Count", headers={"Prefer": "wait=0"})
    assert model.stalled.wait(10)

    stopped = turns.turn(workflow, begun["run_id"], command="stop")

    assert begun["status"] in ("not_started", "running")
    assert (begun["has_background_work"], stopped["has_background_work"]) == (True, False)
    assert (stopped["status"], names(stopped)) == ("cancelled", ENDS)


def test_a_completed_run_takes_no_turn_and_no_order(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.replies("Hello")
    run_id = turns.turn(workflow)["run_id"]

    answers = {
        command: turns.execute(workflow, run_id, command=command) for command in ("start", "data", "pause", "stop")
    }
    told_again = turns.turn(workflow, run_id, command="resume")

    assert (told_again["status"], said(told_again)) == ("completed", ["Hello"])
    assert {command: answer.status_code for command, answer in answers.items()} == dict.fromkeys(answers, 409)
    assert all("is completed" in answer.json()["detail"] for answer in answers.values())


def test_a_turn_that_takes_long_is_followed_to_its_end(
    turns: TurnClient, workflows: Workflows, model: ScriptedModel
) -> None:
    workflow = workflows.new(drawing.agentflow(model.url))
    model.script(Reply("one two three", stall_after=0))
    run_id = turns.turn(workflow, None, "Count", headers={"Prefer": "wait=0"})["run_id"]
    assert model.stalled.wait(10)

    refused = turns.execute(workflow, run_id, thread_to_node_inputs=human("Hurry"))
    model.release()
    followed = turns.turn(workflow, run_id, command="resume")

    assert refused.status_code == 409
    assert "send the command resume" in refused.json()["detail"]
    assert (followed["status"], said(followed), followed["turn_number"]) == ("completed", ["one two three"], 1)


def test_a_run_is_paused_before_its_next_node_and_resumed(
    turns: TurnClient, workflows: Workflows, model: ScriptedModel
) -> None:
    workflow = workflows.new(drawing.reply_flow(model.url))
    model.script(Reply("one two three", stall_after=0))
    run_id = turns.turn(workflow, None, "Count", headers={"Prefer": "wait=0"})["run_id"]
    assert model.stalled.wait(10)

    told = turns.turn(workflow, run_id, command="pause", headers={"Prefer": "wait=0"})
    model.release()
    paused = turns.turn(workflow, run_id, command="pause")
    refused = turns.execute(workflow, run_id, thread_to_node_inputs=human("Hurry"))
    resumed = turns.turn(workflow, run_id, command="resume")

    assert told["status"] == "running"
    assert (paused["status"], names(paused)[-2:]) == ("paused", ["pause_event", "end_workflow_iteration"])
    assert refused.status_code == 409
    assert (resumed["status"], resumed["turn_number"], said(resumed)) == ("completed", 1, ["So: one two three"])


def test_a_run_that_waits_for_its_user_cannot_be_paused(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.asking()
    run_id = turns.turn(workflow)["run_id"]

    refused = turns.execute(workflow, run_id, command="pause")

    assert (refused.status_code, "nothing to pause" in refused.json()["detail"]) == (409, True)
    assert turns.turn(workflow, run_id, command="resume")["status"] == "waiting_for_user_input"


def test_what_waits_for_an_event_is_running(turns: TurnClient, holder: Caller, workflows: Workflows) -> None:
    workflow, event = workflows.awaiting()

    waits = turns.turn(workflow)
    early = turns.execute(workflow, waits["run_id"], thread_to_node_inputs=human("Hello"))
    assert holder.http.post(f"/events/{event}", json={"sum": 3}).is_success
    followed = turns.turn(workflow, waits["run_id"], command="resume")

    assert (waits["status"], waits["has_background_work"], names(waits)) == ("running", True, ["start_node_run"])
    assert early.status_code == 409
    assert (followed["status"], followed["turn_number"], said(followed)) == ("completed", 1, ["Paid"])


def test_a_short_sleep_is_a_part_of_its_turn(turns: TurnClient, workflows: Workflows) -> None:
    body = turns.turn(workflows.sleeping("1s"))

    assert (body["status"], body["turn_number"], said(body)) == ("completed", 1, ["Awake"])
    assert names(body)[:3] == ["start_node_run", "end_node_run", "workflow_show_state"]


def test_a_pump_tells_how_far_the_turn_is(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.asking()
    asked = turns.turn(workflow)

    pumped = turns.http.post(f"/workflows/{workflow}/runs/{asked['run_id']}/pump-companions")
    unknown = turns.http.post(f"/workflows/{workflow}/runs/{'0' * 24}/pump-companions")

    assert pumped.json() == asked
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Session not found"})


def test_a_session_stays_on_the_version_that_it_began_with(
    turns: TurnClient, holder: Caller, workflows: Workflows, new_flow: NewFlow
) -> None:
    flow_id = new_flow(drawing.waiting_flow("askUserAgentflow", {"askQuestion": "One?"}, "One"), type="AGENTFLOW")
    workflow = workflows.named(flow_id)
    begun = turns.turn(workflow)
    changed = drawing.waiting_flow("askUserAgentflow", {"askQuestion": "Two?"}, "Two")
    assert holder.http.put(f"/chatflows/{flow_id}", json={"flowData": changed}).is_success

    later = turns.turn(workflow, begun["run_id"], "go", version=2)
    first, second, active = (turns.turn(workflow, version=number) for number in (1, 2, 0))
    from_body = turns.turn(workflow, version_number=1)
    unknown = turns.execute(workflow, version=3)

    assert said(later) == ["One"]
    assert [said(body) for body in (first, second, active, from_body)] == [["One?"], ["Two?"], ["Two?"], ["One?"]]
    assert unknown.status_code == 404
    assert "has no version 3" in unknown.json()["detail"]
    shown = turns.http.get(f"/workflows/{workflow}/versions").json()["versions"]
    assert [(v["version_number"], v["version_name"], v["is_active"]) for v in shown] == [
        (2, "Version 2", True),
        (1, "Version 1", False),
    ]


def test_a_first_turn_counts_once_for_each_key(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.asking()
    key = {"Idempotency-Key": f"turn-{workflow}"}

    first, again = (turns.execute(workflow, headers=key) for _ in range(2))
    other = turns.execute(workflow, headers=key, dynamic_variables={"a": 1})

    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert turns.http.get("/workflow-runs", params={"workflow_id": workflow}).json()["total"] == 1
    assert other.status_code == 422
    [fault] = other.json()["detail"]
    assert (fault["loc"], fault["type"]) == (["header"], "idempotency_key_reused")


def test_a_later_turn_counts_once_also_when_the_session_is_further(turns: TurnClient, workflows: Workflows) -> None:
    asks = drawing.step("askUserAgentflow_0", "City", {"askQuestion": "Which city?"})
    then = drawing.step("askUserAgentflow_1", "Day", {"askQuestion": "Which day in {{ askUserAgentflow_0 }}?"})
    edges = [
        *drawing.path("startAgentflow_0", asks["id"]),
        drawing.branch(asks["id"], 0, then["id"]),
        drawing.branch(then["id"], 0, "directReplyAgentflow_0"),
    ]
    workflow = workflows.new(drawing.flow([drawing.start(), asks, then, drawing.reply(0, "Booked")], edges))
    run_id = turns.turn(workflow)["run_id"]
    answer: dict[str, Any] = {
        "command": "data",
        "thread_to_node_inputs": human("Kyoto"),
        "headers": {"Idempotency-Key": run_id},
    }

    second = turns.turn(workflow, run_id, **answer)
    third = turns.turn(workflow, run_id, "Monday")
    again = turns.turn(workflow, run_id, **answer)

    assert (second["turn_number"], said(second)) == (2, ["Which day in Kyoto?"])
    assert (third["turn_number"], third["status"], said(third)) == (3, "completed", ["Booked"])
    assert again == second
