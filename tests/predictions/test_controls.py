"""What key holders do with single runs: stop, pause, let go on, run again from a node on, delete."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.journeys.stage import wait_for
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Keys, NewFlow
from tests.predictions.test_human_input import messages_of

TWO_STEPS = ("startAgentflow_0", "llmAgentflow_0", "llmAgentflow_1")
NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def two_steps(new_flow: NewFlow, model: ScriptedModel) -> str:
    """Two models, one after the other; the second hears of the first."""
    second = [{"role": "user", "content": "Then: {{ llmAgentflow_0 }}"}]
    nodes = [
        drawing.start(),
        drawing.llm_step(model.url),
        drawing.llm_step(model.url, "llmAgentflow_1", "Answer", llmMessages=second, llmEnableMemory=False),
    ]
    return new_flow(drawing.flow(nodes, drawing.path(*TWO_STEPS)), type="AGENTFLOW")


def run_of(holder: Caller, execution_id: str) -> dict[str, Any]:
    found: dict[str, Any] = holder.http.get(f"/executions/{execution_id}").json()
    return found


def order(holder: Caller, execution_id: str, what: str, body: Any = None, **headers: str) -> httpx.Response:
    return holder.http.post(f"/executions/{execution_id}/{what}", json=body, headers=headers)


def started(holder: Caller, flow_id: str, question: str = "Hello", query: str = "") -> str:
    """A run that nobody waits for."""
    headers = {"Prefer": "respond-async"}
    accepted = holder.http.post(f"/prediction/{flow_id}{query}", json={"question": question}, headers=headers)
    assert accepted.status_code == 202, accepted.text
    return str(accepted.json()["executionId"])


def in_state(holder: Caller, execution_id: str, *states: str) -> dict[str, Any]:
    wait_for(lambda: run_of(holder, execution_id)["state"] in states, f"{states} of {execution_id}")
    return run_of(holder, execution_id)


def labels(run: dict[str, Any]) -> list[str]:
    return [entry["nodeLabel"] for entry in json.loads(run["executionData"])]


def test_a_run_is_stopped_by_its_id(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(Reply("one two", stall_after=0))
    execution_id = started(holder, chat)
    assert model.stalled.wait(10)

    stopped = order(holder, execution_id, "cancel")

    assert stopped.status_code == 202
    assert in_state(holder, execution_id, "TERMINATED")["state"] == "TERMINATED"
    assert order(holder, execution_id, "cancel").status_code == 409


def test_a_run_pauses_behind_its_node_and_goes_on_when_it_is_told(
    holder: Caller, two_steps: str, model: ScriptedModel
) -> None:
    model.script(Reply("first", stall_after=0), Reply("second"))
    execution_id = started(holder, two_steps)
    assert model.stalled.wait(10)

    paused = order(holder, execution_id, "pause")
    model.release()
    waiting = in_state(holder, execution_id, "STOPPED")
    resumed = order(holder, execution_id, "resume")
    run = in_state(holder, execution_id, "FINISHED")

    assert (paused.status_code, resumed.status_code) == (202, 202)
    assert labels(waiting) == ["Start", "Ask"]
    assert labels(run) == ["Start", "Ask", "Answer"]
    assert run["output"]["text"] == "second"
    assert len(model.requests) == 2
    assert [message["content"] for message in messages_of(holder, two_steps)] == ["Hello", "second"]


def test_what_cannot_pause_is_told_why(holder: Caller, chat: str, two_steps: str) -> None:
    ended = {flow: holder.answer(flow, "Hello")["executionId"] for flow in (chat, two_steps)}

    refused = [order(holder, execution_id, "pause") for execution_id in ended.values()]

    assert [one.status_code for one in refused] == [409, 409]
    assert "one step" in refused[0].json()["message"]
    assert "does not run" in refused[1].json()["message"]


@pytest.mark.parametrize("said", [{"humanInput": {"type": "proceed"}}, {"humanInput": {"type": "reject"}}])
def test_a_person_answers_by_the_id_of_the_run(holder: Caller, new_flow: NewFlow, said: dict[str, Any]) -> None:
    flow_id = new_flow(drawing.approval_flow("Sent"), type="AGENTFLOW")
    execution_id = holder.answer(flow_id, "the letter")["executionId"]

    wrong = order(holder, execution_id, "resume", {"message": "yes"})
    answered = order(holder, execution_id, "resume", said)
    again = order(holder, execution_id, "resume", said)

    assert (wrong.status_code, answered.status_code, again.status_code) == (409, 202, 409)
    text = in_state(holder, execution_id, "FINISHED")["output"]["text"]
    assert text == ("Sent" if said["humanInput"]["type"] == "proceed" else "Not sent")


def test_a_message_answers_by_the_id_of_the_run(holder: Caller, new_flow: NewFlow) -> None:
    asking = drawing.waiting_flow("askUserAgentflow", {"askQuestion": "Who?"}, "Hello {{ askUserAgentflow_0 }}")
    execution_id = holder.answer(new_flow(asking, type="AGENTFLOW"), "Hi")["executionId"]

    order(holder, execution_id, "resume", {"message": "Ada"})

    assert in_state(holder, execution_id, "FINISHED")["output"]["text"] == "Hello Ada"


def test_a_fork_does_not_do_again_what_came_before_its_node(
    holder: Caller, two_steps: str, model: ScriptedModel
) -> None:
    model.script(Reply("first"), Reply("second"), Reply("another second"))
    source = holder.answer(two_steps, "Hello")

    forked = order(holder, source["executionId"], "fork", {"fromNode": "llmAgentflow_1"})

    assert forked.status_code == 201
    run = in_state(holder, forked.json()["executionId"], "FINISHED")
    assert run["output"]["text"] == "another second"
    assert [request.question for request in model.requests] == ["Hello", "Then: first", "Then: first"]
    assert run["output"]["agentFlowExecutedData"][:2] == source["agentFlowExecutedData"][:2]
    assert run_of(holder, source["executionId"])["output"] == source
    assert (
        run["usageMetadata"]["total_tokens"]
        == run_of(holder, source["executionId"])["usageMetadata"]["total_tokens"] / 2
    )


def test_a_fork_without_a_node_begins_anew(holder: Caller, two_steps: str, model: ScriptedModel) -> None:
    source = holder.answer(two_steps, "Hello")

    forked = order(holder, source["executionId"], "fork", {})

    assert labels(in_state(holder, forked.json()["executionId"], "FINISHED")) == ["Start", "Ask", "Answer"]
    assert len(model.requests) == 4


def test_runs_of_a_flow_that_is_tied_to_a_key_are_run_again_by_that_key_alone(
    platform: Platform, holder: Caller, two_steps: str, keys: Keys
) -> None:
    source = holder.answer(two_steps, "Hello")["executionId"]
    assert holder.http.put(f"/chatflows/{two_steps}", json={"apikeyid": str(keys.second.id)}).status_code == 200

    with Caller(platform.url, keys.second.raw) as tied:
        refused = [order(holder, source, "fork", {}), order(holder, source, "retry")]
        forked = order(tied, source, "fork", {})

    assert [response.status_code for response in refused] == [401, 401]
    assert "the API key that it is tied to" in refused[0].json()["message"]
    assert forked.status_code == 201


def test_a_fork_may_run_another_version(holder: Caller, two_steps: str, model: ScriptedModel) -> None:
    source = holder.answer(two_steps, "Hello")
    flow_data = json.loads(holder.http.get(f"/chatflows/{two_steps}").json()["flowData"])
    [last] = [node for node in flow_data["nodes"] if node["id"] == "llmAgentflow_1"]
    last["data"]["inputs"]["llmMessages"] = [{"role": "user", "content": "Now: {{ llmAgentflow_0 }}"}]
    holder.http.put(f"/chatflows/{two_steps}", json={"flowData": json.dumps(flow_data)})

    forked = order(holder, source["executionId"], "fork", {"fromNode": "llmAgentflow_1", "version": 2})

    in_state(holder, forked.json()["executionId"], "FINISHED")
    assert model.requests[-1].question == f"Now: {source['agentFlowExecutedData'][1]['data']['output']['content']}"


def test_a_failed_run_is_tried_again_where_it_failed(holder: Caller, two_steps: str, model: ScriptedModel) -> None:
    model.script(Reply("first"), Reply("no", status=400), Reply("second"))
    assert holder.predict(two_steps, "Hello", chatId="c").status_code >= 400
    [failed] = holder.http.get("/executions", params={"agentflowId": two_steps}).json()

    retried = order(holder, failed["id"], "retry")

    assert retried.status_code == 201
    run = in_state(holder, retried.json()["executionId"], "FINISHED")
    assert run["output"]["text"] == "second"
    assert [request.question for request in model.requests] == ["Hello", "Then: first", "Then: first"]
    assert order(holder, run["id"], "retry").status_code == 409


def test_a_repeated_fork_starts_one_run(holder: Caller, two_steps: str) -> None:
    source = holder.answer(two_steps, "Hello")["executionId"]

    forked = [order(holder, source, "fork", {}, **{"Idempotency-Key": "a"}).json() for _ in range(2)]

    assert forked[0] == forked[1]


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"fromNode": "nowhere"}, 404, "fromNode"),
        ({"fromNode": "\0"}, 404, "fromNode"),
        ({"fromNode": 7}, 400, "fromNode"),
        ({"version": 99}, 404, "version"),
        ({"version": "2"}, 400, "version"),
        ([], 400, "JSON object"),
    ],
)
def test_a_fork_that_makes_no_sense_is_named(holder: Caller, two_steps: str, body: Any, status: int, told: str) -> None:
    source = holder.answer(two_steps, "Hello")["executionId"]

    refused = order(holder, source, "fork", body)

    assert refused.status_code == status
    assert told in refused.json()["message"]


@pytest.mark.parametrize("what", ["cancel", "pause", "resume", "retry", "fork"])
def test_runs_of_nobody_are_not_found_and_strangers_are_asked_for_a_key(
    holder: Caller, visitor: Caller, chat: str, what: str
) -> None:
    execution_id = holder.answer(chat, "Hello")["executionId"]

    assert order(holder, NOBODY, what).status_code == 404
    assert order(holder, "no-id", what).status_code == 404
    assert order(visitor, execution_id, what).status_code == 401


def test_a_run_past_its_time_ends_with_it(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(Reply("one", stall_after=0))

    answer = holder.http.post(f"/prediction/{chat}?timeout=1", json={"question": "Hello"})

    assert answer.status_code >= 400
    assert "longer than" in answer.json()["message"]


def test_a_run_that_waits_past_its_time_ends(holder: Caller, new_flow: NewFlow) -> None:
    flow_id = new_flow(drawing.approval_flow("Sent"), type="AGENTFLOW", apiConfig=json.dumps({"timeout": 1}))
    execution_id = holder.answer(flow_id, "the letter")["executionId"]

    run = in_state(holder, execution_id, "ERROR")

    assert run["error"] == "The run passed its deadline before it was done"
    assert [message["content"] for message in messages_of(holder, flow_id)] == ["the letter", "Send it?"]


def test_runs_are_paged_by_the_last_one_seen(holder: Caller, chat: str) -> None:
    ids = [holder.answer(chat, f"{number}")["executionId"] for number in range(3)][::-1]

    page = holder.http.get("/executions", params={"agentflowId": chat, "before": ids[0], "limit": 1})
    following = holder.http.get(page.links["next"]["url"].removeprefix("/api/v1"))

    assert [run["id"] for run in page.json()] == [ids[1]]
    assert [run["id"] for run in following.json()] == [ids[2]]
    assert "next" not in following.links


def test_runs_that_have_ended_can_be_deleted_and_others_cannot(holder: Caller, chat: str, model: ScriptedModel) -> None:
    ended = [holder.answer(chat, "Hello")["executionId"] for _ in range(3)]
    model.script(Reply("one", stall_after=0))
    running = started(holder, chat)
    assert model.stalled.wait(10)

    one = holder.http.delete(f"/executions/{ended[0]}")
    many = holder.http.request("DELETE", "/executions", json={"executionIds": [*ended, running, NOBODY]})
    refused = holder.http.delete(f"/executions/{running}")
    model.release()

    assert one.json() == {"success": True, "deletedCount": 1}
    assert many.json() == {"success": True, "deletedCount": 2}
    assert refused.status_code == 409
    assert holder.http.get(f"/executions/{ended[1]}").status_code == 404
