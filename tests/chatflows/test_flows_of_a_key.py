"""From a raw key to the flows tied to it."""

from __future__ import annotations

from apikeys.services import create_api_key, revoke_api_key
from tests.cast import Api
from tests.factories import make_api_key, make_chatflow
from workspaces.models import Workspace


def test_a_raw_key_leads_to_the_flows_tied_to_it(api: Api, workspace: Workspace) -> None:
    key, raw = make_api_key(workspace)
    tied = make_chatflow(workspace, apikey_id=key.pk)
    make_chatflow(workspace)

    flows = api.get(f"/chatflows/apikey/{raw}").json()

    assert [flow["id"] for flow in flows] == [str(tied.pk)]
    assert flows[0]["apikeyid"] == str(key.pk)


def test_keyonly_tells_of_the_key_and_never_the_key(api: Api, workspace: Workspace) -> None:
    key, raw = make_api_key(workspace, name="widget")

    response = api.get(f"/chatflows/apikey/{raw}?keyonly=true")

    body = response.json()
    assert (body["id"], body["keyName"], body["prefix"]) == (str(key.pk), "widget", raw[:8])
    assert body["workspaceId"] == str(workspace.pk)
    assert raw not in response.content.decode()


def test_a_strangers_key_and_no_key_are_told_apart_by_nobody(api: Api, stranger: Workspace) -> None:
    _, foreign = make_api_key(stranger)

    known, unknown = api.get(f"/chatflows/apikey/{foreign}"), api.get(f"/chatflows/apikey/fj-{'x' * 40}")

    assert known.status_code == unknown.status_code == 404
    assert known.json()["message"] == unknown.json()["message"]
    assert foreign not in known.content.decode()


def test_a_revoked_key_is_not_found(api: Api, workspace: Workspace) -> None:
    key, raw = make_api_key(workspace)
    revoke_api_key(key=key)

    assert api.get(f"/chatflows/apikey/{raw}?keyonly").status_code == 404


def test_of_the_flows_tied_to_a_key_a_caller_sees_those_it_reaches(workspace: Workspace) -> None:
    key, raw = make_api_key(workspace)
    seen, _ = make_chatflow(workspace, apikey_id=key.pk), make_chatflow(workspace, apikey_id=key.pk)
    _, limited = create_api_key(workspace=workspace, name="limited", flows=[seen.pk])
    _, blind = create_api_key(workspace=workspace, name="blind", permissions=["executions:view"])

    assert [flow["id"] for flow in Api(limited).get(f"/chatflows/apikey/{raw}").json()] == [str(seen.pk)]
    assert Api(blind).get(f"/chatflows/apikey/{raw}").status_code == 403


def test_flows_that_need_no_key_are_none_of_a_keys(api: Api, workspace: Workspace, stranger: Workspace) -> None:
    _, raw = make_api_key(workspace)
    for flow in (make_chatflow(workspace), make_chatflow(stranger)):
        flow.is_public = flow.deployed = True
        flow.save()

    assert api.get(f"/chatflows/apikey/{raw}").json() == []
