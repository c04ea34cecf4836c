"""Work that is started now and come back for later."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.journeys.stage import wait_for
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions.calls import Caller, read_frames, text_of


def ask(holder: Caller, flow_id: str, prefer: str, query: str = "", **body: Any) -> httpx.Response:
    headers = {"Prefer": prefer} if prefer else {}
    return holder.http.post(f"/prediction/{flow_id}{query}", json={"question": "Hello", **body}, headers=headers)


def look(holder: Caller, accepted: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = holder.http.get(accepted.headers["Location"].removeprefix("/api/v1")).json()
    return found


@pytest.mark.parametrize(("prefer", "query"), [("respond-async", ""), ("", "?async=true"), ("Respond-Async, x=1", "")])
def test_a_run_that_nobody_waits_for_is_accepted_and_goes_on(
    holder: Caller, chat: str, prefer: str, query: str
) -> None:
    accepted = ask(holder, chat, prefer, query, chatId="c")

    assert accepted.status_code == 202
    body = accepted.json()
    assert body == {"executionId": body["executionId"], "chatId": "c", "sessionId": "c", "state": "INPROGRESS"}
    assert accepted.headers["Location"] == f"/api/v1/executions/{body['executionId']}"
    assert accepted.headers.get("Preference-Applied") == ("respond-async" if prefer else None)
    wait_for(lambda: look(holder, accepted)["state"] == "FINISHED", "the end of the run")
    assert look(holder, accepted)["output"]["text"] == "You said: Hello"


def test_who_waits_a_while_gets_the_answer_if_it_comes_in_time(holder: Caller, chat: str) -> None:
    answer = ask(holder, chat, "wait=20")

    assert answer.status_code == 200
    assert answer.json()["text"] == "You said: Hello"


def test_who_has_waited_long_enough_is_told_where_to_look(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(Reply("one two three", stall_after=0))

    accepted = ask(holder, chat, "respond-async, wait=1")
    model.release()

    assert accepted.status_code == 202
    assert accepted.headers["Preference-Applied"] == "respond-async, wait=1"
    wait_for(lambda: look(holder, accepted)["state"] == "FINISHED", "the end of the run")


def test_an_accepted_run_can_be_listened_to(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(Reply("one two three", stall_after=1))
    accepted = ask(holder, chat, "respond-async", streaming=True)
    assert model.stalled.wait(10)

    with holder.http.stream("GET", f"/executions/{accepted.json()['executionId']}/stream") as stream:
        model.release()
        frames = read_frames(stream.read())

    assert accepted.status_code == 202
    assert text_of(frames) == "one two three"


def test_a_repeated_request_is_accepted_with_the_same_run(holder: Caller, chat: str) -> None:
    headers = {"Prefer": "respond-async", "Idempotency-Key": "a"}

    ids = {holder.predict(chat, "Hello", headers=headers, chatId="c").json()["executionId"] for _ in range(3)}

    assert len(ids) == 1


@pytest.mark.parametrize(
    ("prefer", "query", "told"),
    [("wait=soon", "", "Prefer: wait"), ("wait=99999", "", "Prefer"), ("", "?async=maybe", "async")],
)
def test_a_preference_that_cannot_be_read_is_named(
    holder: Caller, chat: str, prefer: str, query: str, told: str
) -> None:
    refused = ask(holder, chat, prefer, query)

    assert refused.status_code == 400
    assert told in refused.json()["message"]
