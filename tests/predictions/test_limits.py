"""What a workspace's limits refuse of the calls that ask its flows."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Limited, NewFlow


@pytest.fixture
def public_chat(new_flow: NewFlow, model: ScriptedModel) -> str:
    return new_flow(drawing.conversation(model.url), isPublic=True)


def told(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["message"].partition(":")[0]


def test_of_fifty_questions_at_once_ten_are_answered(platform: Platform, chat: str, limited: Limited) -> None:
    limited("flow", target_id=chat, calls_a_minute=10)

    async def ask_all() -> list[int]:
        headers = {"Authorization": f"Bearer {platform.api_key}"}
        async with httpx.AsyncClient(base_url=platform.url, headers=headers, timeout=60) as client:
            address, body = f"/api/v1/prediction/{chat}", {"question": "Hi"}
            answers = await asyncio.gather(*(client.post(address, json=body) for _ in range(50)))
        return [answer.status_code for answer in answers]

    statuses = asyncio.run(ask_all())

    assert (statuses.count(200), statuses.count(429)) == (10, 40)


def test_who_asks_hears_how_often_they_still_may(holder: Caller, chat: str, limited: Limited) -> None:
    limited("flow", target_id=chat, calls_a_minute=2)

    answers = [holder.predict(chat, "Hi") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"2"}
    assert answers[2].headers["Retry-After"] == answers[2].headers["RateLimit-Reset"]
    assert answers[2].json()["code"] == "too_many_requests"
    assert told(answers[2]) == (429, "This flow takes 2 calls a minute at most")


def test_strangers_are_limited_by_their_address_and_keys_are_not(
    holder: Caller, visitor: Caller, public_chat: str, limited: Limited
) -> None:
    limited("address", calls_a_minute=1)

    strangers = [visitor.predict(public_chat, "Hi") for _ in range(2)]
    own = [holder.predict(public_chat, "Hi").status_code for _ in range(2)]

    assert strangers[0].status_code == 200
    assert told(strangers[1]) == (429, "1 calls a minute come through without a secret key")
    assert own == [200, 200]


def test_a_widget_that_wants_a_stream_can_show_the_refusal(visitor: Caller, public_chat: str, limited: Limited) -> None:
    limited("address", calls_a_minute=1)
    visitor.predict(public_chat, "Hi")

    refused = visitor.predict(public_chat, "Hi", streaming=True)

    assert refused.status_code == 429
    assert refused.headers["Content-Type"].startswith("text/plain")
    assert refused.text.startswith("1 calls a minute")


def test_other_apis_refuse_in_their_own_shape(holder: Caller, chat: str, limited: Limited) -> None:
    limited("flow", target_id=chat, calls_a_minute=1)
    holder.predict(chat, "Hi")
    root, name = holder.http.base_url.copy_with(path="/"), holder.http.get(f"/chatflows/{chat}").json()["objectId"]

    stepflow = holder.http.post(f"{root}api/stepflow/trigger/{chat}", json={"question": "Hi"})
    interactly = holder.http.post(f"{root}workflows/v1/workflow-runs", json={"workflow_id": name})

    assert stepflow.status_code == 429, stepflow.text
    assert stepflow.json()["code"] == "TOO_MANY_REQUESTS"
    assert interactly.status_code == 429, interactly.text
    assert set(interactly.json()) == {"detail"}


def test_who_may_ask_no_more_may_still_stop_what_they_began_but_not_for_ever(
    visitor: Caller, public_chat: str, limited: Limited
) -> None:
    limited("address", calls_a_minute=2)
    asked = [visitor.predict(public_chat, "Hi").status_code for _ in range(3)]

    stopped = [visitor.http.put(f"/chatmessage/abort/{public_chat}/mine").status_code for _ in range(3)]

    assert asked == [200, 200, 429]
    assert stopped == [200, 200, 429]


def test_who_is_not_let_in_uses_up_nothing_of_the_flows(
    holder: Caller, visitor: Caller, neighbour: Caller, chat: str, limited: Limited
) -> None:
    limited("flow", target_id=chat, calls_a_minute=1)

    refused = [caller.predict(chat, "Hi").status_code for caller in (visitor, neighbour) for _ in range(2)]

    assert refused == [401, 401, 404, 404]
    assert holder.predict(chat, "Hi").status_code == 200


def test_who_is_not_let_in_is_limited_by_their_address(visitor: Caller, chat: str, limited: Limited) -> None:
    limited("address", calls_a_minute=1)

    assert [visitor.predict(chat, "Hi").status_code for _ in range(2)] == [401, 429]


@pytest.mark.parametrize("what", ["fork", "retry", "resume"])
def test_a_run_that_is_started_again_is_a_call_of_its_flow(
    holder: Caller, agent: str, limited: Limited, what: str
) -> None:
    run = holder.answer(agent, "Hi")["executionId"]
    limited("flow", target_id=agent, calls_a_minute=1)

    statuses = [holder.http.post(f"/executions/{run}/{what}", json={}).status_code for _ in range(2)]

    assert statuses[0] in (201, 409)
    assert statuses[1] == 429


def test_a_webhooks_calls_are_calls_of_its_flow(holder: Caller, agent: str, limited: Limited) -> None:
    fields = {"name": "Orders", "chatflowId": agent, "type": "webhook", "triggerMessage": "Hi"}
    url = holder.http.post("/triggers", json=fields).json()["webhookUrl"]
    limited("flow", target_id=agent, calls_a_minute=1)

    assert [httpx.post(url, json={}).status_code for _ in range(2)] == [202, 429]


def test_looking_at_runs_counts_for_the_key_at_every_door(
    platform: Platform, holder: Caller, agent: str, limited: Limited
) -> None:
    fresh = holder.http.post("/apikey", json={"keyName": "looking"}).json()
    run = holder.answer(agent, "Hi")["executionId"]
    limited("key", target_id=fresh["id"], calls_a_minute=1)

    url, headers = f"{platform.url}/api/stepflow/runs/run_{run.replace('-', '')}", {"X-API-Key": fresh["apiKey"]}

    assert [httpx.get(url, headers=headers).status_code for _ in range(2)] == [200, 429]
