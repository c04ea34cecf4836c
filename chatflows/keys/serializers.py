"""The wire's spelling of API keys."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apikeys.conditions import LONGEST_ORIGIN, ORIGIN
from apikeys.models import LONGEST_NAME, ApiKey
from apikeys.scopes import ENVIRONMENT, MOST_ENVIRONMENTS, MOST_FLOWS, MOST_ORIGINS
from chatflows.models import Chatflow
from forjinn.core.fields import KINDS, NameField
from forjinn.core.times import iso_millis
from workspaces.permissions import PERMISSIONS

KINDS_OF_KEYS = tuple(ApiKey.Kind.values)
KINDS_MADE = (ApiKey.Kind.WORKSPACE.value, ApiKey.Kind.PUBLISHABLE.value)
LONGEST_OVERLAP_S = 30 * 24 * 3600
USUAL_OVERLAP_S = 3600


def _list_of(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": most}


class TextsField(serializers.Field[list[str], Any, list[str], Any]):
    """A list of texts; null for no limit."""

    default_error_messages = {"required": "required"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list):
            raise serializers.ValidationError(f"expected an array, got {KINDS.get(type(data), 'another type')}")
        if not all(isinstance(item, str) for item in data):
            raise serializers.ValidationError("expected texts in the array")
        return data

    def to_representation(self, value: list[str]) -> list[str]:
        return value


@extend_schema_field(_list_of({"type": "string", "enum": sorted(PERMISSIONS)}, len(PERMISSIONS)))
class PermissionsField(TextsField):
    """Permission keys; null: all that whoever makes the key may."""


@extend_schema_field(_list_of({"type": "string", "pattern": f"^{ENVIRONMENT.pattern}$"}, MOST_ENVIRONMENTS))
class EnvironmentsField(TextsField):
    """Names of servers that take the key; null: any."""


@extend_schema_field(
    _list_of({"type": "string", "maxLength": LONGEST_ORIGIN, "pattern": f"^{ORIGIN.pattern}$"}, MOST_ORIGINS)
)
class OriginsField(TextsField):
    """Origins of the pages that may send the key; null: any, and calls of no page."""


@extend_schema_field(_list_of({"type": "string", "format": "uuid"}, MOST_FLOWS))
class FlowIdsField(TextsField):
    """Ids of the flows that the key reaches; null: all of the workspace."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            return [UUID(text) for text in super().to_internal_value(data)]
        except ValueError:
            raise serializers.ValidationError("expected ids of flows in the array") from None


