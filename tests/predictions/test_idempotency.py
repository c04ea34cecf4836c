"""The same request again, by whatever proxy or client: one run, and its answer for everybody."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.journeys.stage import wait_for
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller, read_frames, text_of
from tests.predictions.conftest import Inside, NewFlow


def runs_of(holder: Caller, flow_id: str) -> int:
    return int(holder.http.get("/executions", params={"agentflowId": flow_id}).headers["X-Total-Count"])


def ask(caller: Caller, flow_id: str, key: str, question: str = "Hello", **body: Any) -> httpx.Response:
    return caller.predict(flow_id, question, headers={"Idempotency-Key": key}, **body)


def test_a_storm_of_one_request_starts_one_run(platform: Platform, chat: str, holder: Caller) -> None:
    def call(_: int) -> httpx.Response:
        with Caller(platform.url, platform.api_key) as caller:
            return ask(caller, chat, "storm")

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(call, range(100)))

    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert runs_of(holder, chat) == 1


def test_the_same_key_and_request_get_the_first_answer(holder: Caller, chat: str, model: ScriptedModel) -> None:
    first = ask(holder, chat, "a", chatId="c")

    second = ask(holder, chat, "a", chatId="c")

    assert second.json() == first.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert len(model.requests) == 1


def test_another_request_with_the_same_key_is_refused(holder: Caller, chat: str) -> None:
    ask(holder, chat, "a", "Hello")

    refused = ask(holder, chat, "a", "Goodbye")

    assert refused.status_code == 422
    assert refused.json()["code"] == "idempotency_key_reused"
    assert runs_of(holder, chat) == 1


def test_another_key_starts_another_run(holder: Caller, chat: str) -> None:
    for key in ("a", "b"):
        assert ask(holder, chat, key).status_code == 200

    assert runs_of(holder, chat) == 2


def test_a_repeated_request_waits_for_the_run_that_is_still_going_on(
    holder: Caller, platform: Platform, chat: str, model: ScriptedModel
) -> None:
    model.script(Reply("one two three", stall_after=0))
    with Caller(platform.url, platform.api_key) as impatient, ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, impatient, chat, "a")
        assert model.stalled.wait(10)
        second = pool.submit(ask, holder, chat, "a")
        model.release()

        assert second.result().json() == first.result().json()
    assert len(model.requests) == 1


def test_a_repeated_stream_is_heard_from_its_beginning(holder: Caller, chat: str, model: ScriptedModel) -> None:
    first = read_frames(ask(holder, chat, "a", streaming=True).content)

    again = ask(holder, chat, "a", streaming=True)

    assert again.headers["Idempotency-Replayed"] == "true"
    assert read_frames(again.content) == first
    assert text_of(first) == "You said: Hello"
    assert len(model.requests) == 1


def test_a_person_answers_once_however_often_the_answer_is_sent(holder: Caller, new_flow: NewFlow) -> None:
    flow_id = new_flow(drawing.approval_flow("Sent"), type="AGENTFLOW")
    holder.answer(flow_id, "the letter", chatId="c")
    answer = {"chatId": "c", "humanInput": {"type": "proceed"}}

    answers = [ask(holder, flow_id, "a", "Proceed", **answer) for _ in range(2)]
    refused = ask(holder, flow_id, "b", "Proceed", **answer)

    assert [answer.json()["text"] for answer in answers] == ["Sent", "Sent"]
    assert refused.status_code == 409


def test_a_refused_request_may_come_again_with_its_key(holder: Caller, chat: str) -> None:
    refused = holder.predict(chat, headers={"Idempotency-Key": "a"}, form=7)

    assert refused.status_code == 400
    assert ask(holder, chat, "a").status_code == 200


def test_callers_of_a_public_flow_do_not_meet_in_a_key_of_key_holders(
    holder: Caller, visitor: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    flow_id = new_flow(drawing.conversation(model.url), isPublic=True)
    ask(holder, flow_id, "a")

    answer = ask(visitor, flow_id, "a")

    assert "Idempotency-Replayed" not in answer.headers
    assert runs_of(holder, flow_id) == 2


def test_a_key_counts_for_a_day(holder: Caller, chat: str, inside: Inside) -> None:
    key = uuid4().hex
    ask(holder, chat, key)
    inside(f"""
from datetime import timedelta
from django.db.models import F
from predictions.models import IdempotencyKey
IdempotencyKey.objects.filter(key={key!r}).update(created_at=F("created_at") - timedelta(hours=24))
print(1)
""")

    answer = ask(holder, chat, key, "Something else")

    assert answer.status_code == 200
    assert "Idempotency-Replayed" not in answer.headers
    left = f"from predictions.models import IdempotencyKey; print(IdempotencyKey.objects.filter(key={key!r}).count())"
    wait_for(lambda: inside(left) == 1, "one key")


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(holder: Caller, chat: str, key: str) -> None:
    refused = ask(holder, chat, key)

    assert refused.status_code == 400
    assert "Idempotency-Key" in refused.json()["message"]
