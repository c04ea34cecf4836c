"""What Stepflow's API refuses, and that every refusal has its one shape."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory

from forjinn.core.errors import Unavailable
from forjinn.core.permissions import PUBLIC
from forjinn.core.refusals import server_error
from predictions.doors.stepflow import openapi, views
from predictions.doors.stepflow.refusals import stepflow_view
from predictions.pool import DatabaseAway
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, NewFlow
from tests.predictions.doors.stepflow_calls import Stepflow
from tests.predictions.doors.test_stepflow_runs import EVENT, ended, reached, saved

NOBODY = f"run_{'0' * 32}"


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that is a refusal in this API's shape."""
    body = answer.json()
    assert list(body) == ["error", "code"], body
    assert body["error"]
    return answer.status_code, body["code"]


@pytest.fixture(scope="module")
def flow_id(new_flow: NewFlow) -> str:
    return new_flow(drawing.flow([drawing.start()], []), type="AGENTFLOW")


@pytest.fixture(scope="module")
def triggered(stepflow: Stepflow, flow_id: str) -> dict[str, Any]:
    """The answer of the trigger of a run that has ended."""
    answer = stepflow.trigger(flow_id)
    ended(stepflow, answer["runId"])
    return answer


def form_flow() -> str:
    fields = [
        {"type": "string", "label": "Mail", "name": "email", "addOptions": "", "required": True},
        {"type": "number", "label": "Guests", "name": "guests", "addOptions": ""},
    ]
    return drawing.flow([drawing.start(startInputType="formInput", formInputTypes=fields)], [])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/trigger/welcome-user"),
        ("GET", f"/runs/{NOBODY}"),
        ("GET", f"/runs/{NOBODY}/stream"),
        ("POST", "/notify/payment-received"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": f"fj-{'x' * 40}"},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic eDp5"},
        {"X-API-Key": ""},
    ],
)
def test_without_a_good_key_nothing_is_done(keyless: Stepflow, method: str, path: str, headers: dict[str, str]) -> None:
    answer = keyless.http.request(method, path, headers=headers)

    assert refused(answer) == (401, "UNAUTHORIZED")


def test_a_key_is_taken_from_either_header_and_a_bad_one_is_not_rescued(
    platform: Platform, keyless: Stepflow, flow_id: str
) -> None:
    good, bad = platform.api_key, "fj-bad"
    sent: list[dict[str, str]] = [
        {"X-API-Key": good},
        {"Authorization": f"Bearer {good}"},
        {"X-API-Key": bad, "Authorization": f"Bearer {good}"},
    ]

    answers = [keyless.http.post(f"/trigger/{flow_id}", headers=headers) for headers in sent]

    assert [answer.status_code for answer in answers] == [200, 200, 401]


def test_a_deployments_key_opens_nothing_here(keyless: Stepflow, flow_id: str) -> None:
    answer = keyless.http.post(f"/trigger/{flow_id}", headers={"X-API-Key": f"cf_{'x' * 40}"})

    assert refused(answer) == (401, "UNAUTHORIZED")


def test_a_runs_token_shows_that_run_and_does_nothing_else(
    keyless: Stepflow, stepflow: Stepflow, flow_id: str, triggered: dict[str, Any]
) -> None:
    token = {"token": triggered["publicAccessToken"]}
    other = stepflow.trigger(flow_id)["runId"]

    shown = keyless.http.get(f"/runs/{triggered['runId']}", params=token)
    followed = keyless.http.get(f"/runs/{triggered['runId']}/stream", params=token)
    elsewhere = [
        keyless.http.get(f"/runs/{other}", params=token),
        keyless.http.get(f"/runs/{other}/stream", params=token),
        keyless.http.get("/runs/run_1", params=token),
        keyless.http.post(f"/trigger/{flow_id}", params=token),
        keyless.http.post("/notify/payment-received", params=token),
        keyless.http.get(f"/runs/{triggered['runId']}", params={"token": token["token"][:-1] + "é"}),
        keyless.http.get(f"/runs/{triggered['runId']}", params={"token": ""}),
    ]

    assert shown.json() == stepflow.run(triggered["runId"])
    assert followed.text.endswith("\n\n")
    assert [refused(answer) for answer in elsewhere] == [(401, "UNAUTHORIZED")] * len(elsewhere)


