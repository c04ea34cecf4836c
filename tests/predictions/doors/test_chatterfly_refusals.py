"""What Chatterfly's API refuses, in which words and shape, and who may see what."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import pytest

from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside
from tests.predictions.doors.chatterfly_calls import Client
from tests.predictions.doors.chatterfly_flows import INPUT, approval
from tests.predictions.doors.conftest import Deploy

UNKNOWN = "run_" + 32 * "0"
EXPIRED = """
from datetime import timedelta
from uuid import UUID
from predictions.doors.chatterfly import tokens
tokens.LIFETIME = timedelta(seconds=-1)
print(json.dumps(tokens.mint(run_id=UUID({run_id!r}), role="customer", deployment_id=UUID(int=0))))
"""
REVOKE = """
from apikeys.models import ApiKey, hash_key
from apikeys.services import revoke_api_key
revoke_api_key(key=ApiKey.objects.get(digest=hash_key({key!r})))
"""


@pytest.fixture(scope="session")
def booker(deploy: Deploy) -> Client:
    """A flow that declares its inputs."""
    return deploy(drawing.form_flow("http://127.0.0.1:9"))


def runs_of(holder: Caller, client: Client) -> int:
    return int(holder.http.get("/executions", params={"agentflowId": client.flow_id}).headers["X-Total-Count"])


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        (
            {"guests": "many", "meal": "supper"},
            [
                {"field": "name", "message": "is required"},
                {"field": "guests", "message": "must be a number"},
                {"field": "meal", "message": "must be one of lunch, dinner"},
            ],
        ),
        ({"name": "Alice", "guests": 2, "meal": "lunch", "note": "x" * 1_100_000}, None),
    ],
)
def test_an_input_that_does_not_fit_is_told_field_by_field_and_starts_nothing(
    booker: Client, holder: Caller, given: dict[str, Any], errors: list[dict[str, str]] | None
) -> None:
    before = runs_of(holder, booker)

    refused = booker.http.post("/runs", json={"input": given})

    assert refused.status_code == 422
    assert list(refused.json()) == ["errors"]
    assert errors is None or refused.json()["errors"] == errors
    assert runs_of(holder, booker) == before


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "The body is empty"),
        ("{", "The body is not valid JSON"),
        ("[]", "The body must be a JSON object"),
        ('{"input": []}', "input: expected an object"),
        ('{"connections": "x"}', "connections: expected an object"),
        ('{"hooks": {}}', "hooks: expected a list"),
        ('{"workflow_id": "wf_other"}', "workflow_id: the API key stands for another workflow"),
        (json.dumps({"input": {"a": "\0"}}), "input: the character NUL is not allowed"),
    ],
)
def test_a_body_that_is_malformed_is_refused(approver: Client, body: str, error: str) -> None:
    refused = approver.http.post("/runs", content=body)

    assert refused.status_code == 400
    assert list(refused.json()) == ["error"]
    assert error in refused.json()["error"]


def test_the_workflow_may_be_named_beside_the_key_that_names_it(approver: Client, holder: Caller) -> None:
    flow = holder.http.get(f"/agentflows/{approver.flow_id}").json()

    for name in (flow["id"], flow["slug"], flow["objectId"]):
        assert approver.start(INPUT, workflow_id=name)


@pytest.mark.parametrize(
    ("hook", "field"),
    [
        ("https://example.com", "hooks[0]"),
        ({}, "hooks[0].url"),
        ({"url": "http://example.com/hook"}, "hooks[0].url"),
        ({"url": "https://169.254.169.254/"}, "hooks[0].url"),
        ({"url": "https://example.com", "events": ["run.danced"]}, "hooks[0].events"),
        ({"url": "https://example.com", "secret": 7}, "hooks[0].secret"),
    ],
)
def test_a_hook_that_cannot_be_called_is_refused(approver: Client, hook: Any, field: str) -> None:
    refused = approver.http.post("/runs", json={"hooks": [hook]})

    assert refused.status_code == 422
    assert [problem["field"] for problem in refused.json()["errors"]] == [field]


def test_a_hook_is_kept_with_its_secret_sealed(approver: Client, inside: Inside) -> None:
    hook = {"url": "https://example.com/hook", "events": ["run.completed"], "secret": "quiet please"}

    run_id = approver.start(INPUT, hooks=[hook])

    kept = inside(
        "from predictions.models import Execution\nfrom forjinn.core.crypto import unseal\n"
        f"[hook] = Execution.objects.get(pk={run_id.removeprefix('run_')!r}).request['hooks']\n"
        "print(json.dumps([hook, unseal(hook['secret'])]))"
    )
    assert kept[1] == hook["secret"]
    assert "quiet" not in json.dumps(kept[0])
    assert {**kept[0], "secret": ""} == {**hook, "secret": ""}


@pytest.mark.parametrize(
    "header", [None, "Basic cf_x", "Bearer", "Bearer cf_" + 40 * "x", "Bearer fj-" + 40 * "x", "the platform's"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/runs"),
        ("GET", f"/runs/{UNKNOWN}"),
        ("GET", f"/runs/{UNKNOWN}/messages"),
        ("GET", f"/runs/{UNKNOWN}/stream"),
        ("POST", f"/runs/{UNKNOWN}/tokens"),
    ],
)
def test_a_call_without_a_deployments_key_is_refused(
    platform: Platform, method: str, path: str, header: str | None
) -> None:
    sent = f"Bearer {platform.api_key}" if header == "the platform's" else header
    headers = {"Authorization": sent} if sent else {}

    refused = httpx.request(method, f"{platform.url}/api/v1{path}", headers=headers)

    assert refused.status_code == 401
    assert list(refused.json()) == ["error"]
    assert "Bearer cf_" in refused.json()["error"]


@pytest.mark.parametrize("path", ["", "/messages", "/stream"])
def test_a_run_of_another_deployment_or_none_is_not_found(approver: Client, asker: Client, path: str) -> None:
    foreign = asker.start()

    for run_id in (foreign, UNKNOWN):
        refused = approver.http.get(f"/runs/{run_id}{path}")
        assert (refused.status_code, refused.json()) == (404, {"error": f"Run {run_id} not found"})
    assert approver.http.post(f"/runs/{foreign}/tokens", json={"role": "customer"}).status_code == 404
    assert approver.http.post(f"/runs/{foreign}/messages", json={"content": "Hi"}).status_code == 404


def test_a_run_that_another_door_started_is_not_found(approver: Client, holder: Caller) -> None:
    answer = holder.answer(approver.flow_id, "Hi")

    run_id = "run_" + answer["executionId"].replace("-", "")

    assert approver.http.get(f"/runs/{run_id}").status_code == 404


@pytest.mark.parametrize("run_id", ["7", "run_7", "run_" + 32 * "A", "run_" + 33 * "0"])
def test_what_is_no_id_is_malformed(approver: Client, run_id: str) -> None:
    refused = approver.http.get(f"/runs/{run_id}")

    assert refused.status_code == 400
    assert "expected run_ and 32 hexadecimal digits" in refused.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/runs", 405),
        ("PUT", f"/runs/{UNKNOWN}", 405),
        ("DELETE", f"/runs/{UNKNOWN}/messages", 405),
        ("GET", f"/runs/{UNKNOWN}/tokens", 405),
        ("GET", f"/runs/{UNKNOWN}/elsewhere", 404),
        ("POST", "/schema/workflow", 405),
    ],
)
def test_what_there_is_not_is_told_in_the_same_shape(approver: Client, method: str, path: str, status: int) -> None:
    refused = approver.http.request(method, path)

    assert refused.status_code == status
    assert list(refused.json()) == ["error"]


def test_a_body_that_is_too_large_is_told_in_the_same_shape(approver: Client) -> None:
    refused = approver.http.post("/runs", content=b'{"input": {"a": "' + b"x" * (51 * 1024 * 1024) + b'"}}')

    assert (refused.status_code, list(refused.json())) == (413, ["error"])


def test_a_plain_request_for_the_stream_is_told_to_upgrade(approver: Client) -> None:
    refused = approver.http.get(f"/runs/{approver.start()}/stream")

    assert (refused.status_code, refused.headers["Upgrade"]) == (426, "websocket")
    assert list(refused.json()) == ["error"]


def test_who_starts_too_often_is_told_when_to_come_back(deploy: Deploy) -> None:
    limit = {"status": True, "limitMax": 1, "limitDuration": 60, "limitMsg": "Slowly"}
    client = deploy(approval(), apiConfig=json.dumps({"rateLimit": limit}))

    client.start()
    refused = client.http.post("/runs", json={})

    assert (refused.status_code, refused.json()) == (429, {"error": "Slowly"})
    assert 0 < int(refused.headers["Retry-After"]) <= 60


def test_the_schema_of_workflows_is_open_to_everybody(platform: Platform) -> None:
    assert httpx.get(f"{platform.url}/api/v1/schema/workflow").json()["$schema"].startswith("https://json-schema.org")


def test_a_token_is_a_jwt_of_an_hour_for_its_run_and_role(approver: Client) -> None:
    run_id = approver.start()

    minted = approver.http.post(f"/runs/{run_id}/tokens", json={"role": "customer"})

    assert (minted.status_code, list(minted.json())) == (200, ["participant_token"])
    token = minted.json()["participant_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert (claims["run_id"], claims["role"], claims["exp"] - claims["iat"]) == (run_id, "customer", 3600)
    assert abs(claims["iat"] - time.time()) < 60


@pytest.mark.parametrize("role", [None, "", "  ", 7, "x" * 101])
def test_a_token_needs_a_role(approver: Client, role: object) -> None:
    refused = approver.http.post(f"/runs/{approver.start()}/tokens", json={"role": role})

    assert (refused.status_code, list(refused.json())) == (400, ["error"])


def test_a_participant_sees_how_far_their_run_is_and_what_was_said(approver: Client) -> None:
    run_id = approver.start({"question": "the letter", "discount": "secret"})
    approver.until(run_id, "waiting_for_input")

    participant = Client(approver.url, approver.token(run_id))

    with participant.http:
        shown = participant.look(run_id)
        assert (shown["status"], "state" in shown) == ("waiting_for_input", False)
        assert participant.messages(run_id) == approver.messages(run_id)
        assert participant.http.post("/runs", json={}).status_code == 401
        assert participant.http.post(f"/runs/{run_id}/tokens", json={"role": "admin"}).status_code == 401
        assert participant.http.post(f"/runs/{run_id}/messages", json={"decision": "proceed"}).status_code == 202
        assert participant.until(run_id)["status"] == "completed"


def test_a_token_that_is_old_or_changed_is_refused(approver: Client, inside: Inside) -> None:
    run_id = approver.start()
    good = approver.token(run_id)
    forged = jwt.encode(jwt.decode(good, options={"verify_signature": False}), "x" * 32, algorithm="HS256")
    unsigned = jwt.encode({"run_id": run_id, "role": "a", "exp": datetime.now(UTC)}, "", algorithm="none")
    old = inside(EXPIRED.format(run_id=run_id.removeprefix("run_")))

    for token in (forged, unsigned, old, f"{good}x"):
        refused = httpx.get(f"{approver.url}/api/v1/runs/{run_id}", headers={"Authorization": f"Bearer {token}"})
        assert (refused.status_code, list(refused.json())) == (401, ["error"])


def test_tokens_end_with_the_key_that_made_them(deploy: Deploy, inside: Inside) -> None:
    client = deploy(approval())
    run_id = client.start()
    participant = Client(client.url, client.token(run_id))

    with participant.http:
        assert participant.look(run_id)
        inside(REVOKE.format(key=client.key))
        assert participant.http.get(f"/runs/{run_id}").status_code == 401