class MomentField(serializers.DateTimeField):
    """A point in time in ISO 8601; null for never."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            raise serializers.ValidationError(f"expected text, got {KINDS.get(type(value), 'another type')}")
        try:
            return super().to_internal_value(value)
        except OverflowError:  # at the end of the calendar, in another time zone
            raise serializers.ValidationError("out of range") from None


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": LONGEST_OVERLAP_S, "default": USUAL_OVERLAP_S})
class SecondsField(serializers.Field[int, Any, int, Any]):
    """A whole number of seconds."""

    def to_internal_value(self, data: Any) -> int:
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        if not is_number or data != int(data) or not 0 <= data <= LONGEST_OVERLAP_S:
            raise serializers.ValidationError(f"expected a whole number from 0 to {LONGEST_OVERLAP_S}")
        return int(data)

    def to_representation(self, value: int) -> int:
        return value


class TiedFlowSerializer(serializers.Serializer[Chatflow]):
    """A flow that is tied to a key by its `apikeyid`."""

    id = serializers.UUIDField()
    flowName = serializers.CharField()
    category = serializers.CharField(allow_blank=True)
    updatedDate = serializers.DateTimeField()

    def to_representation(self, flow: Chatflow) -> dict[str, Any]:
        return {
            "id": str(flow.pk),
            "flowName": flow.name,
            "category": flow.category,
            "updatedDate": iso_millis(flow.updated_at),
        }


class ApiKeySerializer(serializers.Serializer[ApiKey]):
    """A key, which itself is not among what can be read: `apiKey` has its first characters."""

    id = serializers.UUIDField()
    keyName = serializers.CharField()
    apiKey = serializers.CharField(help_text="How people recognise it: its first characters.")
    kind = serializers.ChoiceField(KINDS_OF_KEYS)
    permissions = PermissionsField(help_text="What it may; null: everything.")
    flows = FlowIdsField(help_text="The flows that it reaches; null: all.")
    environments = EnvironmentsField(help_text="The servers that take it; null: all.")
    origins = OriginsField(help_text="The pages that may send it; null: all, and calls of no page.")
    ownerId = serializers.UUIDField(allow_null=True, help_text="Whoever limits it by what they may at the moment.")
    workspaceId = serializers.UUIDField()
    createdAt = serializers.DateTimeField()
    createdBy = serializers.CharField(allow_blank=True)
    lastUsedAt = serializers.DateTimeField(allow_null=True, help_text="To the minute.")
    expiresAt = serializers.DateTimeField(allow_null=True)
    revokedAt = serializers.DateTimeField(allow_null=True)
    previousUntil = serializers.DateTimeField(
        allow_null=True, help_text="Until when the text that it had before its rotation is good as well."
    )
    chatFlows = TiedFlowSerializer(many=True, help_text="The flows that are tied to it.")

    def to_representation(self, key: ApiKey) -> dict[str, Any]:
        return shown(key, f"{key.prefix}…", ())


class NewApiKeySerializer(ApiKeySerializer):
    """A new key, shown this once."""

    apiKey = serializers.CharField(help_text="The key. It cannot be looked up again.")


def shown(key: ApiKey, text: str, tied: Collection[Chatflow]) -> dict[str, Any]:
    """`text` stands where the key does."""
    return {
        "id": str(key.pk),
        "keyName": key.name,
        "apiKey": text,
        "kind": key.kind,
        "permissions": key.permissions,
        "flows": None if key.flows is None else [str(flow_id) for flow_id in key.flows],
        "environments": key.environments,
        "origins": key.origins,
        "ownerId": None if key.owner_id is None else str(key.owner_id),
        "workspaceId": str(key.workspace_id),
        "createdAt": iso_millis(key.created_at),
        "createdBy": key.created_by,
        "lastUsedAt": iso_millis(key.last_used_at),
        "expiresAt": iso_millis(key.expires_at),
        "revokedAt": iso_millis(key.revoked_at),
        "previousUntil": iso_millis(key.previous_until),
        "chatFlows": [TiedFlowSerializer().to_representation(flow) for flow in tied],
    }


class ApiKeyUpdateSerializer(serializers.Serializer[ApiKey]):
    """What may be changed of a key."""

    keyName = NameField(source="name", max_length=LONGEST_NAME, required=False)
    permissions = PermissionsField()
    flows = FlowIdsField()
    environments = EnvironmentsField()
    origins = OriginsField()
    expiresAt = MomentField(source="expires_at")


class ApiKeyCreateSerializer(ApiKeyUpdateSerializer):
    """A new key. What is left out is not limited, except by what whoever makes it may."""

    keyName = NameField(source="name", max_length=LONGEST_NAME)
    kind = serializers.ChoiceField(
        KINDS_MADE, default=KINDS_MADE[0], help_text="publishable: for pages, to ask one flow."
    )
    ownerId = serializers.UUIDField(
        source="owner_id",
        required=False,
        allow_null=True,
        help_text="Whose it is: it may what they may at the moment, at most. Left out: who makes it. null: nobody.",
    )


class RotationSerializer(serializers.Serializer[ApiKey]):
    """How long the text that a key has at present is good beside the new one."""

    overlapSeconds = SecondsField(source="overlap_s", default=USUAL_OVERLAP_S)
