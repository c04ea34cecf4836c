"""The wire's spelling of hook subscriptions, deliveries and attempts."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from forjinn.core.fields import FlagField, ReferenceField, TextField
from forjinn.core.times import iso_millis
from predictions.hooks.addresses import problem_of_url
from predictions.hooks.models import EVENTS, MAX_URL, HookAttempt, HookDelivery, HookSubscription

STATES = ("pending", "delivered", "failed")


@extend_schema_field({"type": "string", "format": "uri", "pattern": "^https?://", "maxLength": MAX_URL})
class AddressField(TextField):
    """A receiver's address, which may be called."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if problem := problem_of_url(text):
            raise serializers.ValidationError(problem)
        return text


@extend_schema_field(
    {"type": "array", "items": {"type": "string", "enum": EVENTS}, "minItems": 1, "maxItems": len(EVENTS)}
)
class EventsField(serializers.Field[list[str], Any, list[str], Any]):
    """Which events are sent, each once."""

    default_error_messages = {"required": "required", "null": "must not be null"}

    def to_internal_value(self, data: Any) -> list[str]:
        is_list = isinstance(data, list) and 0 < len(data) <= len(EVENTS)
        if not is_list or not all(isinstance(event, str) and event in EVENTS for event in data):
            raise serializers.ValidationError(f"expected a list of at least one of {', '.join(EVENTS)}")
        return list(dict.fromkeys(data))

    def to_representation(self, value: list[str]) -> list[str]:
        return value


class HookSubscriptionSerializer(serializers.Serializer[HookSubscription]):
    """A receiver of events. The secret is not among what can be read."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    url = serializers.CharField()
    events = EventsField()
    chatflowId = serializers.UUIDField(allow_null=True, help_text="Runs of this flow alone; null: of all flows.")
    enabled = serializers.BooleanField()
    pausedDate = serializers.DateTimeField(
        required=False, help_text="Since when nothing is sent: the receiver is gone."
    )
    pausedReason = serializers.CharField(required=False)
    failures = serializers.IntegerField(help_text="Tries that failed since the last message that was taken.")
    failingSinceDate = serializers.DateTimeField(required=False)
    workspaceId = serializers.UUIDField()
    createdDate = serializers.DateTimeField()
    updatedDate = serializers.DateTimeField()

    def to_representation(self, subscription: HookSubscription) -> dict[str, Any]:
        optional = {
            "pausedDate": iso_millis(subscription.paused_at),
            "pausedReason": subscription.paused_reason,
            "failingSinceDate": iso_millis(subscription.failing_since),
        }
        return {
            "id": str(subscription.pk),
            "name": subscription.name,
            "url": subscription.url,
            "events": subscription.events,
            "chatflowId": str(subscription.chatflow_id) if subscription.chatflow_id else None,
            "enabled": subscription.enabled,
            **{name: value for name, value in optional.items() if value},
            "failures": subscription.failures,
            "workspaceId": str(subscription.workspace_id),
            "createdDate": iso_millis(subscription.created_at),
            "updatedDate": iso_millis(subscription.updated_at),
        }


class NewHookSubscriptionSerializer(HookSubscriptionSerializer):
    """A subscription that was just made, with the secret that its messages are signed with."""

    secret = serializers.CharField(help_text="`whsec_…`, as Standard Webhooks has it. It is shown this once.")

    def to_representation(self, made: tuple[HookSubscription, str]) -> dict[str, Any]:  # type: ignore[override]  # both
        subscription, secret = made
        return {**super().to_representation(subscription), "secret": secret}


class HookSubscriptionUpdateSerializer(serializers.Serializer[HookSubscription]):
    """The fields to change; what is left out keeps its value. `enabled: true` also ends a pause."""

    name = TextField(max_length=150, required=False)
    url = AddressField(required=False)
    events = EventsField(required=False)
    chatflowId = ReferenceField(source="chatflow_id")
    enabled = FlagField(required=False)


class HookSubscriptionCreateSerializer(HookSubscriptionUpdateSerializer):
    """A new receiver."""

    name = TextField(max_length=150)
    url = AddressField()
    events = EventsField()


class HookDeliverySerializer(serializers.Serializer[HookDelivery]):
    """A message to one receiver."""

    id = serializers.UUIDField(help_text="The header webhook-id of every try.")
    subscriptionId = serializers.UUIDField(allow_null=True, help_text="null: of a hook that came with its run.")
    executionId = serializers.UUIDField(allow_null=True, help_text="null: a ping.")
    event = serializers.CharField()
    url = serializers.CharField()
    state = serializers.ChoiceField(STATES)
    attempts = serializers.IntegerField()
    nextTryDate = serializers.DateTimeField(required=False)
    deliveredDate = serializers.DateTimeField(required=False)
    gaveUpDate = serializers.DateTimeField(required=False)
    lastStatus = serializers.IntegerField(required=False)
    lastError = serializers.CharField(required=False)
    createdDate = serializers.DateTimeField()

    def to_representation(self, delivery: HookDelivery) -> dict[str, Any]:
        """`delivery` comes with its subscription."""
        optional = {
            "nextTryDate": iso_millis(delivery.next_try_at),
            "deliveredDate": iso_millis(delivery.delivered_at),
            "gaveUpDate": iso_millis(delivery.gave_up_at),
            "lastStatus": delivery.last_status,
            "lastError": delivery.last_error,
        }
        return {
            "id": str(delivery.pk),
            "subscriptionId": str(delivery.subscription_id) if delivery.subscription_id else None,
            "executionId": str(delivery.execution_id) if delivery.execution_id else None,
            "event": delivery.event,
            "url": delivery.subscription.url if delivery.subscription else delivery.url,
            "state": "delivered" if delivery.delivered_at else "failed" if delivery.gave_up_at else "pending",
            "attempts": delivery.attempts,
            **{name: value for name, value in optional.items() if value},
            "createdDate": iso_millis(delivery.created_at),
        }


class HookAttemptSerializer(serializers.Serializer[HookAttempt]):
    """One try."""

    number = serializers.IntegerField()
    date = serializers.DateTimeField()
    durationMs = serializers.FloatField()
    status = serializers.IntegerField(allow_null=True, help_text="What the receiver answered; null if nothing.")
    error = serializers.CharField(required=False)
    answer = serializers.CharField(help_text="How the answer's body begins.")

    def to_representation(self, attempt: HookAttempt) -> dict[str, Any]:
        return {
            "number": attempt.number,
            "date": iso_millis(attempt.began_at),
            "durationMs": round(attempt.duration_ms, 1),
            "status": attempt.status,
            **({"error": attempt.error} if attempt.error else {}),
            "answer": attempt.answer,
        }


class WholeHookDeliverySerializer(HookDeliverySerializer):
    """A message with its body and every try."""

    payload = serializers.DictField()
    log = HookAttemptSerializer(many=True)

    def to_representation(self, delivery: HookDelivery) -> dict[str, Any]:
        tries = delivery.log.order_by("id")
        return {
            **super().to_representation(delivery),
            "payload": delivery.payload,
            "log": [HookAttemptSerializer().to_representation(attempt) for attempt in tries],
        }
