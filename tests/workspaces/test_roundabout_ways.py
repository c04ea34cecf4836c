"""What somebody may not do, no other permission lets them have done by something else."""

from __future__ import annotations

from typing import Any

import pytest

from predictions.hooks.models import HookDelivery, HookSubscription
from tests.cast import Api
from tests.factories import make_api_key, make_chatflow
from tests.predictions import drawing
from workspaces.models import Workspace
from workspaces.permissions import PERMISSIONS

pytestmark = pytest.mark.django_db


def without(workspace: Workspace, *permissions: str) -> Api:
    """Somebody who may do everything else."""
    return Api(make_api_key(workspace, permissions=PERMISSIONS.difference(permissions))[1])


def trigger_of(flow_id: object) -> dict[str, Any]:
    return {"name": "Round about", "type": "webhook", "chatflowId": str(flow_id), "triggerMessage": "Hi"}


def test_a_trigger_starts_what_whoever_makes_it_may_execute(workspace: Workspace, api: Api) -> None:
    flow, agent = make_chatflow(workspace), make_chatflow(workspace, kind="AGENTFLOW")
    limited = without(workspace, "chatflows:execute")
    kept = api.post("/triggers", trigger_of(flow.pk)).json()

    made = limited.post("/triggers", trigger_of(agent.pk))
    refused = [
        limited.post("/triggers", trigger_of(flow.pk)),
        limited.put(f"/triggers/{made.json()['id']}", {"chatflowId": str(flow.pk)}),
        limited.put(f"/triggers/{kept['id']}", {"enabled": True}),
        limited.post(f"/triggers/{kept['id']}/rotate"),
    ]

    assert made.status_code == 201
    assert [one.status_code for one in refused] == [403] * 4
    assert all("chatflows:execute" in one.json()["message"] for one in refused)


def test_receivers_are_told_what_whoever_makes_them_may_see(workspace: Workspace, api: Api) -> None:
    receiver = {"name": "Mine", "url": "https://127.0.0.1:9/", "events": ["run.completed"]}
    limited = without(workspace, "executions:view")
    kept = HookSubscription.objects.get(pk=api.post("/hook-subscriptions", receiver).json()["id"])
    sent = HookDelivery.objects.create(
        workspace=workspace, subscription=kept, event="run.completed", payload={"data": "secret"}
    )

    refused = [
        limited.post("/hook-subscriptions", receiver),
        limited.put(f"/hook-subscriptions/{kept.pk}", {"url": "https://127.0.0.1:10/"}),
        limited.get(f"/hook-deliveries/{sent.pk}"),
    ]

    assert [one.status_code for one in refused] == [403] * 3
    assert all("executions:view" in one.json()["message"] for one in refused)
    assert limited.get("/hook-subscriptions").status_code == 200
    assert api.get(f"/hook-deliveries/{sent.pk}").json()["payload"] == {"data": "secret"}


@pytest.mark.parametrize("is_verified", [True, False])
def test_a_deployed_flow_is_opened_to_unsigned_calls_by_who_may_deploy(workspace: Workspace, is_verified: bool) -> None:
    flow = make_chatflow(workspace, kind="AGENTFLOW", deployed=True)
    start = drawing.start(startInputType="webhookTrigger", webhookEnableAuth=is_verified)
    changes = {"flowData": drawing.flow([start], [])}

    limited = without(workspace, "agentflows:deploy").put(f"/agentflows/{flow.pk}", changes)
    full = without(workspace).put(f"/agentflows/{flow.pk}", changes)

    assert (limited.status_code, full.status_code) == (200 if is_verified else 403, 200)
