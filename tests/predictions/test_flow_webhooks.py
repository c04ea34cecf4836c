"""`/api/v1/webhook/{flow}`: called and answered as the start node of the flow says."""

from __future__ import annotations

import hmac
import json
from typing import Any

import httpx
import pytest

from tests.journeys.stage import wait_for_log
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller, names, read_frames
from tests.predictions.conftest import NewFlow
from tests.predictions.receiver import Receiver

TOLD = "{{ startAgentflow_0.output.question }}"


def drawn(text: str = TOLD, **inputs: Any) -> str:
    start = drawing.start(startInputType="webhookTrigger", **inputs)
    return drawing.flow([start, drawing.reply(0, text)], drawing.path("startAgentflow_0", "directReplyAgentflow_0"))


class Hook:
    """The webhook of a flow, and whoever calls it."""

    def __init__(self, platform: Platform, holder: Caller, flow_id: str) -> None:
        self.flow_id = flow_id
        self.holder = holder
        self.url = f"{platform.url}/api/v1/webhook/{flow_id}"

    def call(self, body: Any = None, *, method: str = "POST", **rest: Any) -> httpx.Response:
        content = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        headers = {"Content-Type": "application/json", **rest.pop("headers", {})}
        return httpx.request(method, self.url, headers=headers, timeout=30, **content, **rest)

    @property
    def trigger(self) -> dict[str, Any]:
        found = self.holder.http.get("/triggers", params={"limit": 1000}).json()
        [own] = [trigger for trigger in found if trigger["chatflowId"] == self.flow_id]
        return dict(own)

    def set_secret(self, secret: str) -> None:
        changed = self.holder.http.put(f"/triggers/{self.trigger['id']}", json={"webhookSecret": secret})
        assert changed.status_code == 200, changed.text

    @property
    def runs(self) -> int:
        params = {"agentflowId": self.flow_id}
        return int(self.holder.http.get("/executions", params=params).headers["X-Total-Count"])


@pytest.fixture
def new_hook(platform: Platform, holder: Caller, new_flow: NewFlow) -> Any:
    """Makes a flow with a webhook that anybody may call, unless something else is said."""

    def create(text: str = TOLD, *, flow: dict[str, Any] | None = None, **inputs: Any) -> Hook:
        settings = {"webhookEnableAuth": False, **inputs}
        return Hook(platform, holder, new_flow(drawn(text, **settings), type="AGENTFLOW", **(flow or {})))

    return create


def test_a_call_is_answered_with_the_runs_answer(new_hook: Any) -> None:
    hook = new_hook(webhookDefaultInput="{{ $webhook.body.name }} wants {{ $webhook.query.what }}")

    answer = hook.call({"name": "Ann"}, params={"what": "tea"})

    assert answer.status_code == 200
    assert answer.json()["text"] == "Ann wants tea"
    assert {"chatId", "chatMessageId", "executionId"} <= set(answer.json())
    assert hook.trigger["executionCount"] == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_it_is_called_by_the_method_of_its_start(new_hook: Any, method: str) -> None:
    hook = new_hook("{{ $webhook.query.a }}", webhookMethod=method)

    refused = hook.call({})

    assert hook.call(method=method, params={"a": "1"}).json()["text"] == "1"
    assert refused.status_code == 405
    assert refused.headers["Allow"] == method


def test_another_kind_of_body_is_refused(new_hook: Any) -> None:
    hook = new_hook("{{ $webhook.body.a }}", webhookContentType="application/x-www-form-urlencoded")

    assert hook.call({"a": 1}).status_code == 415
    assert httpx.post(hook.url, data={"a": "1"}).json()["text"] == "1"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"a": "\\u0000"}', b"\xff"])
def test_what_is_no_json_object_is_refused(new_hook: Any, body: bytes) -> None:
    hook = new_hook()

    assert hook.call(body).status_code == 400
    assert hook.runs == 0


def test_the_whole_call_may_be_what_was_said(new_hook: Any) -> None:
    hook = new_hook(webhookInputMode="payload")

    answer = hook.call({"b": 1, "a": 2}, headers={"Authorization": "Bearer fj-0123456789abcdefghij"}).json()

    assert json.loads(answer["text"])["body"] == {"b": 1, "a": 2}
    assert list(json.loads(answer["question"])["body"]) == ["b", "a"]
    assert "fj-0123" not in json.dumps(answer)


