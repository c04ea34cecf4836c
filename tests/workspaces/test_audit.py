"""The audit trail tells who changed what, from where, and keeps no secret."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, transaction

from forjinn.core.scopes import tenant
from tests.cast import Api
from tests.factories import EMPTY_GRAPH, make_api_key, make_chatflow
from workspaces.audit.models import AuditEntry
from workspaces.models import Workspace
from workspaces.services import create_credential

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


@pytest.mark.parametrize("is_tenant", [True, False], ids=["tenant", "owner of the tables"])
def test_nobody_changes_or_deletes_an_entry(workspace: Workspace, is_tenant: bool) -> None:
    make_chatflow(workspace)
    entries = AuditEntry.objects.of(workspace.pk)
    scope = tenant(workspace.pk) if is_tenant else transaction.atomic()

    with scope:
        with pytest.raises(DatabaseError, match=r"permission denied|not changed"), transaction.atomic():
            entries.update(actor_name="somebody else")
        with pytest.raises(DatabaseError, match=r"permission denied|deleted only"), transaction.atomic():
            entries.delete()


def test_from_within_a_workspace_no_entry_can_be_made_up(workspace: Workspace) -> None:
    with (
        tenant(workspace.pk),
        pytest.raises(DatabaseError, match="permission denied"),
        transaction.atomic(),
    ):
        AuditEntry.objects.create(workspace=workspace, actor_kind="key", resource="chatflows", action="deleted")
