"""The audit trail tells who changed what, from where, and keeps no secret."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cast import Api
from tests.factories import EMPTY_GRAPH, make_api_key, make_chatflow
from workspaces.audit.models import AuditEntry
from workspaces.models import Workspace
from workspaces.services import create_credential, set_variable

SECRET = "sk-canary-5d1f0c"


def told(api: Api, query: str = "") -> list[dict[str, Any]]:
    """The workspace's entries, newest first."""
    answer = api.get(f"/audit?limit=1000{query}")
    assert answer.status_code == 200, answer.content
    entries: list[dict[str, Any]] = answer.json()
    return entries


def test_a_change_tells_who_what_and_from_where(workspace: Workspace) -> None:
    key, raw = make_api_key(workspace, name="deploy bot")
    api = Api(raw)
    flow = make_chatflow(workspace, name="Support")

    answer = api.put(f"/chatflows/{flow.pk}", {"name": "Sales", "isPublic": True})
    entry = told(api, f"&rowId={flow.pk}")[0]

    assert entry["actor"] == {"kind": "key", "id": str(key.pk), "name": "deploy bot", "address": "127.0.0.1"}
    assert entry["requestId"] == answer.headers["Request-Id"]
    assert (entry["resource"], entry["action"], entry["rowName"]) == ("chatflows", "updated", "Sales")
    assert entry["before"] == {"name": "Support", "isPublic": False}
    assert entry["after"] == {"name": "Sales", "isPublic": True}


def test_a_row_that_is_made_and_one_that_is_deleted_are_told(api: Api) -> None:
    flow_id = api.post("/chatflows", {"name": "Short-lived", "flowData": EMPTY_GRAPH}).json()["id"]
    api.delete(f"/chatflows/{flow_id}")

    deleted, created = told(api, f"&rowId={flow_id}&resource=chatflows")

    assert (created["action"], created["before"], created["after"]["name"]) == ("created", None, "Short-lived")
    assert (deleted["action"], deleted["before"]["name"], deleted["after"]) == ("deleted", "Short-lived", None)


def test_a_save_that_changes_nothing_is_not_told(api: Api, workspace: Workspace) -> None:
    flow = make_chatflow(workspace)
    before = told(api)

    flow.save()

    assert told(api) == before


def test_of_a_secret_there_is_only_a_fingerprint(api: Api, workspace: Workspace) -> None:
    credential = create_credential(workspace=workspace, name="OpenAI", kind="openAIApi", fields={"openAIApiKey": "x"})

    credential.close({"openAIApiKey": SECRET})
    credential.save()
    entry = told(api, f"&rowId={credential.pk}")[0]

    assert set(entry["after"]) == {"sealed"}
    assert set(entry["after"]["sealed"]) == {"sha256", "bytes"}
    assert entry["before"]["sealed"] != entry["after"]["sealed"]
    kept = AuditEntry.objects.get(pk=entry["id"])
    assert credential.sealed not in f"{kept.before}{kept.after}"


def test_a_stranger_sees_none_of_it(api: Api, stranger_api: Api, workspace: Workspace) -> None:
    make_chatflow(workspace, name="Ours")

    ours, theirs = told(api), told(stranger_api)

    assert "Ours" in {entry["rowName"] for entry in ours}
    assert "Ours" not in {entry["rowName"] for entry in theirs}


def test_a_key_without_the_permission_is_refused(workspace: Workspace) -> None:
    key, raw = make_api_key(workspace)
    key.permissions = ["chatflows:view"]
    key.save()

    answer = Api(raw).get("/audit")

    assert answer.status_code == 403
    assert "audit:view" in answer.json()["message"]


def test_a_variables_values_are_not_kept(api: Api, workspace: Workspace) -> None:
    set_variable(workspace=workspace, name="region", value="eu-1")
    set_variable(workspace=workspace, name="region", value=SECRET)

    changed, created = told(api, "&resource=variables")

    assert created["rowName"] == "region"
    assert changed["after"]["value"]["bytes"] == len(SECRET)
    assert SECRET not in str([changed, created])