class TestParameters:
    """What the start node says that calls must bring."""

    TABLES = {
        "webhookEnableValidation": True,
        "webhookQueryParams": [{"name": "shop", "required": True}],
        "webhookHeaderParams": [{"name": "X-Shop", "required": True}],
        "webhookBodyParams": [
            {"name": "id", "type": "number", "required": True},
            {"name": "tags", "type": "array[string]", "required": False},
            {"name": "more", "type": "object", "required": False},
        ],
    }

    @pytest.mark.parametrize(
        ("body", "query", "headers", "named"),
        [
            ({"id": 1}, {}, {"X-Shop": "n"}, "query parameter shop: required"),
            ({"id": 1}, {"shop": "n"}, {}, "header X-Shop: required"),
            ({}, {"shop": "n"}, {"X-Shop": "n"}, "body field id: required"),
            ({"id": "1"}, {"shop": "n"}, {"X-Shop": "n"}, "body field id: must be number"),
            ({"id": True}, {"shop": "n"}, {"X-Shop": "n"}, "body field id: must be number"),
            ({"id": 1, "tags": ["a", 1]}, {"shop": "n"}, {"X-Shop": "n"}, "body field tags: must be array[string]"),
            ({"id": 1, "more": []}, {"shop": "n"}, {"X-Shop": "n"}, "body field more: must be object"),
        ],
    )
    def test_a_call_that_lacks_something_is_told_what(
        self, new_hook: Any, body: Any, query: dict[str, str], headers: dict[str, str], named: str
    ) -> None:
        hook = new_hook(**self.TABLES)

        refused = hook.call(body, params=query, headers=headers)

        assert refused.status_code == 400
        assert refused.json()["message"] == named
        assert hook.runs == 0

    def test_a_whole_call_is_taken(self, new_hook: Any) -> None:
        body = {"id": 1.5, "tags": [], "more": {}}

        assert new_hook(**self.TABLES).call(body, params={"shop": "n"}, headers={"X-Shop": "n"}).status_code == 200

    def test_forms_write_numbers_as_text(self, new_hook: Any) -> None:
        rows = [{"name": "id", "type": "number", "required": True}, {"name": "ok", "type": "boolean"}]
        hook = new_hook(
            webhookContentType="application/x-www-form-urlencoded",
            webhookEnableValidation=True,
            webhookBodyParams=rows,
        )

        assert httpx.post(hook.url, data={"id": "-1.5", "ok": "true"}).status_code == 200
        assert httpx.post(hook.url, data={"id": "one"}).status_code == 400
        assert httpx.post(hook.url, data={"id": "1", "ok": "perhaps"}).status_code == 400


class TestWhoMayCall:
    """Verified, unless the author says otherwise."""

    def test_without_a_word_from_the_author_a_key_is_needed(
        self, new_hook: Any, platform: Platform, neighbour: Caller
    ) -> None:
        hook = new_hook(webhookEnableAuth="")

        assert hook.call({}).status_code == 401
        assert neighbour.http.post(f"/webhook/{hook.flow_id}", json={}).status_code == 404
        assert hook.call({}, headers={"Authorization": f"Bearer {platform.api_key}"}).status_code == 200

    def test_a_public_flow_needs_no_key(self, new_hook: Any) -> None:
        assert new_hook(webhookEnableAuth="", flow={"isPublic": True}).call({}).status_code == 200

    def test_who_shows_nothing_answers_no_run_of_who_does(
        self, platform: Platform, holder: Caller, new_flow: NewFlow
    ) -> None:
        start = {"startInputType": "webhookTrigger", "webhookEnableAuth": ""}
        flow_id = new_flow(drawing.approval_flow("Sent", **start), type="AGENTFLOW", isPublic=True)
        hook, key = Hook(platform, holder, flow_id), {"Authorization": f"Bearer {platform.api_key}"}
        hook.call({"chatId": "42"}, headers=key)
        answer = {"chatId": "42", "humanInput": {"type": "proceed"}}

        stranger, own = hook.call(answer), hook.call(answer, headers=key)

        assert stranger.status_code == 409
        assert own.json()["text"] == "Sent"

    def test_without_a_secret_nothing_can_be_verified(self, new_hook: Any, platform: Platform) -> None:
        hook = new_hook(webhookEnableAuth=True)

        refused = hook.call({}, headers={"Authorization": f"Bearer {platform.api_key}"})

        assert refused.status_code == 401
        assert hook.trigger["id"] in refused.json()["message"]

    @pytest.mark.parametrize("auth", [True, ""])
    @pytest.mark.parametrize("prefix", ["", "sha256=", "sha1="])
    def test_a_signed_call_is_taken(self, new_hook: Any, auth: Any, prefix: str) -> None:
        hook = new_hook("{{ $webhook.headers }}", webhookEnableAuth=auth, webhookSignatureHeader="X-Shop-Signature")
        hook.set_secret("s3cret")
        body = b'{"a": 1}'
        proof = prefix + hmac.new(b"s3cret", body, "sha256").hexdigest()

        answer = hook.call(body, headers={"X-Shop-Signature": proof})

        assert answer.status_code == 200
        assert proof not in answer.text
        assert hook.call(b'{"a": 2}', headers={"X-Shop-Signature": proof}).status_code == 401
        assert hook.call(body, headers={"X-Webhook-Signature": proof}).status_code == 401
        assert hook.call(body).status_code == 401

    def test_the_secret_itself_may_be_sent(self, new_hook: Any) -> None:
        hook = new_hook(webhookEnableAuth=True, webhookSignatureType="plain-token")
        hook.set_secret("s3cret")

        assert hook.call({}, headers={"X-Webhook-Signature": "s3cret"}).status_code == 200
        assert hook.call({}, headers={"X-Webhook-Signature": "s3cre"}).status_code == 401

    @pytest.mark.parametrize("kind", ["chatInput", "scheduleInput"])
    def test_a_flow_without_a_webhook_is_not_found(
        self, platform: Platform, holder: Caller, new_flow: NewFlow, kind: str
    ) -> None:
        hook = Hook(platform, holder, new_flow(drawing.started_by(kind), type="AGENTFLOW"))

        assert hook.call({}, headers={"Authorization": f"Bearer {platform.api_key}"}).status_code == 404

    def test_a_flow_that_is_not_deployed_is_not_found(self, new_hook: Any) -> None:
        assert new_hook(flow={"deployed": False}).call({}).status_code == 404


