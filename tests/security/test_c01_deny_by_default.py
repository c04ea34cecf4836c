"""Every route of the server, by every method, called by everybody: nobody gets more than the route's rule says."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from forjinn.checks import check_rules
from forjinn.core.permissions import BY_FLOW, MEMBER, OWN, PUBLIC, SIGNED_IN
from forjinn.route_table import DOCUMENT, put_into
from tests.security.walk import Call, World, calls, secrets_in
from workspaces.permissions import BUILT_IN

CALLS = calls()
REFUSED = (401, 403)
NO_IDS: dict[str, str] = {}

# What a body has to say for a call to be judged by whose things it names, and not by its shape.
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/prediction/{chatflow_id}": {"question": "Hi"},
    "/api/v1/retention/{chatflow_id}": {"days": 1},
    "/api/v1/document-store/chunks/{store_id}/{loader_id}/{chunk}": {"pageContent": "Mine"},
    "/api/v1/document-store/loader/process/{loader_id}": {"storeId": "{store_id}"},
    "/workflows/v1/workflows/{workflow_id}/execute": {"run_input": {"message": "Hi"}},
}
# Routes without an id in their address, whose bodies name things instead.
NAMED_IN_BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/document-store/loader/save": {"storeId": "{store_id}", "loaderId": "plainText"},
    "/api/v1/document-store/loader/preview": {"storeId": "{store_id}", "loaderId": "plainText"},
    "/api/v1/document-store/vectorstore/save": {"storeId": "{store_id}", "embeddingName": "openAIEmbeddings"},
    "/api/v1/document-store/vectorstore/update": {"storeId": "{store_id}", "embeddingName": "openAIEmbeddings"},
    "/api/v1/document-store/vectorstore/insert": {"storeId": "{store_id}"},
    "/api/v1/document-store/vectorstore/query": {"storeId": "{store_id}", "query": "x"},
    "/api/v1/triggers": {"name": "Mine", "type": "webhook", "chatflowId": "{chatflow_id}", "triggerMessage": "x"},
    "/workflows/v1/workflow-runs": {"workflow_id": "{workflow_id}", "run_input": {"message": "Hi"}},
}


def test_every_method_of_every_route_has_a_rule() -> None:
    assert {str(call) for call in CALLS} >= {
        "DELETE /api/v1/chatflows/{chatflow_id}",
        "POST /api/v1/prediction/{chatflow_id}",
        "POST /api/stepflow/trigger/{workflow_id}",
    }
    assert check_rules() == []


def test_a_route_without_a_rule_stops_the_start(settings: Settings) -> None:
    class Unruled:
        urlpatterns = [path("new", lambda request: HttpResponse())]

    settings.ROOT_URLCONF = Unruled

    assert [problem.id for problem in check_rules()] == ["forjinn.E010"]


def test_the_document_tells_the_rules_that_there_are() -> None:
    document = DOCUMENT.read_text()

    assert put_into(document) == document, "run `make openapi`"


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_stranger_without_a_key_gets_what_is_public_and_nothing_else(world: World, call: Call) -> None:
    answer = world.call(call, None, ids=world.ids_for(call), body=BODIES.get(call.path))

    if call.rule == PUBLIC:
        assert answer.status_code not in REFUSED
    elif "/webhook/" in call.path:
        assert answer.status_code in (401, 405)  # each webhook takes one method
    else:
        assert answer.status_code == (404 if call.path.startswith("/api/webhooks/") else 401)
    assert not secrets_in(answer, world.ids)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_foreign_key_finds_nothing(world: World, call: Call) -> None:
    ids = world.ids_for(call)
    named = NAMED_IN_BODIES.get(call.path) if call.method != "GET" else None
    body = filled(named or BODIES.get(call.path), ids)

    answer = world.call(call, world.foreign, ids=ids, body=body)

    if call.rule == OWN:
        assert answer.status_code in (401, 404)
    elif call.rule == SIGNED_IN:
        assert answer.status_code == 403
    elif call.rule in (PUBLIC, MEMBER):
        assert answer.status_code not in REFUSED
    elif named or ("{" in call.path and "{event" not in call.path):
        assert answer.status_code in ((400, 404) if named else (404, 405) if "/webhook/" in call.path else (404,))
    assert answer.status_code < 500
    assert not secrets_in(answer, ids)


def test_nothing_has_changed_for_all_that_strangers_tried(world: World) -> None:
    for call in CALLS:
        if call.method == "GET" and "{" in call.path and call.permissions and call.rule not in (OWN, PUBLIC):
            answer = world.call(call, world.keys["all"], ids=world.ids_for(call))
            assert answer.status_code in (200, 204), f"{call}: {answer.status_code}"


@pytest.mark.parametrize("way", ["key", "session"])
@pytest.mark.parametrize("role", BUILT_IN)
def test_a_role_may_do_what_it_says(world: World, role: str, way: str) -> None:
    wrong = {}
    key, session = (world.keys[role], "") if way == "key" else (None, world.people[role])
    for call in CALLS:
        # Only the flow itself says who may call it; elsewhere what is not there will do, and is not lost.
        ids = world.ids_for(call) if call.rule == BY_FLOW else NO_IDS
        answer = world.call(call, key, ids=ids, body=BODIES.get(call.path), session=session)
        if answer.status_code == 405:
            continue  # each webhook takes one method
        if (answer.status_code in REFUSED) == may(role, way, call) and call.rule not in (PUBLIC, OWN):
            wrong[str(call)] = answer.status_code

    assert not wrong


@pytest.mark.parametrize("call", [call for call in CALLS if call.permissions], ids=str)
def test_the_least_key_opens_a_route_and_every_other_permission_does_not(world: World, call: Call) -> None:
    for permission in call.permissions:
        answer = world.call(call, world.keys[permission], ids=NO_IDS)
        assert answer.status_code not in REFUSED, permission

    refused = world.call(call, world.keys["no " + " ".join(call.permissions)], ids=NO_IDS)

    assert refused.status_code == 403
    assert call.permissions[0] in refused.text


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/Chatflows",
        "/API/v1/chatflows",
        "/api/v1/chatflows/",
        "/api/v1//chatflows",
        "/api/v1/%63hatflows",
        "/api/v1/x/../chatflows",
        "/api/v1/chatflows;a=b",
        "/api/v1/chatflows%2F",
        "/api/docs/../v1/chatflows",
        "/health/../api/v1/chatflows",
    ],
)
def test_another_spelling_opens_nothing(path: str) -> None:
    assert Client(raise_request_exception=False).get(path).status_code in (401, 404)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "headers",
    [
        {"x-request-from": "internal"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Origin": "http://localhost"},
        {"User-Agent": "internal"},
        {"Cookie": "token=eyJhbGciOiJub25lIn0.e30."},
    ],
)
def test_no_header_but_a_key_makes_anybody_known(headers: dict[str, str]) -> None:
    assert Client(raise_request_exception=False, headers=headers).get("/api/v1/chatflows").status_code == 401


def may(role: str, way: str, call: Call) -> bool:
    if call.rule == SIGNED_IN:
        return way == "session" and ("workspace:create" in BUILT_IN[role] or str(call) != "POST /api/v1/workspaces")
    if way == "session" and call.path.startswith("/api/stepflow/"):
        return call.rule == PUBLIC  # that API knows keys alone
    if call.rule in (MEMBER, PUBLIC):
        return True
    if call.rule == BY_FLOW:
        return "chatflows:execute" in BUILT_IN[role]
    return not BUILT_IN[role].isdisjoint(call.permissions)


def filled(body: dict[str, Any] | None, ids: dict[str, str]) -> dict[str, Any] | None:
    return body and {
        name: ids[value[1:-1]] if isinstance(value, str) and value.startswith("{") else value
        for name, value in body.items()
    }
