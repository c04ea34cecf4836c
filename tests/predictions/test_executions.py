"""Looking up a run: how it stands, what it answered, what it used."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller, Listening
from tests.predictions.conftest import NewFlow


def test_a_finished_run_shows_its_answer_its_trace_and_its_use(holder: Caller, agent: str) -> None:
    answer = holder.answer(agent, "Hi", chatId="c", overrideConfig={"sessionId": "s"})

    run = holder.http.get(f"/executions/{answer['executionId']}").json()

    assert run["state"] == "FINISHED"
    assert run["output"] == answer
    assert json.loads(run["executionData"]) == answer["agentFlowExecutedData"]
    assert run["usageMetadata"] == {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17}
    assert (run["agentflowId"], run["chatflowId"], run["id"]) == (agent, agent, answer["executionId"])
    assert (run["question"], run["chatId"], run["sessionId"], run["attempt"]) == ("Hi", "c", "s", 1)
    dates = [run[name] for name in ("createdDate", "startedDate", "stoppedDate")]
    assert all(date.endswith("Z") for date in dates)
    assert sorted(dates, key=datetime.fromisoformat) == dates


def test_a_failed_run_says_why(holder: Caller, agent: str, model: ScriptedModel) -> None:
    model.script(Reply(status=400, error="not allowed"))
    response = holder.predict(agent, "Hi", streaming=True)

    run = holder.http.get(f"/executions/{response.headers['X-Execution-Id']}").json()

    assert run["state"] == "ERROR"
    assert "not allowed" in run["error"]
    assert [entry["status"] for entry in json.loads(run["executionData"])] == ["FINISHED", "ERROR"]


def test_a_run_that_goes_on_is_in_progress(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(Reply("one two", stall_after=1))
    with holder.http.stream("POST", f"/prediction/{chat}", json={"question": "Hi", "streaming": True}) as response:
        next(Listening(response))
        run = holder.http.get(f"/executions/{response.headers['X-Execution-Id']}").json()
        model.release()

    assert (run["state"], run["output"], run["stoppedDate"]) == ("INPROGRESS", None, None)


@pytest.mark.parametrize("execution_id", ["nonsense", "00000000-0000-7000-8000-000000000000", "%00"])
def test_a_run_that_does_not_exist_is_not_found(holder: Caller, execution_id: str) -> None:
    assert holder.http.get(f"/executions/{execution_id}").status_code == 404


def test_a_neighbour_finds_no_run_and_nobody_looks_without_a_key(
    holder: Caller, neighbour: Caller, visitor: Caller, chat: str
) -> None:
    address = f"/executions/{holder.answer(chat, 'Hi')['executionId']}"

    assert (neighbour.http.get(address).status_code, visitor.http.get(address).status_code) == (404, 401)


def test_a_deleted_conversation_is_gone_and_forgotten(holder: Caller, chat: str, model: ScriptedModel) -> None:
    holder.answer(chat, "One", chatId="c")

    deleted = holder.http.delete(f"/chatmessage/{chat}", params={"chatId": "c"})
    holder.answer(chat, "Two", chatId="c")

    assert deleted.json() == {"affected": 2}
    assert [m["content"] for m in model.requests[-1].messages if m["role"] != "system"] == ["Two"]


def test_what_was_said_is_remembered_when_its_run_is_deleted(holder: Caller, chat: str, model: ScriptedModel) -> None:
    first = holder.answer(chat, "One", chatId="kept")

    deleted = holder.http.delete("/executions", params={"executionIds": first["executionId"]})
    holder.answer(chat, "Two", chatId="kept")

    assert deleted.json() == {"success": True, "deletedCount": 1}
    said = [m["content"] for m in model.requests[-1].messages if m["role"] != "system"]
    assert said == ["One", first["text"], "Two"]


@pytest.fixture
def approval(new_flow: NewFlow) -> str:
    return new_flow(drawing.approval_flow("Sent"), type="AGENTFLOW")


def test_the_runs_that_wait_for_a_person_are_found_among_all(holder: Caller, approval: str) -> None:
    first = holder.answer(approval, "one", chatId="c")
    second = holder.answer(approval, "two", chatId="d")
    done = holder.answer(approval, chatId="c", humanInput={"type": "proceed"})

    def listed(**choice: str) -> list[str]:
        found = holder.http.get("/executions", params={"agentflowId": approval, **choice})
        assert found.status_code == 200, found.text
        return [run["id"] for run in found.json()]

    assert listed() == [second["executionId"], first["executionId"]]
    assert listed(state="STOPPED") == [second["executionId"]]
    assert listed(state="FINISHED") == [done["executionId"]]
    assert listed(sessionId="d") == [second["executionId"]]
    assert listed(startDate="2999-01-01T00:00:00Z") == listed(endDate="2000-01-01T00:00:00Z") == []
    assert listed(limit="1", page="2") == [first["executionId"]]


def test_a_listed_run_is_what_looking_it_up_shows(holder: Caller, approval: str) -> None:
    asked = holder.answer(approval, "one")

    response = holder.http.get("/executions", params={"agentflowId": approval})

    assert response.headers["X-Total-Count"] == "1"
    assert response.json() == [holder.http.get(f"/executions/{asked['executionId']}").json()]


@pytest.mark.parametrize(
    "choice", [{"state": "WAITING"}, {"agentflowId": "nonsense"}, {"sessionId": "\0"}, {"startDate": "soon"}]
)
def test_a_choice_of_runs_that_means_nothing_is_refused_by_name(holder: Caller, choice: dict[str, str]) -> None:
    refused = holder.http.get("/executions", params=choice)

    assert refused.status_code == 400
    assert refused.json()["message"].startswith(f"{next(iter(choice))}: ")


def test_a_neighbour_sees_none_of_these_runs(holder: Caller, neighbour: Caller, approval: str) -> None:
    holder.answer(approval, "one")

    assert neighbour.http.get("/executions", params={"agentflowId": approval}).json() == []