def test_a_token_expires_a_day_after_its_run_was_triggered(
    keyless: Stepflow, stepflow: Stepflow, inside: Inside, triggered: dict[str, Any]
) -> None:
    copied = """
from datetime import timedelta
from uuid import UUID
from django.utils import timezone
from predictions.doors.stepflow.access import token_of
from predictions.models import Execution
tokens = []
for hours in (23, 25):
    run = Execution.objects.get(pk={run!r})
    millis = int((timezone.now() - timedelta(hours=hours)).timestamp() * 1000)
    run.pk = UUID(int=(millis << 80) | (run.pk.int & ((1 << 80) - 1)))
    run.object_id = None
    run.save(force_insert=True)
    tokens.append(["run_" + run.pk.hex, token_of(run.pk)])
print(json.dumps(tokens))
"""
    young, old = inside(copied.format(run=triggered["runId"][4:]))

    answers = [keyless.http.get(f"/runs/{run_id}", params={"token": token}) for run_id, token in (young, old)]

    assert answers[0].status_code == 200
    assert refused(answers[1]) == (401, "UNAUTHORIZED")
    assert stepflow.http.get(f"/runs/{old[0]}").status_code == 200


def test_a_token_ends_with_the_key_that_triggered_its_run(
    platform: Platform, keyless: Stepflow, holder: Caller, flow_id: str
) -> None:
    key = holder.http.post("/apikey", json={"keyName": "leaked"}).json()
    with Stepflow(platform.url, key["apiKey"]) as client:
        triggered = client.trigger(flow_id)
    token = {"token": triggered["publicAccessToken"]}
    before = keyless.http.get(f"/runs/{triggered['runId']}", params=token).status_code

    assert holder.http.delete(f"/apikey/{key['id']}").status_code == 200

    assert before == 200
    assert refused(keyless.http.get(f"/runs/{triggered['runId']}", params=token)) == (401, "UNAUTHORIZED")


def test_another_workspaces_flows_and_runs_are_not_there(
    foreigner: Stepflow, stepflow: Stepflow, new_flow: NewFlow, flow_id: str, triggered: dict[str, Any]
) -> None:
    event = f"payment-{uuid4().hex}"
    waits = new_flow(drawing.waiting_flow(EVENT, {"waitEventName": event}, "Paid"), type="AGENTFLOW")
    stepflow.trigger(waits)

    assert refused(foreigner.http.post(f"/trigger/{flow_id}")) == (404, "WORKFLOW_NOT_FOUND")
    assert refused(foreigner.http.get(f"/runs/{triggered['runId']}")) == (404, "RUN_NOT_FOUND")
    assert refused(foreigner.http.get(f"/runs/{triggered['runId']}/stream")) == (404, "RUN_NOT_FOUND")
    assert refused(foreigner.http.post(f"/notify/{event}")) == (404, "EVENT_NOT_FOUND")


@pytest.mark.parametrize(
    "run_id", [NOBODY, "run_abc123", NOBODY.removeprefix("run_"), f"run_{'G' * 32}", f"run_{'A' * 32}"]
)
@pytest.mark.parametrize("suffix", ["", "/stream"])
def test_a_run_that_is_not_there_is_not_found(stepflow: Stepflow, run_id: str, suffix: str) -> None:
    assert refused(stepflow.http.get(f"/runs/{run_id}{suffix}")) == (404, "RUN_NOT_FOUND")


def test_a_flow_is_found_by_slug_id_and_object_id(stepflow: Stepflow, holder: Caller, flow_id: str) -> None:
    flow = holder.http.get(f"/chatflows/{flow_id}").json()

    runs = [stepflow.run(stepflow.trigger(name)["runId"]) for name in (flow_id, flow["slug"], flow["objectId"])]

    assert {run["workflowId"] for run in runs} == {flow["slug"]}


def test_a_flow_that_is_missing_or_not_deployed_is_not_found(
    stepflow: Stepflow, holder: Caller, new_flow: NewFlow
) -> None:
    _, slug = saved(new_flow, holder, drawing.flow([drawing.start()], []), deployed=False)

    hidden = stepflow.http.post(f"/trigger/{slug}")

    assert refused(hidden) == (404, "WORKFLOW_NOT_FOUND")
    assert "not deployed" in hidden.json()["error"]
    assert refused(stepflow.http.post("/trigger/no-such-flow")) == (404, "WORKFLOW_NOT_FOUND")
    assert refused(stepflow.http.post("/trigger/%00")) == (404, "WORKFLOW_NOT_FOUND")