def test_a_long_text_is_told_by_its_size(api: Api, workspace: Workspace) -> None:
    flow = make_chatflow(workspace)

    api.put(f"/chatflows/{flow.pk}", {"chatbotConfig": '{"welcome": "%s"}' % ("x" * 2000)})
    entry = told(api, f"&rowId={flow.pk}")[0]

    assert entry["after"]["chatbotConfig"]["bytes"] == 2015


def test_a_save_of_a_flows_text_is_told_under_the_flow(api: Api, workspace: Workspace) -> None:
    flow = make_chatflow(workspace, name="Support")

    api.put(f"/chatflows/{flow.pk}", {"flowData": EMPTY_GRAPH.replace("1}", "2}")})
    changed, version = told(api, f"&rowId={flow.pk}")[:2]

    assert (version["resource"], version["rowName"], version["after"]["number"]) == ("versions", "Support", 2)
    assert version["after"]["flowData"]["bytes"] == len(EMPTY_GRAPH)
    assert set(changed["after"]) == {"versionId"}


@pytest.mark.parametrize(
    "query",
    [
        "actor=deploy bot",
        "resource=tools",
        "action=created&resource=tools",
        "requestId=call-0001",
        "startDate=2020-01-01T00:00:00Z&resource=tools",
    ],
)
def test_entries_are_chosen_by(workspace: Workspace, query: str) -> None:
    api = Api(make_api_key(workspace, name="deploy bot")[1])
    make_chatflow(workspace)
    api.call("POST", "/tools", {"name": "weather", "func": "return 1"}, Request_Id="call-0001")

    entries = told(api, f"&{query}")

    assert [entry["resource"] for entry in entries] == ["tools"]


@pytest.mark.parametrize("query", ["endDate=2020-01-01T00:00:00Z", "actor=nobody", "rowId=none", "resource=chat"])
def test_nothing_is_chosen_by(api: Api, workspace: Workspace, query: str) -> None:
    make_chatflow(workspace)

    assert told(api, f"&{query}") == []


@pytest.mark.parametrize(
    ("query", "name"),
    [("startDate=yesterday", "startDate"), ("before=1", "before"), ("limit=0", "limit"), ("actor=%00", "actor")],
)
def test_a_query_that_cannot_be_read_is_told_why(api: Api, query: str, name: str) -> None:
    answer = api.get(f"/audit?{query}")

    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"{name}: ")


def test_pages_follow_each_other_and_lose_nothing(api: Api, workspace: Workspace) -> None:
    for _ in range(3):
        make_chatflow(workspace)
    whole = told(api)

    page = api.get("/audit?limit=2")
    pages = [page.json()]
    while following := page.headers.get("Link"):
        page = api.get(following[1:].partition(">")[0].removeprefix("/api/v1"))
        pages.append(page.json())

    assert [entry for entries in pages for entry in entries] == whole
    assert {len(entries) for entries in pages[:-1]} == {2}


CHANGES = {
    "tools": ("POST", "/tools", {"name": "weather", "func": "return 1"}),
    "document-stores": ("POST", "/document-store/store", {"name": "Handbook"}),
    "hooks": ("POST", "/hook-subscriptions", {"name": "B", "url": "https://127.0.0.1:9/h", "events": ["run.failed"]}),
    "apikeys": ("POST", "/apikey", {"keyName": "second"}),
    "limits": ("PUT", "/limits", {"workspace": {"callsPerMinute": 100}}),
}


@pytest.mark.parametrize("resource", CHANGES)
def test_whoever_changes_it_is_named(api: Api, resource: str) -> None:
    answer = api.call(*CHANGES[resource])

    assert answer.status_code < 300, answer.content
    entry = told(api, f"&resource={resource}&requestId={answer.headers['Request-Id']}")[0]
    assert (entry["action"], entry["actor"]["kind"], entry["actor"]["name"]) == ("created", "key", "ci")
