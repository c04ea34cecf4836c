"""Runs that wait for a person: what the person is told, and how the run goes on with what they say."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.journeys.stage import wait_for
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller, data_of, names, read_frames, text_of
from tests.predictions.conftest import Inside, NewFlow

ASKS = "humanInputAgentflow_0"
YES = {"type": "proceed", "startNodeId": ASKS, "feedback": ""}

GROW_OLD = """
from datetime import timedelta
from django.db.models import F
from predictions.models import Wait
Wait.objects.filter(pk={execution_id!r}).update(due_at=F("due_at") - timedelta(hours=72))
"""


@pytest.fixture
def approval(new_flow: NewFlow) -> str:
    """A flow that asks a person and says what they said."""
    return new_flow(drawing.approval_flow("Sent {{ question }}", "Kept: {{ humanInputAgentflow_0 }}"), type="AGENTFLOW")


def labels(trace: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(entry["nodeLabel"], entry["status"]) for entry in trace]


def run_of(holder: Caller, answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = holder.http.get(f"/executions/{answer['executionId']}").json()
    return found


def messages_of(holder: Caller, flow_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = holder.http.get(f"/chatmessage/{flow_id}").json()
    return found


def test_an_answer_that_needs_a_person_carries_an_action(holder: Caller, approval: str) -> None:
    answer = holder.answer(approval, "the letter", chatId="c")

    action = answer["action"]
    assert answer["text"] == "Send it?"
    assert action["mapping"] == {"approve": "Proceed", "reject": "Reject"}
    assert [button["label"] for button in action["elements"]] == ["Proceed", "Reject"]
    assert (action["data"]["nodeId"], action["data"]["nodeLabel"]) == (ASKS, "Approval 0")
    assert labels(answer["agentFlowExecutedData"]) == [("Start", "FINISHED"), ("Approval 0", "STOPPED")]
    run = run_of(holder, answer)
    assert (run["state"], run["output"], json.loads(run["executionData"])) == (
        "STOPPED",
        answer,
        answer["agentFlowExecutedData"],
    )
    [asked, answered] = messages_of(holder, approval)
    assert (asked["content"], answered["content"], answered["action"]) == ("the letter", "Send it?", action)


def test_a_stream_that_ends_in_a_question_says_so_in_the_order_of_the_widget(holder: Caller, approval: str) -> None:
    frames = holder.stream(approval, "the letter", chatId="c")

    assert names(frames) == [
        "agentFlowEvent",
        "nextAgentFlow", "nextAgentFlow", "agentFlowExecutedData",
        "nextAgentFlow", "token", "nextAgentFlow", "agentFlowExecutedData",
        "agentFlowEvent", "action", "agentFlowEvent", "metadata", "end",
    ]  # fmt: skip
    assert text_of(frames) == "Send it?"
    assert [frame.data for frame in frames if frame.event == "agentFlowEvent"] == ["INPROGRESS", "STOPPED", "STOPPED"]
    assert frames[6].data == {"nodeId": ASKS, "nodeLabel": "Approval 0", "status": "STOPPED"}
    assert data_of(frames, "action") == data_of(frames, "metadata")["action"]
    assert "snapshot" not in json.dumps([frame.data for frame in frames])


@pytest.mark.parametrize("said", [YES, {"type": "proceed"}, {"type": "proceed", "startNodeId": None, "feedback": None}])
def test_the_same_run_goes_on_when_the_person_proceeds(holder: Caller, approval: str, said: dict[str, Any]) -> None:
    asked = holder.answer(approval, "the letter", chatId="c")

    answer = holder.answer(approval, "Proceed", chatId="c", humanInput=said)

    assert answer["text"] == "Sent the letter"
    assert answer["executionId"] == asked["executionId"]
    assert "action" not in answer
    assert labels(answer["agentFlowExecutedData"]) == [
        ("Start", "FINISHED"), ("Approval 0", "FINISHED"), ("Reply 0", "FINISHED"),
    ]  # fmt: skip
    assert answer["agentFlowExecutedData"][0] == asked["agentFlowExecutedData"][0]
    run = run_of(holder, answer)
    assert (run["state"], run["question"], run["attempt"]) == ("FINISHED", "the letter", 2)
    assert json.loads(run["executionData"]) == answer["agentFlowExecutedData"]


def test_a_rejection_goes_the_other_way_with_its_reason(holder: Caller, approval: str) -> None:
    holder.answer(approval, "the letter", chatId="c")

    said = {"type": "reject", "feedback": "Too long"}
    answer = holder.answer(approval, "Too long", chatId="c", humanInput=said)

    assert answer["text"] == "Kept: Too long"
    assert answer["question"] == "Too long"


def test_the_conversation_keeps_both_parts_and_no_button_that_was_pressed(holder: Caller, approval: str) -> None:
    holder.answer(approval, "the letter", chatId="c")
    holder.answer(approval, chatId="c", humanInput={"type": "proceed"})

    messages = messages_of(holder, approval)

    said = [(message["role"], message["content"]) for message in messages]
    assert said == [
        ("userMessage", "the letter"),
        ("apiMessage", "Send it?"),
        ("userMessage", "Proceed"),
        ("apiMessage", "Sent the letter"),
    ]
    assert not any("action" in message for message in messages)
    assert len({message["executionId"] for message in messages}) == 1


def test_a_resumed_stream_goes_on_with_the_trace_and_can_itself_be_continued(holder: Caller, approval: str) -> None:
    before = holder.stream(approval, "the letter", chatId="c")

    frames = holder.stream(approval, "Proceed", chatId="c", humanInput=YES)

    assert text_of(frames) == "Sent the letter"
    traces = [frame.data for frame in frames if frame.event == "agentFlowExecutedData"]
    assert [[entry["nodeLabel"] for entry in trace] for trace in traces] == [
        ["Start", "Approval 0"],
        ["Start", "Approval 0", "Reply 0"],
    ]
    assert names(frames)[-3:] == ["agentFlowEvent", "metadata", "end"]
    for whole in (before, frames):
        for index, frame in enumerate(whole):
            response = holder.resume(approval, frame.id)
            rest = read_frames(response.content) if response.content else []
            assert rest == whole[index + 1 :], f"after {frame}"
    execution_id = frames[0].id.partition(":")[0]
    assert read_frames(holder.http.get(f"/executions/{execution_id}/stream").content) == frames


def test_a_run_asks_as_often_as_it_comes_to_a_person(holder: Caller, new_flow: NewFlow) -> None:
    nodes = [drawing.start(), drawing.human(0), drawing.human(1), drawing.reply(0, "Sent")]
    edges = [
        *drawing.path("startAgentflow_0", ASKS),
        drawing.branch(ASKS, 0, "humanInputAgentflow_1"),
        drawing.branch("humanInputAgentflow_1", 0, "directReplyAgentflow_0"),
    ]
    flow_id = new_flow(drawing.flow(nodes, edges), type="AGENTFLOW")
    first = holder.answer(flow_id, "go", chatId="c")

    second = holder.answer(flow_id, chatId="c", humanInput={"type": "proceed"})
    messages = messages_of(holder, flow_id)
    stale = holder.predict(flow_id, chatId="c", humanInput=YES)
    third = holder.answer(flow_id, chatId="c", humanInput={"type": "proceed"})

    assert (first["action"]["data"]["nodeId"], second["action"]["data"]["nodeId"]) == (ASKS, "humanInputAgentflow_1")
    assert ["action" in message for message in messages] == [False, False, False, True]
    assert stale.status_code == 400
    assert third["text"] == "Sent"
    assert {first["executionId"], second["executionId"], third["executionId"]} == {first["executionId"]}


def test_other_branches_and_half_filled_joins_survive_the_pause(holder: Caller, new_flow: NewFlow) -> None:
    early, late, join = (drawing.reply(n, text) for n, text in enumerate(["Early", "Late", "Both of {{ question }}"]))
    nodes = [drawing.start(), early, drawing.human(), late, join]
    edges = [
        *drawing.path("startAgentflow_0", early["id"], join["id"]),
        *drawing.path("startAgentflow_0", ASKS),
        *drawing.path("startAgentflow_0", late["id"], join["id"]),
        drawing.branch(ASKS, 0, join["id"]),
    ]
    flow_id = new_flow(drawing.flow(nodes, edges), type="AGENTFLOW")
    asked = holder.answer(flow_id, "them", chatId="c")

    answer = holder.answer(flow_id, chatId="c", humanInput={"type": "proceed"})

    assert [label for label, _ in labels(asked["agentFlowExecutedData"])] == ["Start", "Reply 0", "Approval 0"]
    ran = [label for label, _ in labels(answer["agentFlowExecutedData"])]
    assert ran == ["Start", "Reply 0", "Approval 0", "Reply 1", "Reply 2"]
    assert answer["text"] == "Both of them"


def test_a_model_after_the_pause_remembers_what_was_said_once(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    nodes = [
        drawing.start(),
        drawing.llm_step(model.url, label="Draft"),
        drawing.human(),
        drawing.llm_step(model.url, "llmAgentflow_1", "Send"),
    ]
    edges = [
        *drawing.path("startAgentflow_0", "llmAgentflow_0", ASKS),
        drawing.branch(ASKS, 0, "llmAgentflow_1"),
    ]
    flow_id = new_flow(drawing.flow(nodes, edges), type="AGENTFLOW")
    model.script("Dear Sir")
    asked = holder.answer(flow_id, "Write a letter", chatId="c")

    holder.answer(flow_id, chatId="c", humanInput={"type": "proceed", "feedback": "Be warmer"})

    assert asked["text"] == "Dear Sir\n\nSend it?"
    told = [message["content"] for message in model.requests[-1].messages]
    assert told == ["Write a letter", "Dear Sir", "Dear Sir\n\nSend it?", "Be warmer"]


def test_a_model_that_comes_first_after_the_pause_knows_the_question(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    nodes = [drawing.start(), drawing.human(), drawing.llm_step(model.url)]
    edges = [*drawing.path("startAgentflow_0", ASKS), drawing.branch(ASKS, 0, "llmAgentflow_0")]
    flow_id = new_flow(drawing.flow(nodes, edges), type="AGENTFLOW")
    holder.answer(flow_id, "Write a letter", chatId="c")

    holder.answer(flow_id, chatId="c", humanInput={"type": "proceed"})

    told = [message["content"] for message in model.requests[-1].messages]
    assert told == ["Write a letter", "Send it?"]


def test_a_new_question_to_a_waiting_session_starts_a_new_run(holder: Caller, approval: str) -> None:
    first = holder.answer(approval, "the letter", chatId="c")

    second = holder.answer(approval, "the parcel", chatId="c")
    answer = holder.answer(approval, chatId="c", humanInput={"type": "proceed"})

    assert second["executionId"] != first["executionId"]
    assert answer["text"] == "Sent the parcel"
    assert run_of(holder, first)["state"] == "STOPPED"


def test_two_answers_at_once_let_the_run_go_on_once(holder: Caller, approval: str) -> None:
    holder.answer(approval, "the letter", chatId="c")

    def say(_: int) -> httpx.Response:
        return holder.predict(approval, "Proceed", chatId="c", humanInput=YES)

    with ThreadPoolExecutor(4) as callers:
        responses = list(callers.map(say, range(4)))

    assert sorted(response.status_code for response in responses) == [200, 409, 409, 409]
    assert all(r.status_code == 200 or r.json()["code"] == "conflict" for r in responses)
    assert len(messages_of(holder, approval)) == 4


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"chatId": "other", "humanInput": YES}, 409, "Nothing waits for an answer in session 'other'"),
        ({"chatId": "c", "humanInput": {"type": "maybe"}}, 400, "humanInput.type: expected proceed or reject"),
        ({"chatId": "c", "humanInput": {}}, 400, "humanInput.type: expected proceed or reject, got nothing"),
        ({"chatId": "c", "humanInput": "proceed"}, 400, "humanInput: expected an object"),
        ({"chatId": "c", "humanInput": {**YES, "startNodeId": "x_0"}}, 400, "'x_0' is not in the run's trace"),
        ({"chatId": "c", "humanInput": {**YES, "startNodeId": "startAgentflow_0"}}, 400, "waits for no answer"),
        ({"chatId": "c", "humanInput": {**YES, "feedback": 7}}, 400, "humanInput.feedback: expected text"),
    ],
)
def test_an_answer_that_fits_nothing_is_refused_and_the_run_waits_on(
    holder: Caller, approval: str, body: dict[str, Any], status: int, words: str
) -> None:
    holder.answer(approval, "the letter", chatId="c")

    refused = holder.predict(approval, "Proceed", **body)

    assert (refused.status_code, words in refused.json()["message"]) == (status, True), refused.text
    assert holder.answer(approval, chatId="c", humanInput=YES)["text"] == "Sent the letter"


def test_a_run_that_has_ended_takes_no_answer(holder: Caller, approval: str) -> None:
    holder.answer(approval, "the letter", chatId="c")
    holder.answer(approval, chatId="c", humanInput=YES)

    refused = holder.predict(approval, "Proceed", chatId="c", humanInput=YES)

    assert refused.status_code == 409
    assert "has ended and waits for no answer" in refused.json()["message"]


def test_an_answer_after_which_the_run_failed_may_be_given_again(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    nodes = [drawing.start(), drawing.human(), drawing.reply(0, "Trying"), drawing.llm_step(model.url)]
    edges = [
        *drawing.path("startAgentflow_0", ASKS),
        drawing.branch(ASKS, 0, "directReplyAgentflow_0"),
        *drawing.path("directReplyAgentflow_0", "llmAgentflow_0"),
    ]
    flow_id = new_flow(drawing.flow(nodes, edges), type="AGENTFLOW")
    asked = holder.answer(flow_id, "go", chatId="c")
    model.script(Reply(status=400, error="not allowed"))

    failed = holder.predict(flow_id, chatId="c", humanInput=YES)
    kept = messages_of(holder, flow_id)
    answer = holder.answer(flow_id, chatId="c", humanInput=YES)

    assert failed.status_code == 502
    assert kept[1]["action"] == asked["action"]
    assert [label for label, _ in labels(answer["agentFlowExecutedData"])] == ["Start", "Approval 0", "Reply 0", "Ask"]
    assert answer["executionId"] == asked["executionId"]
    assert not any("action" in message for message in messages_of(holder, flow_id))


def test_a_waiting_run_can_be_stopped(holder: Caller, approval: str) -> None:
    asked = holder.answer(approval, "the letter", chatId="c")

    stopped = holder.http.put(f"/chatmessage/abort/{approval}/c")

    assert stopped.status_code == 200
    assert run_of(holder, asked)["state"] == "TERMINATED"
    assert holder.predict(approval, "Proceed", chatId="c", humanInput=YES).status_code == 409
    assert not any("action" in message for message in messages_of(holder, approval))


def test_a_run_that_nobody_answers_ends_in_time(holder: Caller, approval: str, inside: Inside) -> None:
    asked = holder.answer(approval, "the letter", chatId="c")
    other = holder.answer(approval, "the parcel", chatId="d")

    inside(GROW_OLD.format(execution_id=asked["executionId"]))
    wait_for(lambda: run_of(holder, asked)["state"] == "ERROR", "the end of a run that waited too long")

    assert "Nobody answered within 72 hours" in run_of(holder, asked)["error"]
    refused = holder.predict(approval, "Proceed", chatId="c", humanInput=YES)
    assert (refused.status_code, "waited too long" in refused.json()["message"]) == (409, True)
    assert run_of(holder, other)["state"] == "STOPPED"
    assert ["action" in message for message in messages_of(holder, approval)] == [False, False, False, True]


def test_a_stranger_cannot_answer(holder: Caller, visitor: Caller, neighbour: Caller, approval: str) -> None:
    holder.answer(approval, "the letter", chatId="c")

    refusals = [who.predict(approval, "Proceed", chatId="c", humanInput=YES) for who in (visitor, neighbour)]

    assert [refused.status_code for refused in refusals] == [401, 404]
