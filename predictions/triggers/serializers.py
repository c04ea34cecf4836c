"""The wire's spelling of triggers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from forjinn.core.fields import FlagField, OptionalTextField, TextField, WholeNumberField
from forjinn.core.times import iso_millis
from predictions.triggers.models import DEFAULT_TIMEOUT_S, Trigger
from predictions.triggers.services import KEPT

TYPES = ["cron", "webhook"]
MOST_RUNS = 1_000_000_000
LONGEST_S = 86_400
MOST_INPUTS = 100
MAX_TEXT = 100_000


@extend_schema_field(
    {"type": ["object", "null"], "maxProperties": MOST_INPUTS, "additionalProperties": {"type": "string"}}
)
class MappingField(serializers.Field[dict[str, str], Any, Any, Any]):
    """Input of the flow: field of the body, dotted."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
            raise serializers.ValidationError("expected an object of texts: input of the flow to field of the body")
        if len(data) > MOST_INPUTS:
            raise serializers.ValidationError(f"at most {MOST_INPUTS} inputs, got {len(data)}")
        if any("\0" in text for pair in data.items() for text in pair):
            raise serializers.ValidationError("the character NUL is not allowed")
        return data

    def run_validation(self, data: Any = serializers.empty) -> dict[str, str]:
        return super().run_validation(data) or {}


@extend_schema_field({"type": ["string", "null"], "maxLength": 254, "pattern": "@|^$"})
class AddressField(OptionalTextField):
    """An e-mail address, or nothing."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if text and "@" not in text:
            raise serializers.ValidationError("expected an e-mail address")
        return text


class TriggerSerializer(serializers.Serializer[Trigger]):
    """A trigger. Secrets are written and not read: one that is set shows as asterisks."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    chatflowId = serializers.UUIDField()
    nodeId = serializers.CharField(allow_blank=True)
    type = serializers.ChoiceField(choices=TYPES)
    cronExpression = serializers.CharField(allow_null=True)
    timezone = serializers.CharField(help_text="In which the expression is meant.")
    enabled = serializers.BooleanField()
    webhookPlatform = serializers.CharField(allow_null=True)
    webhookSecret = serializers.CharField(allow_null=True)
    webhookBotToken = serializers.CharField(allow_null=True)
    inputMapping = serializers.DictField(child=serializers.CharField(allow_blank=True))
    triggerMessage = serializers.CharField(allow_blank=True)
    executionCount = serializers.IntegerField()
    maxExecutions = serializers.IntegerField(allow_null=True)
    timeout = serializers.IntegerField(help_text="Seconds that a run may take in all.")
    lastExecuted = serializers.DateTimeField(allow_null=True)
    nextExecution = serializers.DateTimeField(allow_null=True)
    notificationEmail = serializers.CharField(allow_blank=True)
    createdDate = serializers.DateTimeField()

    def to_representation(self, trigger: Trigger) -> dict[str, Any]:
        secrets = trigger.open()
        return {
            "id": str(trigger.pk),
            "name": trigger.name,
            "chatflowId": str(trigger.chatflow_id),
            "nodeId": trigger.node_id,
            "type": str(trigger.kind),
            "cronExpression": trigger.cron_expression or None,
            "timezone": trigger.timezone,
            "enabled": trigger.enabled,
            "webhookPlatform": trigger.platform or None,
            "webhookSecret": KEPT if secrets.get("secret") else None,
            "webhookBotToken": KEPT if secrets.get("bot_token") else None,
            "inputMapping": trigger.input_mapping,
            "triggerMessage": trigger.message,
            "executionCount": trigger.execution_count,
            "maxExecutions": trigger.max_executions,
            "timeout": trigger.timeout_s,
            "lastExecuted": iso_millis(trigger.last_executed),
            "nextExecution": iso_millis(trigger.next_execution) if trigger.enabled else None,
            "notificationEmail": trigger.notification_email,
            "createdDate": iso_millis(trigger.created_at),
        }


class NewAddressSerializer(TriggerSerializer):
    """A trigger, and where its webhook is called. Only a hash of that is kept, so it cannot be read again."""

    webhookUrl = serializers.CharField(allow_null=True)


class _Fields(serializers.Serializer[Trigger]):
    timezone = OptionalTextField(max_length=64, help_text="An IANA name; UTC if left out.")
    enabled = FlagField(required=False)
    webhookPlatform = OptionalTextField(source="platform", max_length=50, help_text="Who calls, e.g. github, slack.")
    webhookSecret = OptionalTextField(source="webhook_secret", max_length=1000)
    webhookBotToken = OptionalTextField(source="webhook_bot_token", max_length=1000)
    inputMapping = MappingField(
        source="input_mapping", required=False, allow_null=True, help_text="Input of the flow: field of the body."
    )
    triggerMessage = OptionalTextField(source="message", max_length=MAX_TEXT)
    maxExecutions = WholeNumberField(
        source="max_executions", required=False, allow_null=True, min_value=1, max_value=MOST_RUNS
    )
    timeout = WholeNumberField(
        source="timeout_s", required=False, min_value=1, max_value=LONGEST_S, help_text=f"{DEFAULT_TIMEOUT_S} at first."
    )
    notificationEmail = AddressField(source="notification_email", max_length=254)
    nodeId = OptionalTextField(source="node_id", max_length=255)
    cronExpression = OptionalTextField(
        source="cron_expression",
        max_length=255,
        help_text="Five fields, or everyMinute, hourly, daily, weekly, monthly.",
    )

    def validate_timezone(self, value: str) -> str:
        return value or "UTC"


class TriggerCreateSerializer(_Fields):
    """A new trigger."""

    name = TextField(max_length=255)
    chatflowId = serializers.UUIDField(source="chatflow_id")
    type = serializers.ChoiceField(choices=TYPES, source="kind")


class TriggerUpdateSerializer(_Fields):
    """The fields to change; what is left out keeps its value."""

    name = TextField(max_length=255, required=False)
    chatflowId = serializers.UUIDField(source="chatflow_id", required=False)
    type = serializers.ChoiceField(choices=TYPES, source="kind", required=False)
