"""What operators see of hooks, and may do to them."""

from __future__ import annotations

import pytest
from django.test import Client

from forjinn.core.crypto import seal
from predictions.hooks.models import HookAttempt, HookDelivery, HookSubscription
from workspaces.models import User, Workspace


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@example.com", None))
    return client


@pytest.fixture
def subscription(workspace: Workspace) -> HookSubscription:
    made: HookSubscription = HookSubscription.objects.create(
        workspace=workspace,
        name="Billing",
        url="https://billing.example.com",
        events=["run.failed"],
        secret=seal("whsec_c2VjcmV0"),
        paused_at="2026-01-01T12:00:00Z",
        paused_reason="The receiver answered 410 Gone",
    )
    return made


def test_operators_see_hooks_without_their_secrets(operator: Client, subscription: HookSubscription) -> None:
    delivery = HookDelivery.objects.create(
        workspace=subscription.workspace, subscription=subscription, event="ping", payload={}, secret=seal("between us")
    )
    HookAttempt.objects.create(delivery=delivery, number=1, began_at="2026-01-01T12:00:00Z", duration_ms=1, answer="Hm")
    paths = [
        "hooksubscription/",
        f"hooksubscription/{subscription.pk}/change/",
        "hookdelivery/",
        f"hookdelivery/{delivery.pk}/change/",
    ]

    pages = [operator.get(f"/admin/hooks/{path}").content.decode() for path in paths]

    assert "410 Gone" in pages[1]
    assert "Hm" in pages[3]
    for page in pages:
        assert subscription.secret not in page
        assert delivery.secret not in page


def test_an_operator_ends_a_pause(operator: Client, subscription: HookSubscription) -> None:
    chosen = {"action": "end_pause", "_selected_action": str(subscription.pk)}

    answer = operator.post("/admin/hooks/hooksubscription/", chosen)

    assert answer.status_code == 302
    subscription.refresh_from_db()
    assert (subscription.paused_at, subscription.paused_reason) == (None, "")
