"""Who may ask a flow: every check, in the order that clients rely on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, Keys, NewFlow

UNKNOWN = "00000000-0000-7000-8000-000000000000"
PAGE = "https://shop.example"


@pytest.fixture
def change(holder: Caller) -> Callable[..., None]:
    """Changes a flow through the API."""

    def put(flow_id: str, **fields: Any) -> None:
        assert holder.http.put(f"/chatflows/{flow_id}", json=fields).status_code == 200

    return put


@pytest.fixture
def limited(new_flow: NewFlow, model: ScriptedModel) -> str:
    """Two questions in a minute, in its author's words."""
    limit = {"status": True, "limitMax": "2", "limitDuration": 60, "limitMsg": "Slow down, please."}
    return new_flow(drawing.conversation(model.url), apiConfig=json.dumps({"rateLimit": limit}), isPublic=True)


@pytest.fixture
def guarded(new_flow: NewFlow, model: ScriptedModel) -> str:
    """A public flow for one web page."""
    config = {"allowedOrigins": [PAGE], "allowedOriginsError": "Only from our shop."}
    return new_flow(drawing.conversation(model.url), chatbotConfig=json.dumps(config), isPublic=True)


def told(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["message"]


def test_beyond_the_rate_limit_the_author_is_heard(visitor: Caller, limited: str) -> None:
    answers = [visitor.predict(limited, "Hi") for _ in range(3)]

    refused = answers[2]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert refused.text == "Slow down, please."
    assert refused.headers["Content-Type"].startswith("text/plain")
    assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Remaining"]) == ("2", "0")
    assert 1 <= int(refused.headers["RateLimit-Reset"]) <= 60
    assert refused.headers["Retry-After"] == refused.headers["RateLimit-Reset"]


def test_the_rate_limit_comes_before_everything_else(visitor: Caller, limited: str) -> None:
    address = f"/prediction/{limited}"
    for _ in range(2):
        assert visitor.http.post(address).status_code == 412

    assert visitor.http.post(address).status_code == 429


def test_an_address_that_the_caller_only_claims_is_not_believed(visitor: Caller, limited: str) -> None:
    claims = [{"X-Forwarded-For": f"203.0.113.{number}", "Forwarded": f"for=203.0.113.{number}"} for number in range(3)]

    answers = [visitor.predict(limited, "Hi", headers=claim).status_code for claim in claims]

    assert answers == [200, 200, 429]


@pytest.mark.parametrize("limit", [{"status": False, "limitMax": 1, "limitDuration": 60}, {"limitMax": "", "x": 1}, 7])
def test_a_rate_limit_that_is_off_or_not_filled_in_limits_nothing(
    visitor: Caller, new_flow: NewFlow, model: ScriptedModel, limit: object
) -> None:
    config = json.dumps({"rateLimit": limit})
    flow_id = new_flow(drawing.conversation(model.url), apiConfig=config, isPublic=True)

    assert [visitor.predict(flow_id, "Hi").status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("flow_id", ["nonsense", UNKNOWN])
def test_a_missing_body_comes_before_the_id(holder: Caller, flow_id: str) -> None:
    assert holder.http.post(f"/prediction/{flow_id}").status_code == 412


@pytest.mark.parametrize("flow_id", ["nonsense", "1", "0" * 33, "%00", "x" * 5000])
def test_an_id_that_is_none_is_told_as_such(visitor: Caller, flow_id: str) -> None:
    assert told(visitor.predict(flow_id, "Hi")) == (400, "Invalid Chatflow ID")


def test_an_unknown_flow_is_not_found_with_or_without_a_key(holder: Caller, visitor: Caller) -> None:
    expected = (404, f"Chatflow {UNKNOWN} not found")

    assert told(holder.predict(UNKNOWN, "Hi")) == told(visitor.predict(UNKNOWN, "Hi")) == expected


def test_a_page_that_is_not_allowed_is_told_so_in_the_authors_words(visitor: Caller, guarded: str) -> None:
    elsewhere = {"Origin": "https://shop.example.evil.example"}

    whole = visitor.predict(guarded, "Hi", headers=elsewhere)
    streamed = visitor.predict(guarded, "Hi", headers=elsewhere, streaming=True)

    assert told(whole) == (403, "Only from our shop.")
    assert (streamed.status_code, streamed.text) == (403, "Only from our shop.")
    assert streamed.headers["Content-Type"].startswith("text/plain")


def test_without_the_authors_words_a_page_is_still_told(
    visitor: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    config = json.dumps({"allowedOrigins": ["shop.example"]})
    flow_id = new_flow(drawing.conversation(model.url), chatbotConfig=config, isPublic=True)

    refused = visitor.predict(flow_id, "Hi", headers={"Origin": "https://elsewhere.example"})

    assert told(refused) == (403, "This site is not allowed to access this chatbot")
    assert visitor.predict(flow_id, "Hi", headers={"Origin": PAGE}).status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": PAGE}, {}])
def test_the_allowed_page_and_programs_get_through(visitor: Caller, guarded: str, headers: dict[str, str]) -> None:
    assert visitor.predict(guarded, "Hi", headers=headers).status_code == 200


def test_a_flow_that_is_tied_to_a_key_takes_no_other(
    platform: Platform, holder: Caller, visitor: Caller, chat: str, keys: Keys, change: Callable[..., None]
) -> None:
    change(chat, apikeyid=keys.second.id, isPublic=True)

    with Caller(platform.url, keys.second.raw) as tied:
        missing, other, right = (caller.predict(chat, "Hi") for caller in (visitor, holder, tied))

    words = "Unauthorized: this chatflow needs the API key that it is tied to"
    assert told(missing) == told(other) == (401, words)
    assert missing.headers["WWW-Authenticate"].startswith("Bearer")
    assert right.status_code == 200


def test_a_private_flow_wants_a_key_that_is_good(platform: Platform, visitor: Caller, chat: str) -> None:
    assert told(visitor.predict(chat, "Hi")) == (401, "API key missing: send Authorization: Bearer <key>")
    with Caller(platform.url, f"fj-{'x' * 40}") as wrong:
        assert told(wrong.predict(chat, "Hi")) == (401, "Invalid API key")


def test_a_key_may_come_in_the_query(platform: Platform, visitor: Caller, chat: str) -> None:
    response = visitor.http.post(f"/prediction/{chat}", params={"apiKey": platform.api_key}, json={"question": "Hi"})

    assert response.status_code == 200


def test_a_public_flow_looks_at_no_key(platform: Platform, visitor: Caller, chat: str, change: Any) -> None:
    change(chat, isPublic=True)

    with Caller(platform.url, "nonsense") as wrong:
        assert visitor.predict(chat, "Hi").status_code == wrong.predict(chat, "Hi").status_code == 200


def test_a_neighbours_flow_is_as_unknown_as_one_that_does_not_exist(neighbour: Caller, chat: str) -> None:
    unknown, foreign = neighbour.predict(UNKNOWN, "Hi"), neighbour.predict(chat, "Hi")

    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["message"].replace(chat, UNKNOWN) == unknown.json()["message"]


def test_a_neighbours_run_is_as_unknown_as_one_that_does_not_exist(
    holder: Caller, neighbour: Caller, chat: str
) -> None:
    run = holder.answer(chat, "Hi")["executionId"]

    unknown, foreign = (neighbour.http.get(f"/executions/{one}/stream") for one in (UNKNOWN, run))

    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["message"].replace(run, UNKNOWN) == unknown.json()["message"]


def test_deploying_and_publishing_act_at_once(holder: Caller, visitor: Caller, chat: str, change: Any) -> None:
    def statuses() -> tuple[int, int]:
        return holder.predict(chat, "Hi").status_code, visitor.predict(chat, "Hi").status_code

    assert statuses() == (200, 401)
    change(chat, isPublic=True)
    assert statuses() == (200, 200)
    change(chat, deployed=False)
    assert statuses() == (404, 404)
    change(chat, deployed=True, isPublic=False)
    assert statuses() == (200, 401)


def test_a_flow_that_is_not_deployed_says_how_to_change_that(
    holder: Caller, neighbour: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    flow_id = new_flow(drawing.conversation(model.url), deployed=False)

    words = f"Chatflow {flow_id} is not deployed: set deployed to true to accept predictions"
    assert told(holder.predict(flow_id, "Hi")) == (404, words)
    assert told(neighbour.predict(flow_id, "Hi")) == (404, f"Chatflow {flow_id} not found")


def test_a_new_text_is_what_the_next_question_runs(
    holder: Caller, chat: str, model: ScriptedModel, change: Any
) -> None:
    holder.answer(chat, "Hi")

    change(chat, flowData=drawing.conversation(model.url, modelName="another"))
    holder.answer(chat, "Hi")

    assert [request.body["model"] for request in model.requests] == ["scripted", "another"]


def test_a_deleted_flow_is_gone_at_once(holder: Caller, chat: str) -> None:
    assert holder.predict(chat, "Hi").status_code == 200

    assert holder.http.delete(f"/chatflows/{chat}").status_code == 200

    assert told(holder.predict(chat, "Hi")) == (404, f"Chatflow {chat} not found")


@pytest.mark.parametrize(
    ("kind", "way"), [("webhookTrigger", "/api/v1/webhook/{}"), ("scheduleInput", "its schedule only")]
)
def test_a_flow_that_something_else_starts_says_what(holder: Caller, new_flow: NewFlow, kind: str, way: str) -> None:
    flow_id = new_flow(drawing.started_by(kind), type="AGENTFLOW")

    refused = holder.predict(flow_id, "Hi")

    assert told(refused) == (400, f"Chatflow {flow_id} is started through {way.format(flow_id)}")


def test_a_revoked_key_is_refused_within_a_second(platform: Platform, chat: str, keys: Keys, inside: Inside) -> None:
    revoke = f"""
from apikeys.models import ApiKey
from apikeys.services import revoke_api_key
revoke_api_key(key=ApiKey.objects.get(pk={keys.doomed.id!r}))
"""
    with Caller(platform.url, keys.doomed.raw) as caller:
        assert caller.predict(chat, "Hi").status_code == 200

        inside(revoke)
        revoked_at = time.monotonic()
        while caller.predict(chat, "Hi").status_code == 200:
            assert time.monotonic() - revoked_at < 1, "the key still works"

        assert told(caller.predict(chat, "Hi")) == (401, "Invalid API key")