class TestAnswers:
    """Now, later, or as it comes."""

    def test_a_stream_is_the_predictions(self, new_hook: Any) -> None:
        answer = new_hook(webhookResponseMode="stream").call({})

        assert answer.headers["Content-Type"] == "text/event-stream"
        assert names(read_frames(answer.content))[-1] == "end"

    def test_later_means_at_the_callback(self, new_hook: Any) -> None:
        with Receiver() as receiver:
            hook = new_hook(
                "{{ $webhook.body.a }}",
                webhookResponseMode="async",
                callbackUrl=receiver.url,
                callbackSecret="c4llback",
            )

            accepted = hook.call({"a": 7, "chatId": "c-1"})
            call = receiver.next_call()

        assert (accepted.status_code, accepted.json()) == (202, {"chatId": "c-1", "status": "PROCESSING"})
        told = json.loads(call.body)
        assert (told["status"], told["chatId"], told["data"]["text"]) == ("SUCCESS", "c-1", "7")
        assert call.headers["x-flowise-signature"] == "sha256=" + hmac.new(b"c4llback", call.body, "sha256").hexdigest()

    def test_a_receiver_that_fails_is_told_again(self, new_hook: Any) -> None:
        with Receiver(500, 503) as receiver:
            new_hook(webhookResponseMode="async", callbackUrl=receiver.url).call({})

            calls = [receiver.next_call() for _ in range(3)]

        assert len({call.body for call in calls}) == 1
        assert "x-flowise-signature" not in calls[0].headers

    def test_a_failure_is_told_too(self, platform: Platform, holder: Caller, new_flow: NewFlow) -> None:
        with Receiver() as receiver:
            hook = Hook(platform, holder, new_flow(failing(callbackUrl=receiver.url), type="AGENTFLOW"))
            hook.call({})
            told = json.loads(receiver.next_call().body)

        assert told["status"] == "ERROR"
        assert told["error"]

    def test_a_run_that_waits_goes_on_by_the_webhook(
        self, platform: Platform, holder: Caller, new_flow: NewFlow
    ) -> None:
        asks = drawing.approval_flow("Sent", startInputType="webhookTrigger", webhookEnableAuth=False)
        hook = Hook(platform, holder, new_flow(asks, type="AGENTFLOW"))

        waiting = hook.call({"letter": "Hi"}).json()
        answer = {"chatId": waiting["chatId"], "humanInput": {"type": "proceed", "feedback": "Fine"}}
        answered = hook.call(answer)
        again = hook.call(answer)

        assert waiting["action"]
        assert answered.json()["text"] == "Sent"
        assert answered.json()["executionId"] == waiting["executionId"]
        assert again.status_code == 409
        assert hook.call({"humanInput": {"type": "proceed"}}).status_code == 400
        assert hook.call({"chatId": "c", "humanInput": {"type": "maybe"}}).status_code == 400

    def test_a_delivery_counts_once(self, new_hook: Any) -> None:
        hook = new_hook()

        first, second = (hook.call({"a": 1}, headers={"Idempotency-Key": "k"}) for _ in range(2))

        assert first.json() == second.json()
        assert second.headers["Idempotency-Replayed"] == "true"
        assert (hook.runs, hook.trigger["executionCount"]) == (1, 1)


def failing(**inputs: Any) -> str:
    """A webhook that answers later, whose flow cannot do what it is to."""
    start = drawing.start(
        startInputType="webhookTrigger", webhookEnableAuth=False, webhookResponseMode="async", **inputs
    )
    fails = drawing.llm_step("http://127.0.0.1:1/v1")
    return drawing.flow([start, fails], drawing.path("startAgentflow_0", "llmAgentflow_0"))


def test_a_callback_goes_nowhere_that_flows_may_not_call(platform: Platform, holder: Caller, new_flow: NewFlow) -> None:
    url = "http://127.0.0.2:9/told"  # only 127.0.0.1 is allowed here
    drawn_flow = drawn(webhookEnableAuth=False, webhookResponseMode="async", callbackUrl=url)
    hook = Hook(platform, holder, new_flow(drawn_flow, type="AGENTFLOW"))

    accepted = hook.call({})

    assert accepted.status_code == 202
    wait_for_log(platform, "worker", "callback failed")
    assert "127.0.0.2" in (platform.var / "log" / "worker.log").read_text()
