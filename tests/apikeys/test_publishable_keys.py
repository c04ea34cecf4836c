"""Keys that stand in pages: they ask one flow, from there."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import IntegrityError
from django.test import Client, RequestFactory

from apikeys.models import ApiKey
from chatflows.models import Chatflow
from forjinn.core.errors import AppError
from forjinn.core.scopes import request_scope
from predictions.admission import find_callable_flow
from predictions.views.api import read_caller
from tests.apikeys.test_apikey_api import make
from tests.cast import Api
from tests.factories import make_chatflow
from workspaces.models import Workspace

PAGE = "https://shop.example"


@pytest.fixture
def flow(workspace: Workspace) -> Chatflow:
    return make_chatflow(workspace, deployed=True)


@pytest.fixture
def page_key(api: Api, flow: Chatflow) -> str:
    made = make(api, kind="publishable", flows=[str(flow.pk)], origins=[PAGE])
    return str(made["apiKey"])


def asked(flow: Chatflow, key: str, origin: str | None = PAGE) -> int:
    """The status that a call to the flow would get before it runs."""
    headers = {"Authorization": f"Bearer {key}", **({"Origin": origin} if origin else {})}
    request = RequestFactory(headers=headers).post("/")

    async def ask() -> int:
        try:
            with request_scope():
                await find_callable_flow(str(flow.pk), await read_caller(request))
        except AppError as exc:
            return exc.status
        return 200

    return async_to_sync(ask)()


def test_a_publishable_key_may_ask_its_flow(api: Api, flow: Chatflow, page_key: str) -> None:
    listed = api.get("/apikey").json()[0]

    assert page_key.startswith("pk-")
    assert asked(flow, page_key) == 200
    assert (listed["kind"], listed["permissions"]) == ("publishable", ["chatflows:execute"])
    assert listed["flows"] == [str(flow.pk)]


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://shop.example", "null", None])
def test_it_is_good_for_its_pages_alone(flow: Chatflow, page_key: str, origin: str | None) -> None:
    assert asked(flow, page_key, origin) == 403


def test_other_flows_are_not_there_for_it(workspace: Workspace, stranger: Workspace, page_key: str) -> None:
    assert asked(make_chatflow(workspace, deployed=True), page_key) == 404
    assert asked(make_chatflow(stranger, deployed=True), page_key) == 404


def test_a_flow_that_is_tied_to_a_key_needs_that_key(api: Api, flow: Chatflow, page_key: str) -> None:
    made = make(api)
    api.put(f"/chatflows/{flow.pk}", {"apikeyid": made["id"]})

    assert asked(flow, page_key) == 401
    assert asked(flow, made["apiKey"]) == 200


def test_no_flow_is_tied_to_a_key_that_pages_show(api: Api, flow: Chatflow, page_key: str) -> None:
    key = ApiKey.objects.get(kind=ApiKey.Kind.PUBLISHABLE)

    assert api.put(f"/chatflows/{flow.pk}", {"apikeyid": str(key.pk)}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/chatflows"),
        ("GET", "/api/v1/chatflows/{flow}"),
        ("PUT", "/api/v1/chatflows/{flow}"),
        ("GET", "/api/v1/executions"),
        ("GET", "/api/v1/chatmessage/{flow}"),
        ("GET", "/api/v1/nodes"),
        ("GET", "/api/v1/apikey"),
        ("POST", "/api/v1/apikey"),
        ("POST", "/api/v1/vector/upsert/{flow}"),
        ("POST", "/api/stepflow/trigger/{flow}"),
        ("POST", "/workflows/v1/workflows/{flow}/execute"),
    ],
)
def test_it_opens_nothing_else(flow: Chatflow, page_key: str, method: str, path: str) -> None:
    page = Client(headers={"Authorization": f"Bearer {page_key}", "Origin": PAGE})

    response = page.generic(method, path.format(flow=flow.pk), b"{}", "application/json")

    assert response.status_code == 403
    assert "publishable" in response.content.decode()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"origins": None}, "origins: a publishable key lists the origins of its pages"),
        ({"flows": None}, "flows: a publishable key is for exactly one flow"),
        ({"permissions": ["chatflows:view"]}, "permissions: a publishable key has"),
    ],
)
def test_what_a_publishable_key_must_have_is_named(api: Api, flow: Chatflow, fields: dict[str, Any], told: str) -> None:
    good = {"keyName": "page", "kind": "publishable", "flows": [str(flow.pk)], "origins": [PAGE]}
    made = make(api, **good)

    for refused in (api.post("/apikey", {**good, **fields}), api.put(f"/apikey/{made['id']}", fields)):
        assert refused.status_code == 422
        assert refused.json()["message"].startswith(told)


def test_it_is_for_one_flow(api: Api, workspace: Workspace, flow: Chatflow) -> None:
    two = [str(flow.pk), str(make_chatflow(workspace).pk)]

    refused = api.post("/apikey", {"keyName": "page", "kind": "publishable", "flows": two, "origins": [PAGE]})

    assert refused.status_code == 422


def test_it_follows_its_page_to_an_agentflow(api: Api, workspace: Workspace, flow: Chatflow) -> None:
    made = make(api, kind="publishable", flows=[str(flow.pk)], origins=[PAGE])
    agents = make_chatflow(workspace, kind="AGENTFLOW", deployed=True)

    changed = api.put(f"/apikey/{made['id']}", {"flows": [str(agents.pk)]}).json()

    assert changed["permissions"] == ["agentflows:execute"]
    assert (asked(agents, made["apiKey"]), asked(flow, made["apiKey"])) == (200, 404)


def test_only_who_may_ask_a_flow_publishes_a_key_for_it(api: Api, flow: Chatflow) -> None:
    clerk = Api(make(api, permissions=["apikeys:create", "agentflows:execute"])["apiKey"])

    refused = clerk.post(
        "/apikey", {"keyName": "page", "kind": "publishable", "flows": [str(flow.pk)], "origins": [PAGE]}
    )

    assert refused.status_code == 403
    assert "chatflows:execute" in refused.json()["message"]


def test_the_database_keeps_no_publishable_key_without_limits(workspace: Workspace) -> None:
    with pytest.raises(IntegrityError, match="publishable_key_is_limited"):
        ApiKey.objects.create(workspace=workspace, name="open", kind=ApiKey.Kind.PUBLISHABLE, prefix="pk-", digest="0")
