"""Keeping hook subscriptions: what they may be, and that they are their workspace's alone."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from predictions.hooks.models import HookAttempt, HookDelivery, HookSubscription
from predictions.hooks.services import MAX_SUBSCRIPTIONS
from tests.cast import Api
from tests.factories import make_chatflow
from workspaces.models import Workspace

NEW = {"name": "Billing", "url": "https://billing.example.com/hooks", "events": ["run.completed", "run.failed"]}


def created(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api.post("/hook-subscriptions", {**NEW, **fields})
    assert answer.status_code == 200, answer.content
    made: dict[str, Any] = answer.json()
    return made


def test_a_subscription_shows_its_secret_once(api: Api) -> None:
    made = created(api)

    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert api.get(f"/hook-subscriptions/{made['id']}").json() == made
    assert api.get("/hook-subscriptions").json() == [made]
    assert (made["name"], made["url"], made["events"]) == (NEW["name"], NEW["url"], NEW["events"])
    assert (made["enabled"], made["chatflowId"]) == (True, None)
    assert secret not in HookSubscription.objects.get().secret


def test_a_change_keeps_what_it_leaves_out(api: Api, workspace: Workspace) -> None:
    made = created(api)
    flow_id = str(make_chatflow(workspace).pk)

    changed = api.put(f"/hook-subscriptions/{made['id']}", {"chatflowId": flow_id, "enabled": False}).json()

    assert (changed["chatflowId"], changed["enabled"], changed["url"]) == (flow_id, False, NEW["url"])
    assert changed["updatedDate"] > made["updatedDate"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"url": "http://billing.example.com/hooks"}, "url: must begin with https://"),
        ({"url": "https://10.0.0.1/hooks"}, "url: 10.0.0.1 is not a public host"),
        ({"url": "https://[::ffff:169.254.169.254]/"}, "url: ::ffff:a9fe:a9fe is not a public host"),
        ({"url": "https://2130706433/"}, "url: '2130706433' is an odd way"),
        ({"url": "https://me:secret@example.com/"}, "url: must not hold a user's name or password"),
        ({"url": "ftp://example.com/"}, "url: expected an address like https://example.com/hooks"),
        ({"url": "billing"}, "url: expected an address like"),
        ({"url": f"https://example.com/{'x' * 2048}"}, "url: at most 2048 characters"),
        ({"url": None}, "url: must not be null"),
        ({"events": []}, "events: expected a list of at least one of run.started"),
        ({"events": ["run.exploded"]}, "events: expected a list of at least one of run.started"),
        ({"events": "run.failed"}, "events: expected a list of at least one of run.started"),
        ({"name": ""}, "name: must not be empty"),
        ({"name": "x" * 151}, "name: at most 150 characters"),
        ({"enabled": "yes"}, "enabled: expected true or false"),
        ({"chatflowId": str(uuid4())}, "chatflowId: no flow"),
    ],
)
def test_a_subscription_that_cannot_be_is_refused(api: Api, fields: dict[str, Any], message: str) -> None:
    refused = api.post("/hook-subscriptions", {**NEW, **fields})

    assert refused.status_code == 400
    assert refused.json()["message"].startswith(message)
    assert not HookSubscription.objects.exists()


def test_plain_http_is_for_hosts_that_the_administrator_allows(api: Api) -> None:
    assert created(api, url="http://127.0.0.1:5/hooks")["url"] == "http://127.0.0.1:5/hooks"


def test_a_neighbours_flow_is_no_flow(api: Api, stranger: Workspace) -> None:
    flow_id = str(make_chatflow(stranger).pk)

    refused = api.post("/hook-subscriptions", {**NEW, "chatflowId": flow_id})

    assert (refused.status_code, refused.json()["message"][:20]) == (400, "chatflowId: no flow ")


def test_a_workspace_has_so_many_subscriptions_and_no_more(api: Api, stranger_api: Api) -> None:
    for _ in range(MAX_SUBSCRIPTIONS):
        created(api)

    refused = api.post("/hook-subscriptions", NEW)

    assert refused.status_code == 409
    assert "at most 20 hook subscriptions" in refused.json()["message"]
    assert created(stranger_api)["name"] == "Billing"


def test_a_stranger_finds_nothing(api: Api, stranger_api: Api) -> None:
    subscription_id = created(api)["id"]
    path = f"/hook-subscriptions/{subscription_id}"
    delivery_id = api.post(f"{path}/test").json()["id"]

    answers = [
        stranger_api.get(path),
        stranger_api.put(path, {"enabled": False}),
        stranger_api.post(f"{path}/test"),
        stranger_api.get(f"{path}/deliveries"),
        stranger_api.get(f"/hook-deliveries/{delivery_id}"),
        stranger_api.post(f"/hook-deliveries/{delivery_id}/redeliver"),
        stranger_api.delete(path),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert stranger_api.get("/hook-subscriptions").json() == []
    assert stranger_api.get("/hook-deliveries").json() == []
    assert api.get(f"/hook-deliveries/{delivery_id}").status_code == 200


def test_a_subscription_is_deleted_with_its_deliveries_and_their_log(api: Api) -> None:
    path = f"/hook-subscriptions/{created(api)['id']}"
    delivery_id = api.post(f"{path}/test").json()["id"]
    HookAttempt.objects.create(
        delivery_id=delivery_id, number=1, began_at="2026-01-01T12:00:00Z", duration_ms=1, status=500
    )

    deleted = api.delete(path)

    assert (deleted.status_code, deleted.json()) == (200, {"affected": 1})
    assert api.get(path).status_code == 404
    assert not HookDelivery.objects.exists()
    assert not HookAttempt.objects.exists()


def test_a_flow_is_deleted_with_the_hooks_on_it(api: Api, workspace: Workspace) -> None:
    flow = make_chatflow(workspace)
    subscription_id = created(api, chatflowId=str(flow.pk))["id"]

    api.delete(f"/chatflows/{flow.pk}")

    assert api.get(f"/hook-subscriptions/{subscription_id}").status_code == 404


def test_a_receiver_that_is_switched_off_is_not_tested(api: Api) -> None:
    path = f"/hook-subscriptions/{created(api, enabled=False)['id']}"

    refused = api.post(f"{path}/test")

    assert refused.status_code == 409
    assert "disabled" in refused.json()["message"]
    assert not HookDelivery.objects.exists()
