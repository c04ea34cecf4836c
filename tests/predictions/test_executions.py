"""Looking up a run: how it stands, what it answered, what it used."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions.calls import Caller, Listening


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
