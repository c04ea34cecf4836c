"""Triggers as operators see them: to look at, to rest, to limit."""

from __future__ import annotations

import pytest
from django.test import Client

from predictions.triggers.models import Trigger
from predictions.triggers.services import create_trigger
from tests.factories import make_chatflow
from workspaces.models import User, Workspace


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@example.com", None))
    return client


@pytest.fixture
def trigger(workspace: Workspace) -> Trigger:
    flow = make_chatflow(workspace, deployed=True)
    made, _ = create_trigger(
        workspace_id=workspace.pk,
        name="Morning report",
        chatflow_id=flow.pk,
        kind="cron",
        cron_expression="0 9 * * *",
        webhook_secret="s3cret",
    )
    return made


def test_an_operator_looks_at_a_trigger_but_at_none_of_its_secrets(operator: Client, trigger: Trigger) -> None:
    listed = operator.get("/admin/triggers/trigger/")
    shown = operator.get(f"/admin/triggers/trigger/{trigger.pk}/change/")

    assert "Morning report" in listed.content.decode()
    assert (listed.status_code, shown.status_code) == (200, 200)
    assert "s3cret" not in shown.content.decode()
    assert trigger.sealed not in shown.content.decode()


def test_an_operator_rests_a_trigger_and_wakes_it(operator: Client, trigger: Trigger) -> None:
    path = f"/admin/triggers/trigger/{trigger.pk}/change/"

    operator.post(path, {"timeout_s": 60, "max_executions": 5})
    trigger.refresh_from_db()
    assert (trigger.enabled, trigger.next_execution, trigger.timeout_s) == (False, None, 60)

    operator.post(path, {"enabled": "on", "timeout_s": 60, "max_executions": 5})
    trigger.refresh_from_db()
    assert trigger.enabled
    assert trigger.next_execution is not None


@pytest.mark.parametrize("model", ["trigger", "firing"])
def test_none_is_made_up_there(operator: Client, model: str) -> None:
    assert operator.get(f"/admin/triggers/{model}/").status_code == 200
    assert operator.get(f"/admin/triggers/{model}/add/").status_code == 403