def test_input_that_does_not_fit_the_form_is_refused_field_by_field(stepflow: Stepflow, new_flow: NewFlow) -> None:
    flow_id = new_flow(form_flow(), type="AGENTFLOW")

    wrong = stepflow.http.post(f"/trigger/{flow_id}", json={"guests": "many"})
    right = stepflow.trigger(flow_id, {"email": "a@example.com", "guests": 2, "more": [1]})

    assert refused(wrong) == (400, "INVALID_INPUT")
    assert wrong.json()["error"] == "email is required; guests must be a number"
    over = ended(stepflow, right["runId"])
    assert over["input"] == {"email": "a@example.com", "guests": 2, "more": [1]}


@pytest.mark.parametrize(
    "body", ["{", "[1]", '"text"', "null", "1", r'{"a": "\u0000"}', '{"a":' * 300 + "1" + "}" * 300, b"\xff"]
)
def test_a_body_that_is_no_json_object_starts_nothing(stepflow: Stepflow, flow_id: str, body: str | bytes) -> None:
    answer = stepflow.http.post(f"/trigger/{flow_id}", content=body)

    assert refused(answer) == (400, "INVALID_INPUT")


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_no_body_is_an_empty_input(stepflow: Stepflow, flow_id: str, body: bytes) -> None:
    answer = stepflow.http.post(f"/trigger/{flow_id}", content=body)

    assert stepflow.run(answer.json()["runId"])["input"] == {}


def test_an_event_that_nobody_waits_for_is_not_found(stepflow: Stepflow) -> None:
    assert refused(stepflow.http.post("/notify/payment-received", json={})) == (404, "EVENT_NOT_FOUND")
    assert refused(stepflow.http.post("/notify/%00", json={})) == (404, "EVENT_NOT_FOUND")
    assert refused(stepflow.http.post("/notify/payment-received", content=b"{")) == (400, "INVALID_INPUT")


def test_an_event_reaches_every_run_that_waits_for_it(stepflow: Stepflow, new_flow: NewFlow) -> None:
    event = f"orders/{uuid4().hex}"
    flow_id = new_flow(
        drawing.waiting_flow(EVENT, {"waitEventName": event}, "Paid {{ waitForEventAgentflow_0 }}"), type="AGENTFLOW"
    )
    runs = [stepflow.trigger(flow_id)["runId"] for _ in range(2)]
    for run_id in runs:
        reached(stepflow, run_id, "pending")

    answer = stepflow.http.post(f"/notify/{event}", json=[42])

    assert answer.json() == {"success": True}
    assert [ended(stepflow, run_id)["steps"][1]["result"]["eventData"] for run_id in runs] == [[42], [42]]


