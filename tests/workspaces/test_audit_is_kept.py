"""Entries of the audit trail stay as they were written, and go when their time is over."""

from __future__ import annotations

import time
from uuid import UUID

import pytest
from django.db import DatabaseError, transaction
from pytest_django import Settings

from forjinn.celery import app
from forjinn.core.scopes import tenant
from tests.factories import make_chatflow
from workspaces.audit.models import AuditEntry
from workspaces.audit.tasks import forget_audit
from workspaces.models import Workspace


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


def make_old_entry(workspace: Workspace, *, age_d: float) -> AuditEntry:
    made_ms = int((time.time() - age_d * 86_400) * 1000)
    return AuditEntry.objects.create(
        id=UUID(int=made_ms << 80), workspace=workspace, actor_kind="key", resource="chatflows", action="created"
    )


def test_entries_go_when_their_retention_is_over(workspace: Workspace, settings: Settings) -> None:
    settings.AUDIT_RETENTION_D = 30
    old, recent = make_old_entry(workspace, age_d=30.01), make_old_entry(workspace, age_d=29.99)

    forget_audit()

    assert not AuditEntry.objects.filter(pk=old.pk).exists()
    assert AuditEntry.objects.filter(pk=recent.pk).exists()


def test_what_was_done_stays_told_when_the_workspace_is_gone(workspace: Workspace) -> None:
    make_chatflow(workspace, name="Support")
    workspace_id = workspace.pk

    workspace.delete()

    told = AuditEntry.objects.of(workspace_id).values_list("resource", "action")
    assert {("chatflows", "created"), ("workspace", "deleted")} <= set(told)


def test_whoever_minds_the_clock_asks_for_it() -> None:
    tasks = {entry["task"] for entry in app.conf.beat_schedule.values()}

    assert forget_audit.name in tasks
    assert forget_audit.name in app.tasks
