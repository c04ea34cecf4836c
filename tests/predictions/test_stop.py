"""Stopping what runs, from wherever."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller, Listening, data_of, names, text_of
from tests.predictions.conftest import NewFlow

DONE = {"status": 200, "message": "Chat message aborted"}
ENDLESS = Reply("one two three four", stall_after=2)


def abort(caller: Caller, flow_id: str, chat_id: str) -> None:
    response = caller.http.put(f"/chatmessage/abort/{flow_id}/{quote(chat_id, safe='')}")
    assert (response.status_code, response.json()) == (200, DONE)


@pytest.mark.parametrize("chat_id", ["c", "customer+7f3a", "with some spaces", "a/b", "c" * 200])
def test_a_classic_stream_stops_with_what_was_said(
    visitor: Caller, new_flow: NewFlow, model: ScriptedModel, chat_id: str
) -> None:
    model.script(ENDLESS)
    chat = new_flow(drawing.conversation(model.url), isPublic=True)

    body = {"question": "Hi", "chatId": chat_id, "streaming": True}
    with visitor.http.stream("POST", f"/prediction/{chat}", json=body) as response:
        listening = Listening(response)
        frames = [next(listening) for _ in range(3)]
        abort(visitor, chat, chat_id)
        frames += list(listening)

    assert names(frames) == ["start", "token", "token", "metadata", "abort", "end"]
    assert text_of(frames) == "one two"
    assert model.hung_up.wait(5)


def test_an_agentflow_stream_stops_terminated(holder: Caller, agent: str, model: ScriptedModel) -> None:
    model.script(ENDLESS)

    body = {"question": "Hi", "chatId": "c", "streaming": True}
    with holder.http.stream("POST", f"/prediction/{agent}", json=body) as response:
        listening = Listening(response)
        listening.until("token")
        abort(holder, agent, "c")
        frames = list(listening)

    last = frames[-6:]
    assert names(last) == [
        "nextAgentFlow", "agentFlowExecutedData", "agentFlowEvent", "metadata", "error", "end",
    ]  # fmt: skip
    assert (last[0].data["nodeLabel"], last[0].data["status"]) == ("Ask", "TERMINATED")
    assert last[1].data[-1]["status"] == "TERMINATED"
    assert last[2].data == "TERMINATED"
    assert data_of(frames, "error") == "Flow execution was cancelled"


def test_a_stopped_run_keeps_the_answer_it_had(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(ENDLESS)
    body = {"question": "Hi", "chatId": "c", "streaming": True}
    with holder.http.stream("POST", f"/prediction/{chat}", json=body) as response:
        listening = Listening(response)
        listening.until("token")
        assert model.stalled.wait(5)
        next(listening)
        abort(holder, chat, "c")
        metadata = data_of(list(listening), "metadata")

    run = holder.http.get(f"/executions/{metadata['executionId']}").json()
    asked, answered = holder.http.get(f"/chatmessage/{chat}").json()

    assert (run["state"], run["error"]) == ("TERMINATED", "Flow execution was cancelled")
    assert (asked["content"], answered["content"]) == ("Hi", "one two")


def test_a_stopped_turn_is_not_remembered(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(ENDLESS)
    body = {"question": "One", "chatId": "c", "streaming": True}
    with holder.http.stream("POST", f"/prediction/{chat}", json=body) as response:
        listening = Listening(response)
        listening.until("token")
        abort(holder, chat, "c")
        list(listening)

    holder.answer(chat, "Two", chatId="c")

    assert [m["content"] for m in model.requests[-1].messages if m["role"] != "system"] == ["Two"]


def test_only_the_named_conversation_stops(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(ENDLESS)
    body = {"question": "Hi", "chatId": "mine", "streaming": True}
    with holder.http.stream("POST", f"/prediction/{chat}", json=body) as response:
        listening = Listening(response)
        listening.until("token")
        abort(holder, chat, "somebody else's")
        model.release()
        frames = list(listening)

    assert names(frames)[-2:] == ["metadata", "end"]


def test_stopping_what_does_not_run_is_no_error(holder: Caller, chat: str) -> None:
    abort(holder, chat, "nothing here")


def test_a_stranger_stops_nothing_of_a_private_flow(visitor: Caller, chat: str) -> None:
    assert visitor.http.put(f"/chatmessage/abort/{chat}/c").status_code == 401


@pytest.mark.parametrize(("flow_id", "status"), [("nonsense", 400), ("00000000-0000-7000-8000-000000000000", 404)])
def test_stopping_in_a_flow_that_does_not_exist_is_an_error(visitor: Caller, flow_id: str, status: int) -> None:
    response = visitor.http.put(f"/chatmessage/abort/{flow_id}/c")

    assert response.status_code == status
    assert response.json()["message"]