def test_one_key_starts_one_run(stepflow: Stepflow, flow_id: str) -> None:
    key = {"Idempotency-Key": uuid4().hex}

    answers = [stepflow.http.post(f"/trigger/{flow_id}", json={"a": 1}, headers=key) for _ in range(3)]
    other = stepflow.http.post(f"/trigger/{flow_id}", json={"a": 2}, headers=key)

    assert len({answer.text for answer in answers}) == 1
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, "true", "true"]
    assert refused(other) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_one_key_reports_an_event_once(stepflow: Stepflow, new_flow: NewFlow) -> None:
    event, key = f"payment-{uuid4().hex}", {"Idempotency-Key": uuid4().hex}
    flow_id = new_flow(drawing.waiting_flow(EVENT, {"waitEventName": event}, "Paid"), type="AGENTFLOW")
    reached(stepflow, stepflow.trigger(flow_id)["runId"], "pending")

    answers = [stepflow.http.post(f"/notify/{event}", json={"a": 1}, headers=key) for _ in range(2)]
    other = stepflow.http.post(f"/notify/{event}", json={"a": 2}, headers=key)

    assert [answer.json() for answer in answers] == [{"success": True}] * 2
    assert refused(other) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_the_flows_own_rate_limit_holds(stepflow: Stepflow, new_flow: NewFlow) -> None:
    limit = {"rateLimit": {"status": True, "limitMax": 1, "limitDuration": 60, "limitMsg": "Slowly"}}
    flow_id = new_flow(drawing.flow([drawing.start()], []), type="AGENTFLOW", apiConfig=json.dumps(limit))
    stepflow.trigger(flow_id)

    second = stepflow.http.post(f"/trigger/{flow_id}")

    assert refused(second) == (429, "TOO_MANY_REQUESTS")
    assert second.json()["error"] == "Slowly"
    assert int(second.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/trigger/a", "POST"),
        ("POST", "/runs/a", "GET"),
        ("DELETE", "/runs/a/stream", "GET"),
        ("PUT", "/notify/a", "POST"),
        ("POST", "/health", "GET"),
        ("POST", "/openapi.yaml", "GET"),
    ],
)
def test_another_method_is_refused(stepflow: Stepflow, method: str, path: str, allowed: str) -> None:
    answer = stepflow.http.request(method, path)

    assert refused(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize("path", ["", "/", "/runs", "/runs/", "/trigger/", "/openapi.json", "/trigger/a/b"])
def test_other_addresses_are_not_found(stepflow: Stepflow, path: str) -> None:
    assert refused(stepflow.http.get(path)) == (404, "NOT_FOUND")


@pytest.mark.parametrize("last", ["x", "1", "1.x", "1.2.over", "-1.2", "1.2.end.3", "1" * 10 + ".1", "²¹.1"])
def test_a_place_that_is_none_is_refused(stepflow: Stepflow, triggered: dict[str, Any], last: str) -> None:
    answer = stepflow.http.get(f"/runs/{triggered['runId']}/stream", params={"lastEventId": last})

    assert refused(answer) == (400, "INVALID_INPUT")


def test_a_body_that_is_too_large_is_refused(platform: Platform, stepflow: Stepflow, flow_id: str) -> None:
    answer = stepflow.http.post(f"/trigger/{flow_id}", content=b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))

    assert refused(answer) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(("failure", "said"), [(DatabaseAway(), "UNAVAILABLE"), (Unavailable("Away"), "UNAVAILABLE")])
def test_what_is_away_is_told_in_this_shape(failure: Exception, said: str) -> None:
    @stepflow_view(GET=PUBLIC)
    async def view(request: Any) -> Any:
        raise failure

    answer = asyncio.run(view(RequestFactory().get("/api/stepflow/x")))

    assert isinstance(answer, HttpResponse)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (503, said)
    assert answer.headers["Retry-After"]


def test_a_defect_is_told_in_this_shape() -> None:
    request = RequestFactory().get("/api/stepflow/x")

    @stepflow_view(GET=PUBLIC)
    async def view(request: Any) -> Any:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError):
        asyncio.run(view(request))

    answer = server_error(request)
    assert isinstance(answer, HttpResponse)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (500, "INTERNAL_ERROR")


def test_health_is_public_and_has_the_published_fields(keyless: Stepflow) -> None:
    answer = keyless.http.get("/health")

    assert answer.status_code == 200
    assert list(answer.json()) == ["status", "timestamp"]
    assert answer.json()["status"] == "ok"
    assert answer.json()["timestamp"].endswith("Z")


def test_a_server_without_its_database_is_not_healthy() -> None:
    # Outside of a server there is neither database nor broker.
    answer = asyncio.run(views.health(RequestFactory().get("/api/stepflow/health")))

    assert isinstance(answer, HttpResponse)
    assert answer.status_code == 503
    assert json.loads(answer.content)["status"] == "error"


def test_the_document_describes_this_api_and_no_other(keyless: Stepflow, platform: Platform) -> None:
    answer = keyless.http.get("/openapi.yaml")
    document = yaml.safe_load(answer.text)
    whole = platform.call("GET", "/api/v1/openapi.json", key=None).json()["paths"]

    assert answer.headers["Content-Type"] == "application/yaml"
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "/api/stepflow"}]
    assert list(document["paths"]) == list(openapi.OPERATIONS)
    described = {
        operation["operationId"]
        for path, methods in whole.items()
        if "/stepflow/" in path
        for operation in methods.values()
    }
    assert described == {one["operationId"] for methods in openapi.OPERATIONS.values() for one in methods.values()}


def test_browsers_may_send_the_key(platform: Platform) -> None:
    asked = {
        "Origin": "https://app.example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key,content-type",
    }

    answer = httpx.options(f"{platform.url}/api/stepflow/trigger/a", headers=asked)

    assert answer.status_code == 200
    assert "x-api-key" in answer.headers["Access-Control-Allow-Headers"]
