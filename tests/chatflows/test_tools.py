"""Tools over HTTP: kept, read, listed, changed and deleted by the holder of the workspace's key, and by nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from chatflows.models import Tool
from tests.cast import Api
from tests.factories import graph_text, make_chatflow
from workspaces.models import User, Workspace

SCHEMA = '[{"id":1,"property":"city","type":"string","description":"Which.","required":true}]'
TOOL = {
    "name": "get_weather",
    "description": "Tells the weather.",
    "color": "linear-gradient(rgb(1,2,3), rgb(4,5,6))",
    "iconSrc": "https://example.com/sun.svg",
    "schema": SCHEMA,
    "func": "return `Sun in ${$city}`",
}


def test_a_tool_comes_back_as_it_was_sent(api: Api, workspace: Workspace) -> None:
    created = api.post("/tools", TOOL)

    body = created.json()
    assert created.status_code == 200
    assert {name: body[name] for name in TOOL} == TOOL
    assert body.keys() - TOOL.keys() == {"id", "workspaceId", "createdDate", "updatedDate"}
    assert body["workspaceId"] == str(workspace.pk)
    assert api.get(f"/tools/{body['id']}").json() == body


def test_a_tool_needs_no_more_than_a_name_and_a_function(api: Api) -> None:
    body = api.post("/tools", {"name": "now", "func": "not { even JavaScript"}).json()

    assert (body["schema"], body["description"], body["color"], body["iconSrc"]) == ("[]", "", "", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "name: must not be null"),
        ({"name": "n" * 256}, "name: at most 255 characters, got 256"),
        ({"func": ""}, "func: must not be empty"),
        ({"func": "f" * 100_001}, "func: at most 100000 characters, got 100001"),
        ({"func": "a\0b"}, "func: Null characters are not allowed."),
        ({"schema": []}, "schema: expected text, got an array"),
        ({"schema": "["}, "schema: not valid JSON"),
        ({"schema": "{}"}, "schema: expected JSON text of a list of {property, type, description, required}"),
        ({"schema": '["city"]'}, "schema[0]: expected {property, type, description, required}"),
        ({"schema": '[{"property":""}]'}, "schema[0]: expected {property, type, description, required}"),
        ({"schema": '[{"property":"a","type":"city"}]'}, "schema[0].type: expected one of string, number, boolean"),
        ({"schema": '[{"property":"a","type":[]}]'}, "schema[0].type: expected one of string, number, boolean"),
        ({"iconSrc": 1}, "iconSrc: expected text, got a number"),
    ],
)
def test_a_wrong_value_is_refused_by_name(api: Api, change: dict[str, Any], message: str) -> None:
    kept = api.post("/tools", TOOL).json()

    refusals = [api.post("/tools", {**TOOL, **change}), api.put(f"/tools/{kept['id']}", change)]

    assert [refusal.status_code for refusal in refusals] == [400, 400]
    assert all(refusal.json()["message"].startswith(message) for refusal in refusals)
    assert api.get("/tools").json() == [kept]


@pytest.mark.parametrize("missing", ["name", "func"])
def test_a_missing_field_is_named(api: Api, missing: str) -> None:
    response = api.post("/tools", {name: value for name, value in TOOL.items() if name != missing})

    assert (response.status_code, response.json()["message"]) == (400, f"{missing}: required")


def test_ids_workspaces_and_dates_are_nobodys_to_set(api: Api, workspace: Workspace, stranger: Workspace) -> None:
    forged = {
        "id": "00000000-0000-0000-0000-000000000001",
        "workspaceId": str(stranger.pk),
        "workspace_id": str(stranger.pk),
        "createdDate": "2000-01-01T00:00:00.000Z",
        "somethingElse": 1,
    }

    created = api.post("/tools", {**TOOL, **forged}).json()
    changed = api.put(f"/tools/{created['id']}", {**forged, "name": "weather"}).json()

    assert created["id"] != forged["id"]
    assert changed == {**created, "name": "weather", "updatedDate": changed["updatedDate"]}
    assert Tool.objects.get().workspace_id == workspace.pk


def test_what_is_left_out_of_a_change_is_kept_and_no_change_keeps_the_date(api: Api) -> None:
    created = api.post("/tools", TOOL).json()

    same = api.put(f"/tools/{created['id']}", TOOL).json()
    changed = api.put(f"/tools/{created['id']}", {"func": "return 1", "iconSrc": None}).json()

    assert same == created
    assert changed == {**created, "func": "return 1", "iconSrc": "", "updatedDate": changed["updatedDate"]}


def test_a_list_is_a_bare_array_newest_first_in_pages(api: Api) -> None:
    for name in ("first", "second", "third"):
        api.post("/tools", {**TOOL, "name": name})

    response = api.get("/tools?limit=2")

    assert [tool["name"] for tool in response.json()] == ["third", "second"]
    assert response.headers["X-Total-Count"] == "3"
    assert '</api/v1/tools?page=2&limit=2>; rel="next"' in response.headers["Link"]


def test_a_deleted_tool_is_gone(api: Api) -> None:
    tool_id = api.post("/tools", TOOL).json()["id"]

    deleted = api.delete(f"/tools/{tool_id}")

    assert (deleted.status_code, deleted.json()) == (200, {"affected": 1})
    assert api.get(f"/tools/{tool_id}").status_code == 404
    assert api.delete(f"/tools/{tool_id}").status_code == 404


def test_a_strangers_tool_is_as_unknown_as_one_that_is_not(api: Api, stranger_api: Api) -> None:
    tool_id = api.post("/tools", TOOL).json()["id"]
    path, absent = f"/tools/{tool_id}", "/tools/not-an-id"

    refusals = [stranger_api.get(path), stranger_api.put(path, {"name": "x"}), stranger_api.delete(path)]

    assert [refusal.status_code for refusal in (*refusals, api.get(absent))] == [404] * 4
    assert refusals[0].json()["message"] == f"Tool {tool_id} not found"
    assert stranger_api.get("/tools").json() == []
    assert api.get(path).json()["name"] == TOOL["name"]


def test_tools_are_no_ones_without_a_key(nobody: Api) -> None:
    assert [nobody.get("/tools").status_code, nobody.post("/tools", TOOL).status_code] == [401, 401]
    assert not Tool.objects.exists()


def test_a_flows_problems_name_the_tool_that_its_workspace_lacks(
    api: Api, stranger_api: Api, workspace: Workspace
) -> None:
    own, theirs = (caller.post("/tools", TOOL).json()["id"] for caller in (api, stranger_api))
    flow_data = tool_graph(own, theirs)

    problems = api.get(f"/chatflows/{make_chatflow(workspace, flow_data=flow_data).pk}/problems").json()

    missing = [problem for problem in problems if problem["subject"] == "selectedTool"]
    assert [(problem["nodeId"], problem["severity"]) for problem in missing] == [("customTool_1", "warning")]
    assert theirs in missing[0]["message"]


def test_operators_see_every_workspaces_tools_and_their_functions(api: Api) -> None:
    tool_id = api.post("/tools", TOOL).json()["id"]
    operator = Client()
    operator.force_login(User.objects.create_superuser("operator@example.com", None))

    listed = operator.get("/admin/chatflows/tool/")
    opened = operator.get(f"/admin/chatflows/tool/{tool_id}/change/")

    assert b"get_weather" in listed.content
    assert b"Sun in" in opened.content


def tool_graph(*tool_ids: str) -> str:
    nodes = [
        {"id": f"customTool_{number}", "name": "customTool", "category": "Tools", "inputs": {"selectedTool": tool_id}}
        for number, tool_id in enumerate(tool_ids)
    ]
    return graph_text(*nodes)
