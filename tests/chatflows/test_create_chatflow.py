"""Saving a new flow."""

from __future__ import annotations

from typing import Any

import pytest

from chatflows.deployments import deploy
from chatflows.models import Chatflow, ChatflowVersion
from tests.cast import Api
from tests.factories import EMPTY_GRAPH, make_api_key, make_chatflow
from workspaces.models import Workspace

FLOW = {"name": "Customer Support Bot", "type": "CHATFLOW", "category": "Support", "flowData": EMPTY_GRAPH}
DEEP = "[" * 300 + "]" * 300


def test_a_new_flow_is_neither_deployed_nor_public(api: Api, workspace: Workspace) -> None:
    response = api.post("/chatflows", FLOW)

    body = response.json()
    assert response.status_code == 200
    assert body["name"] == "Customer Support Bot"
    assert body["type"] == "CHATFLOW"
    assert (body["deployed"], body["isPublic"]) == (False, False)
    assert body["workspaceId"] == str(workspace.pk)
    assert body["createdDate"] == body["updatedDate"]


def test_what_was_not_set_is_absent(api: Api) -> None:
    body = api.post("/chatflows", {"name": "Bot", "flowData": EMPTY_GRAPH}).json()

    assert body["type"] == "CHATFLOW"
    assert not body.keys() & {"displayName", "description", "category", "apikeyid", "chatbotConfig", "apiConfig"}


def test_dates_are_utc_with_milliseconds(api: Api) -> None:
    body = api.post("/chatflows", FLOW).json()

    assert len(body["createdDate"]) == len("2024-05-01T10:00:00.000Z")
    assert body["createdDate"][-5] == "."
    assert body["createdDate"].endswith("Z")


@pytest.mark.parametrize(
    "text",
    [
        '{"nodes":[],"edges":[]}',
        '\n{ "edges" : [ ],\t"nodes":[], "custom": {"b": 1, "a": 1.0} }\n',
        '{"nodes":[{"id":"x_0","data":{"name":"neverHeardOf","text":"\\u0000 \\ud83d\\ude00 ü"}}],"edges":[]}',
    ],
)
def test_flow_data_comes_back_byte_for_byte(api: Api, text: str) -> None:
    created = api.post("/chatflows", {"name": "Bot", "flowData": text}).json()

    assert created["flowData"] == text
    assert api.get(f"/chatflows/{created['id']}").json()["flowData"] == text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "name: must not be null"),
        ({"name": ""}, "name: must not be empty"),
        ({"name": 5}, "name: expected text, got a number"),
        ({"name": "n" * 256}, "name: at most 255 characters, got 256"),
        ({"name": "a\0b"}, "name: Null characters are not allowed."),
        ({"displayName": "d" * 101}, "displayName: at most 100 characters, got 101"),
        ({"description": "d" * 501}, "description: at most 500 characters, got 501"),
        ({"isPublic": "true"}, "isPublic: expected true or false, got text"),
        ({"isPublic": 1}, "isPublic: expected true or false, got a number"),
        ({"type": "WORKFLOW"}, "type: expected one of CHATFLOW, MULTIAGENT"),
        ({"type": None}, "type: expected one of CHATFLOW, MULTIAGENT"),
        ({"type": ["CHATFLOW"]}, "type: expected one of CHATFLOW, MULTIAGENT"),
        ({"flowData": {"nodes": [], "edges": []}}, "flowData: expected text, got an object"),
        ({"flowData": "{"}, "flowData: not valid JSON"),
        ({"flowData": "[]"}, "flowData: expected JSON text of an object"),
        ({"flowData": '{"nodes":[]}'}, "flowData: edges must be an array"),
        ({"flowData": '{"nodes":{},"edges":[]}'}, "flowData: nodes must be an array"),
        ({"flowData": '{"nodes":[1],"edges":[]}'}, "flowData: nodes[0] must be an object"),
        ({"flowData": f'{{"nodes":[],"edges":[],"x":{DEEP}}}'}, "flowData: nested deeper than 100 levels"),
        ({"chatbotConfig": "[]"}, "chatbotConfig: expected JSON text of an object"),
        ({"chatbotConfig": f'{{"x":{DEEP}}}'}, "chatbotConfig: nested deeper than 100 levels"),
        ({"apiConfig": f'{{"x":"{"x" * 100_000}"}}'}, "apiConfig: at most 100000 characters, got 100008"),
        ({"apiConfig": {"a": 1}}, "apiConfig: expected text, got an object"),
        ({"apikeyid": "nope"}, "apikeyid: expected an id"),
    ],
)
def test_a_wrong_value_is_refused_by_name(api: Api, change: dict[str, Any], message: str) -> None:
    response = api.post("/chatflows", {**FLOW, **change})

    assert response.status_code == 400
    assert response.json()["message"].startswith(message)
    assert not Chatflow.objects.exists()


@pytest.mark.parametrize("missing", ["name", "flowData"])
def test_a_missing_field_is_named(api: Api, missing: str) -> None:
    response = api.post("/chatflows", {name: value for name, value in FLOW.items() if name != missing})

    assert response.status_code == 400
    assert response.json()["message"] == f"{missing}: required"


def test_what_is_the_servers_to_set_is_ignored(api: Api, workspace: Workspace, stranger: Workspace) -> None:
    forged = {
        "id": "00000000-0000-0000-0000-000000000001",
        "workspaceId": str(stranger.pk),
        "workspace_id": str(stranger.pk),
        "workspace": str(stranger.pk),
        "createdDate": "2000-01-01T00:00:00.000Z",
        "version": 7,
        "deployed": True,
        "somethingElse": 1,
    }

    body = api.post("/chatflows", {**FLOW, **forged}).json()

    chatflow = Chatflow.objects.get()
    assert str(chatflow.pk) == body["id"] != forged["id"]
    assert chatflow.workspace_id == workspace.pk
    assert chatflow.created_at.year > 2000
    assert not chatflow.deployed


def test_a_flow_can_be_tied_to_a_key_of_its_workspace_only(api: Api, workspace: Workspace, stranger: Workspace) -> None:
    own, _ = make_api_key(workspace)
    foreign, _ = make_api_key(stranger)
    of_a_deployment = deploy(chatflow=make_chatflow(workspace), name="pinned")[0].apikey

    tied = api.post("/chatflows", {**FLOW, "apikeyid": str(own.pk)})

    assert tied.json()["apikeyid"] == str(own.pk)
    for key in (foreign, of_a_deployment):
        refused = api.post("/chatflows", {**FLOW, "apikeyid": str(key.pk)})
        assert refused.status_code == 400
        assert refused.json()["message"] == f"apikeyid: no API key {key.pk} in this workspace"


def test_the_first_version_names_its_author(api: Api) -> None:
    api.post("/chatflows", FLOW)

    version = ChatflowVersion.objects.get()
    assert (version.number, version.author) == (1, "ci")
