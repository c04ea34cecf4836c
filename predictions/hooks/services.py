"""Every write to subscriptions, and asking for a message to be sent again."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from chatflows.models import Chatflow
from forjinn.core.crypto import seal
from forjinn.core.errors import BadRequest, Conflict
from forjinn.core.times import iso_millis
from predictions.hooks.models import PING, HookDelivery, HookSubscription
from predictions.hooks.signatures import new_secret
from workspaces.models import Workspace

MAX_SUBSCRIPTIONS = 20  # of a workspace: each costs every run of it a row for every event
SILENCED = "This subscription is {why}, so nothing is sent: update it with enabled=true first"


class SubscriptionChanges(TypedDict, total=False):
    """What may be changed of a subscription. `enabled=True` also ends a pause."""

    name: str
    url: str
    events: list[str]
    chatflow_id: UUID | None
    enabled: bool


@transaction.atomic
def create_subscription(*, workspace_id: UUID, **fields: Unpack[SubscriptionChanges]) -> tuple[HookSubscription, str]:
    """A new subscription, and its secret, which cannot be read again.

    Raises Conflict if the workspace has as many as it may, BadRequest for a flow that it does not have.
    """
    # The lock has two calls at once count one after the other, and lets runs be recorded meanwhile.
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)
    if HookSubscription.objects.of(workspace_id).count() >= MAX_SUBSCRIPTIONS:
        raise Conflict(f"A workspace has at most {MAX_SUBSCRIPTIONS} hook subscriptions: delete one first")
    _check_flow(workspace_id, fields.get("chatflow_id"))
    secret = new_secret()
    now = timezone.now()
    subscription = HookSubscription(
        workspace_id=workspace_id, secret=seal(secret), created_at=now, updated_at=now, **fields
    )
    subscription.save(force_insert=True)
    return subscription, secret


@transaction.atomic
def update_subscription(
    *, workspace_id: UUID, subscription_id: object, **changes: Unpack[SubscriptionChanges]
) -> HookSubscription:
    """Change what is given and keep the rest. Raises NotFound, and BadRequest for a flow that is not there."""
    rows = HookSubscription.objects.select_for_update(no_key=True)
    subscription: HookSubscription = rows.get_for(workspace_id, pk=subscription_id)
    _check_flow(workspace_id, changes.get("chatflow_id"))
    changed: dict[str, Any] = {**changes, "updated_at": timezone.now()}
    if changes.get("enabled"):
        changed |= {"paused_at": None, "paused_reason": "", "failures": 0, "failing_since": None}
    for name, value in changed.items():
        setattr(subscription, name, value)
    subscription.save(update_fields=list(changed))
    return subscription


def delete_subscription(*, workspace_id: UUID, subscription_id: object) -> None:
    """Delete it with its deliveries; nothing more is sent. Raises NotFound."""
    HookSubscription.objects.get_for(workspace_id, pk=subscription_id).delete()


def send_ping(*, workspace_id: UUID, subscription_id: object) -> HookDelivery:
    """Have a message of no run sent to the receiver. Raises NotFound, Conflict if it is paused or disabled."""
    subscription = HookSubscription.objects.get_for(workspace_id, pk=subscription_id)
    _check_live(subscription)
    now = iso_millis(timezone.now())
    payload = {"type": PING, "event": PING, "timestamp": now, "data": {"subscriptionId": str(subscription.pk)}}
    delivery = HookDelivery(workspace_id=workspace_id, subscription=subscription, event=PING, payload=payload)
    return _saved(delivery)


@transaction.atomic
def redeliver(*, workspace_id: UUID, delivery_id: object) -> HookDelivery:
    """Have the same message sent again, with as many tries as a new one. Raises NotFound, Conflict."""
    rows = HookDelivery.objects.select_related("subscription").select_for_update(of=("self",))
    delivery: HookDelivery = rows.get_for(workspace_id, pk=delivery_id)
    if delivery.subscription is not None:
        _check_live(delivery.subscription)
    delivery.attempts_before = delivery.attempts
    delivery.next_try_at = timezone.now()
    delivery.delivered_at = delivery.gave_up_at = None
    delivery.save(update_fields=["attempts_before", "next_try_at", "delivered_at", "gave_up_at"])
    return delivery


def _saved(delivery: HookDelivery) -> HookDelivery:
    delivery.created_at = delivery.next_try_at = timezone.now()
    delivery.save(force_insert=True)
    return delivery


def _check_live(subscription: HookSubscription) -> None:
    if subscription.paused_at is not None or not subscription.enabled:
        raise Conflict(SILENCED.format(why="paused" if subscription.enabled else "disabled"))


def _check_flow(workspace_id: UUID, chatflow_id: UUID | None) -> None:
    if chatflow_id is not None and not Chatflow.objects.of(workspace_id).filter(pk=chatflow_id).exists():
        raise BadRequest(f"chatflowId: no flow {chatflow_id} in this workspace")
