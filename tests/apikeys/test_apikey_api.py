"""API keys over HTTP: made, looked at, changed, deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apikeys.models import ApiKey
from apikeys.services import create_api_key, revoke_api_key
from chatflows.deployments import deploy
from chatflows.models import Deployment
from forjinn.core.times import iso_millis
from tests.cast import Api
from tests.factories import make_api_key, make_chatflow
from workspaces.models import Workspace


def make(api: Api, **fields: Any) -> dict[str, Any]:
    response = api.post("/apikey", {"keyName": "made", **fields})
    assert response.status_code == 200, response.content
    made: dict[str, Any] = response.json()
    return made


def test_a_made_key_opens_the_workspace_and_is_shown_this_once(api: Api) -> None:
    made = make(api, keyName="backend")

    read = api.get(f"/apikey/{made['id']}")
    assert made["apiKey"].startswith("fj-")
    assert Api(made["apiKey"]).get("/chatflows").status_code == 200
    assert (read.json()["keyName"], read.json()["apiKey"]) == ("backend", f"{made['apiKey'][:8]}…")
    assert made["apiKey"] not in api.get("/apikey").content.decode()


def test_an_answer_that_holds_a_key_is_not_stored_on_its_way(api: Api) -> None:
    assert api.post("/apikey", {"keyName": "made"}).headers["Cache-Control"] == "no-store"


def test_the_list_has_the_workspaces_keys_and_the_flows_tied_to_them(
    api: Api, workspace: Workspace, stranger: Workspace
) -> None:
    key, _ = make_api_key(workspace, "tied")
    make_api_key(stranger, "theirs")
    flow = make_chatflow(workspace, name="Greeter", category="Shop", apikey_id=key.pk)

    response = api.get("/apikey")

    assert [listed["keyName"] for listed in response.json()] == ["tied", "ci"]
    assert response.headers["X-Total-Count"] == "2"
    assert response.json()[0]["chatFlows"] == [
        {"id": str(flow.pk), "flowName": "Greeter", "category": "Shop", "updatedDate": iso_millis(flow.updated_at)}
    ]


def test_flows_that_a_caller_may_not_see_are_not_told(api: Api, workspace: Workspace) -> None:
    key, _ = make_api_key(workspace, "tied")
    make_chatflow(workspace, apikey_id=key.pk)
    clerk = Api(make(api, permissions=["apikeys:view"])["apiKey"])

    assert clerk.get(f"/apikey/{key.pk}").json()["chatFlows"] == []


def test_the_record_says_who_made_it(api: Api) -> None:
    assert make(api)["createdBy"] == "ci"


def test_a_change_keeps_what_it_does_not_name(api: Api) -> None:
    made = make(api, permissions=["chatflows:view"], origins=["https://shop.example"])

    changed = api.put(f"/apikey/{made['id']}", {"keyName": "renamed"}).json()

    assert (changed["keyName"], changed["permissions"]) == ("renamed", ["chatflows:view"])
    assert changed["origins"] == ["https://shop.example"]


def test_a_deleted_key_is_turned_away(api: Api) -> None:
    made = make(api)
    assert Api(made["apiKey"]).get("/chatflows").status_code == 200

    assert api.delete(f"/apikey/{made['id']}").json() == {"affected": 1}

    assert Api(made["apiKey"]).get("/chatflows").status_code == 401
    assert api.get(f"/apikey/{made['id']}").status_code == 404


def test_a_key_that_flows_are_tied_to_is_not_deleted(api: Api, workspace: Workspace) -> None:
    key, raw = make_api_key(workspace, "tied")
    make_chatflow(workspace, name="Greeter", apikey_id=key.pk)

    refused = api.delete(f"/apikey/{key.pk}")

    assert refused.status_code == 409
    assert "Greeter" in refused.json()["message"]
    assert Api(raw).get("/chatflows").status_code == 200


def test_with_its_key_a_deployment_goes(api: Api, workspace: Workspace) -> None:
    deployment, _ = deploy(chatflow=make_chatflow(workspace), name="app")

    assert api.delete(f"/apikey/{deployment.apikey_id}").status_code == 200

    assert not Deployment.objects.exists()


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/rotate")])
def test_a_strangers_key_is_as_unknown_as_none(api: Api, stranger: Workspace, method: str, rest: str) -> None:
    theirs, raw = make_api_key(stranger)

    known = api.call(method, f"/apikey/{theirs.pk}{rest}", {})
    unknown = api.call(method, f"/apikey/00000000-0000-7000-8000-000000000000{rest}", {})

    assert known.status_code == unknown.status_code == 404
    assert known.json()["message"].replace(str(theirs.pk), "") == "Api key  not found"
    assert Api(raw).get("/chatflows").status_code == 200


def test_nobody_sets_what_the_server_sets(api: Api, workspace: Workspace, stranger: Workspace) -> None:
    forged = {
        "id": "0197a6c0-0000-7000-8000-000000000000",
        "workspaceId": str(stranger.pk),
        "workspace_id": str(stranger.pk),
        "createdBy": "somebody else",
        "createdAt": "2001-01-01T00:00:00Z",
        "prefix": "fj-00000",
        "digest": "0" * 64,
        "lastUsedAt": "2001-01-01T00:00:00Z",
        "revokedAt": "2001-01-01T00:00:00Z",
        "previousUntil": "2099-01-01T00:00:00Z",
        "previous_digest": "0" * 64,
    }

    made = make(api, **forged)
    api.put(f"/apikey/{made['id']}", forged)

    row = ApiKey.objects.get(pk=made["id"])
    assert (row.workspace_id, row.created_by, row.prefix) == (workspace.pk, "ci", made["apiKey"][:8])
    assert (row.previous_digest, row.previous_until, row.revoked_at) == (None, None, None)
    assert row.created_at.year > 2001


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"keyName": ""}, "keyName: must not be empty"),
        ({"keyName": "n" * 201}, "keyName: at most 200 characters, got 201"),
        ({"keyName": "two\nlines"}, "keyName: expected one line without control characters"),
        ({"kind": "deployment"}, 'kind: "deployment" is not a valid choice.'),
        ({"permissions": []}, "permissions: expected 1 to 60, got 0; null for no limit"),
        ({"permissions": "chatflows:view"}, "permissions: expected an array, got text"),
        ({"permissions": ["chatflows:fly"]}, "permissions: there is no chatflows:fly"),
        ({"flows": [7]}, "flows: expected texts in the array"),
        ({"flows": ["nope"]}, "flows: expected ids of flows in the array"),
        ({"environments": ["a b"]}, "environments: 'a b' is none: up to 60 letters, digits, dots, hyphens"),
        ({"origins": ["shop.example"]}, "origins: 'shop.example' is none: a scheme, a host, perhaps a port"),
        ({"origins": ["*"]}, "origins: '*' is none: a scheme, a host, perhaps a port"),
        ({"origins": ["https://shop.example/page"]}, "origins: 'https://shop.example/page' is none"),
        ({"origins": ["null"]}, "origins: 'null' is none"),
        ({"expiresAt": 7}, "expiresAt: expected text, got a number"),
        ({"expiresAt": "0001-01-01T00:00:00+14:00"}, "expiresAt: "),
    ],
)
def test_what_makes_no_sense_is_named(api: Api, fields: dict[str, Any], told: str) -> None:
    refused = api.post("/apikey", {"keyName": "made", **fields})

    assert refused.status_code == 400
    assert refused.json()["message"].startswith(told)


def test_a_deployments_key_is_limited_by_its_deployment(api: Api, workspace: Workspace) -> None:
    deployment, _ = deploy(chatflow=make_chatflow(workspace), name="app")

    assert api.put(f"/apikey/{deployment.apikey_id}", {"keyName": "phone"}).json()["keyName"] == "phone"
    assert api.put(f"/apikey/{deployment.apikey_id}", {"permissions": ["chatflows:view"]}).status_code == 422


def test_a_deployments_key_is_good_for_its_pages(api: Api, workspace: Workspace) -> None:
    deployment, raw = deploy(chatflow=make_chatflow(workspace, kind="AGENTFLOW"), name="app")
    api.put(f"/apikey/{deployment.apikey_id}", {"origins": ["https://shop.example"]})

    # What is asked for is wrong in both calls: who may not ask hears that first.
    refused, heard = (
        Api(raw).get("/runs/nonsense", Origin=origin)
        for origin in ("https://elsewhere.example", "https://shop.example")
    )

    assert (refused.status_code, heard.status_code) == (403, 400)


def test_a_good_key_is_verified_and_all_others_look_alike(api: Api, nobody: Api, workspace: Workspace) -> None:
    revoked, revoked_raw = make_api_key(workspace)
    revoke_api_key(key=revoked)
    _, expired_raw = create_api_key(workspace=workspace, name="old", expires_at=timezone.now() - timedelta(seconds=1))

    refused = [nobody.get(f"/verify/apikey/{raw}") for raw in (revoked_raw, expired_raw, f"fj-{'x' * 40}", "nonsense")]

    assert nobody.get(f"/verify/apikey/{api.key}").json() == "OK"
    assert {answer.status_code for answer in refused} == {401}
    assert {answer.json()["message"] for answer in refused} == {"Invalid API key"}
