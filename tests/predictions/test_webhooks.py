"""`POST /api/webhooks/{token}`: who may start runs by it, with what, and how often."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.journeys.stage import wait_for
from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow

ORDER = {"customer": {"email": "ann@example.com"}, "amount": 7, "internal": "not for the flow"}


class Hook:
    """A webhook trigger, and whoever calls it."""

    def __init__(self, holder: Caller, flow_id: str, **fields: Any) -> None:
        body = {"name": "Orders", "chatflowId": flow_id, "type": "webhook", **fields}
        made = holder.http.post("/triggers", json=body)
        assert made.status_code == 201, made.text
        self.holder = holder
        self.id = made.json()["id"]
        self.url = made.json()["webhookUrl"]

    def call(self, body: Any = ORDER, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return httpx.post(
            self.url, content=content, headers=[(b"Content-Type", b"application/json"), *named], timeout=30
        )

    @property
    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.holder.http.get(f"/triggers/{self.id}/executions").json()
        return found

    @property
    def count(self) -> int:
        return int(self.holder.http.get(f"/triggers/{self.id}").json()["executionCount"])

    def ended(self) -> dict[str, Any]:
        """Its one run, once that has ended."""
        wait_for(lambda: [run["state"] for run in self.runs] in (["FINISHED"], ["ERROR"]), "the webhook's run")
        return self.runs[0]


def sign(secret: str, body: bytes, prefix: str = "") -> str:
    return prefix + hmac.new(secret.encode(), body, "sha256").hexdigest()


@pytest.fixture
def hook(holder: Caller, agent: str) -> Hook:
    return Hook(holder, agent, inputMapping={"question": "customer.email"})


def test_a_call_starts_a_run_with_what_the_mapping_names(hook: Hook, model: ScriptedModel) -> None:
    answer = hook.call()

    assert answer.status_code == 202
    run = hook.ended()
    assert answer.json() == {"run_id": f"run_{run['id'].replace('-', '')}", "status": "pending"}
    assert run["output"]["text"] == "You said: ann@example.com"
    assert "not for the flow" not in str(model.requests)
    assert hook.count == 1


def test_a_flow_that_begins_with_a_webhook_sees_the_whole_call(holder: Caller, new_flow: NewFlow) -> None:
    told = drawing.reply(0, "{{ $webhook.body.amount }} {{ $webhook.headers.x-shop }} {{ $webhook.headers.cookie }}")
    flow = drawing.flow(
        [drawing.start(startInputType="webhookTrigger"), told],
        drawing.path("startAgentflow_0", "directReplyAgentflow_0"),
    )
    hook = Hook(holder, new_flow(flow, type="AGENTFLOW"))

    hook.call(X_Shop="north", Cookie="session=1")

    assert hook.ended()["output"]["text"].startswith("7 north ")
    assert "session=1" not in str(hook.runs)


def test_mapped_values_are_held_against_the_form(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    mapping = {"name": "customer.email", "guests": "amount", "meal": "meal"}
    hook = Hook(holder, new_flow(drawing.form_flow(model.url), type="AGENTFLOW"), inputMapping=mapping)

    refused = hook.call({"amount": "many", "meal": "tea"})

    assert refused.status_code == 422
    assert {problem["field"] for problem in refused.json()["errors"]} == {"name", "guests", "meal"}
    assert (hook.runs, hook.count) == ([], 0)
    assert hook.call({**ORDER, "meal": "lunch"}).status_code == 202
    assert hook.ended()["output"]["text"] == "You said: A table for 7, ann@example.com, lunch"


def test_a_flow_that_is_asked_nothing_is_not_started(holder: Caller, agent: str) -> None:
    assert Hook(holder, agent).call().json()["errors"][0]["field"] == "question"
    assert Hook(holder, agent, triggerMessage="What came in?").call().status_code == 202


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"[1]", 400), (b"{", 400), (b'"text"', 400), (b'{"a": "\\u0000"}', 400), (b" " * 262_145, 413)],
)
def test_what_is_no_small_json_object_is_refused(hook: Hook, body: bytes, status: int) -> None:
    refused = hook.call(body)

    assert refused.status_code == status
    assert list(refused.json()) == ["error"]
    assert hook.runs == []


def test_the_largest_body_is_taken(hook: Hook) -> None:
    small = json.dumps(ORDER).encode()

    assert hook.call(small + b" " * (262_144 - len(small))).status_code == 202


class TestAddress:
    """The token is the credential."""

    def test_an_unknown_address_is_not_found(self, platform: Platform) -> None:
        unknown = httpx.post(f"{platform.url}/api/webhooks/{'x' * 40}", json=ORDER)

        assert unknown.status_code == 404
        assert list(unknown.json()) == ["error"]

    def test_another_method_is_refused_in_the_same_shape(self, hook: Hook) -> None:
        refused = httpx.get(hook.url)

        assert refused.status_code == 405
        assert list(refused.json()) == ["error"]

    def test_the_former_address_stops_working_at_once(self, hook: Hook, holder: Caller) -> None:
        rotated = holder.http.post(f"/triggers/{hook.id}/rotate").json()

        assert hook.call().status_code == 404
        assert httpx.post(rotated["webhookUrl"], json=ORDER).status_code == 202

    @pytest.mark.parametrize("change", ["trigger", "flow"])
    def test_what_is_switched_off_is_not_found(self, hook: Hook, holder: Caller, agent: str, change: str) -> None:
        assert hook.call().status_code == 202
        if change == "trigger":
            holder.http.put(f"/triggers/{hook.id}", json={"enabled": False})
            assert hook.call().status_code == 404
        else:
            holder.http.put(f"/chatflows/{agent}", json={"deployed": False})
            wait_for(lambda: hook.call().status_code == 404, "the flow to be known as not deployed")


class TestSignature:
    """A webhook with a secret takes signed calls only."""

    @pytest.mark.parametrize("prefix", ["", "sha256="])
    def test_a_signed_call_is_taken(self, holder: Caller, agent: str, prefix: str) -> None:
        hook = Hook(holder, agent, triggerMessage="Hi", webhookSecret="s3cret")
        body = json.dumps(ORDER).encode()

        assert hook.call(body, X_Webhook_Signature=sign("s3cret", body, prefix)).status_code == 202
        assert hook.call(body, X_Webhook_Signature=sign("wrong", body, prefix)).status_code == 401
        assert hook.call(body + b" ", X_Webhook_Signature=sign("s3cret", body, prefix)).status_code == 401
        assert hook.call(body, X_Webhook_Signature="é").status_code == 401
        assert hook.call(body).status_code == 401
        assert hook.count == 1

    def test_a_signature_may_cover_the_time(self, holder: Caller, agent: str) -> None:
        hook = Hook(holder, agent, triggerMessage="Hi", webhookSecret="s3cret")
        body, now = json.dumps(ORDER).encode(), str(int(time.time()))
        signed = sign("s3cret", f"{now}.".encode() + body)

        assert hook.call(body, X_Webhook_Timestamp=now, X_Webhook_Signature=signed).status_code == 202
        other = str(int(now) + 1)
        assert hook.call(body, X_Webhook_Timestamp=other, X_Webhook_Signature=signed).status_code == 401
        assert hook.call(body, X_Webhook_Signature=signed).status_code == 401

    @pytest.mark.parametrize(
        ("platform_name", "header", "proof"),
        [
            ("github", "X-Hub-Signature-256", lambda body: sign("s3cret", body, "sha256=")),
            ("gitlab", "X-Gitlab-Token", lambda body: "s3cret"),
            ("telegram", "X-Telegram-Bot-Api-Secret-Token", lambda body: "s3cret"),
            (
                "shopify",
                "X-Shopify-Hmac-SHA256",
                lambda body: base64.b64encode(hmac.new(b"s3cret", body, hashlib.sha256).digest()).decode(),
            ),
        ],
    )
    def test_platforms_prove_it_their_own_way(
        self, holder: Caller, agent: str, platform_name: str, header: str, proof: Any
    ) -> None:
        hook = Hook(holder, agent, triggerMessage="Hi", webhookSecret="s3cret", webhookPlatform=platform_name)
        body = json.dumps(ORDER).encode()

        assert hook.call(body, **{header: proof(body)}).status_code == 202
        assert hook.call(body, **{header: "wrong"}).status_code == 401
        assert hook.call(body, X_Webhook_Signature=sign("s3cret", body)).status_code == 401


class TestReplay:
    """A call counts once, and not for ever."""

    @pytest.mark.parametrize("away_s", [-301, 301])
    def test_a_call_of_another_time_is_refused(self, hook: Hook, away_s: int) -> None:
        assert hook.call(X_Webhook_Timestamp=str(int(time.time()) + away_s)).status_code == 401
        assert hook.call(X_Webhook_Timestamp="yesterday").status_code == 401
        assert hook.call(X_Webhook_Timestamp=str(int(time.time()))).status_code == 202

    def test_a_delivery_counts_once(self, hook: Hook) -> None:
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: hook.call(X_Webhook_Id="d-1"), range(10)))

        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["run_id"] for answer in answers}) == 1
        assert (len(hook.runs), hook.count) == (1, 1)

    def test_one_id_for_two_bodies_is_a_mistake(self, hook: Hook) -> None:
        hook.call(X_Webhook_Id="d-2")

        refused = hook.call({**ORDER, "amount": 8}, X_Webhook_Id="d-2")

        assert refused.status_code == 422
        assert "errors" in refused.json()


def test_beyond_sixty_calls_a_minute_it_is_too_many(hook: Hook, holder: Caller, agent: str) -> None:
    other = Hook(holder, agent, triggerMessage="Hi")
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: hook.call(b"{").status_code, range(61)))

    refused = hook.call()

    assert sorted(statuses) == [400] * 60 + [429]
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert list(refused.json()) == ["error"]
    assert other.call().status_code == 202


def test_a_webhook_starts_as_many_runs_as_it_may(holder: Caller, agent: str) -> None:
    hook = Hook(holder, agent, triggerMessage="Hi", maxExecutions=3)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: hook.call().status_code, range(8)))

    assert sorted(statuses) == [202] * 3 + [409] * 5
    assert (len(hook.runs), hook.count) == (3, 3)
