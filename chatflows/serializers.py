"""The wire's spelling of chatflows and tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from chatflows.access import AGENT_KINDS, KINDS
from chatflows.models import Chatflow, Tool
from chatflows.tools import MAX_TEXT
from forjinn.core.fields import FlagField, JsonTextField, OptionalTextField, ReferenceField, TextField
from forjinn.core.times import iso_millis

# What a row of a list needs: no text of a flow is read for it.
LISTED = (
    "id",
    "slug",
    "object_id",
    "name",
    "display_name",
    "description",
    "kind",
    "category",
    "deployed",
    "is_public",
    "apikey_id",
    "workspace_id",
    "created_at",
    "updated_at",
)


def kind_field(kinds: tuple[str, ...], default: str) -> serializers.ChoiceField:
    expected = f"expected one of {', '.join(kinds)}"
    messages: dict[str, Any] = {"invalid_choice": f"{expected}; got '{{input}}'", "null": f"{expected}; got null"}
    return serializers.ChoiceField(kinds, default=default, source="kind", error_messages=messages)


class ListedChatflowSerializer(serializers.Serializer[Mapping[str, Any]]):
    """A flow in a list: everything but its graph and its settings. What is not set is absent."""

    id = serializers.UUIDField()
    slug = serializers.CharField(help_text="The flow's name in addresses: words and hyphens, kept when it is renamed.")
    objectId = serializers.CharField(help_text="The flow's id as 24 hexadecimal digits.")
    name = serializers.CharField()
    displayName = serializers.CharField(required=False)
    description = serializers.CharField(required=False)
    type = serializers.ChoiceField(KINDS)
    category = serializers.CharField(required=False)
    deployed = serializers.BooleanField()
    isPublic = serializers.BooleanField()
    apikeyid = serializers.UUIDField(required=False)
    workspaceId = serializers.UUIDField()
    createdDate = serializers.DateTimeField()
    updatedDate = serializers.DateTimeField()

    def to_representation(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """`row` has the columns that LISTED names."""
        body = {
            "id": str(row["id"]),
            "slug": row["slug"],
            "objectId": row["object_id"],
            "name": row["name"],
            "displayName": row["display_name"],
            "description": row["description"],
            "type": row["kind"],
            "category": row["category"],
            "deployed": row["deployed"],
            "isPublic": row["is_public"],
            "apikeyid": str(row["apikey_id"] or ""),
            "workspaceId": str(row["workspace_id"]),
            "createdDate": iso_millis(row["created_at"]),
            "updatedDate": iso_millis(row["updated_at"]),
        }
        return {name: value for name, value in body.items() if value != ""}


class ChatflowSerializer(serializers.Serializer[Chatflow]):
    """A flow as a whole. What is not set is absent."""

    id = serializers.UUIDField()
    slug = serializers.CharField(help_text="The flow's name in addresses: words and hyphens, kept when it is renamed.")
    objectId = serializers.CharField(help_text="The flow's id as 24 hexadecimal digits.")
    name = serializers.CharField()
    displayName = serializers.CharField(required=False)
    description = serializers.CharField(required=False)
    flowData = serializers.CharField(help_text="JSON text of the graph, byte for byte as it was saved.")
    type = serializers.ChoiceField(KINDS)
    category = serializers.CharField(required=False)
    deployed = serializers.BooleanField()
    isPublic = serializers.BooleanField()
    apikeyid = serializers.UUIDField(required=False, help_text="The API key that the flow is tied to.")
    chatbotConfig = serializers.CharField(required=False, help_text="JSON text of an object.")
    apiConfig = serializers.CharField(required=False, help_text="JSON text of an object.")
    workspaceId = serializers.UUIDField()
    createdDate = serializers.DateTimeField()
    updatedDate = serializers.DateTimeField()

    def to_representation(self, chatflow: Chatflow) -> dict[str, Any]:
        assert chatflow.version is not None, "a saved flow has a version"
        configs = {"chatbotConfig": chatflow.chatbot_config, "apiConfig": chatflow.api_config}
        return {
            **ListedChatflowSerializer().to_representation({name: getattr(chatflow, name) for name in LISTED}),
            "flowData": chatflow.version.flow_data,
            **{name: text for name, text in configs.items() if text},
        }


class _Fields(serializers.Serializer[Chatflow]):
    """What may be set at any time. Other names in a body are ignored; ids and dates are nobody's to set."""

    displayName = OptionalTextField(source="display_name", max_length=100)
    description = OptionalTextField(max_length=500)
    category = OptionalTextField(max_length=255)
    isPublic = FlagField(source="is_public", required=False)
    apikeyid = ReferenceField(source="apikey_id")
    chatbotConfig = JsonTextField(source="chatbot_config")
    apiConfig = JsonTextField(source="api_config")


class ChatflowCreateSerializer(_Fields):
    """A new flow. It is not deployed: that is a change of its own."""

    name = TextField(max_length=255)
    flowData = TextField(source="flow_data", help_text="JSON text of an object with the arrays nodes and edges.")
    type = kind_field(KINDS, default="CHATFLOW")


class AgentflowCreateSerializer(ChatflowCreateSerializer):
    """A new flow of one of the agent kinds."""

    type = kind_field(AGENT_KINDS, default="AGENTFLOW")


class ChatflowUpdateSerializer(_Fields):
    """The fields to change; what is left out keeps its value."""

    name = TextField(max_length=255, required=False)
    flowData = TextField(source="flow_data", required=False)
    deployed = FlagField(required=False)


class KeyMetadataSerializer(serializers.Serializer[Any]):
    """A key without its secret."""

    id = serializers.UUIDField()
    keyName = serializers.CharField()
    prefix = serializers.CharField(help_text="The key's first characters.")
    workspaceId = serializers.UUIDField()
    createdDate = serializers.DateTimeField()
    lastUsedDate = serializers.DateTimeField(required=False)
    expiresDate = serializers.DateTimeField(required=False)

    def to_representation(self, key: Any) -> dict[str, Any]:
        optional = {"lastUsedDate": iso_millis(key.last_used_at), "expiresDate": iso_millis(key.expires_at)}
        return {
            "id": str(key.pk),
            "keyName": key.name,
            "prefix": key.prefix,
            "workspaceId": str(key.workspace_id),
            "createdDate": iso_millis(key.created_at),
            **{name: value for name, value in optional.items() if value},
        }


class ToolSerializer(serializers.Serializer[Tool]):
    """A tool. What is not set is an empty text."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    color = serializers.CharField(allow_blank=True)
    iconSrc = serializers.CharField(allow_blank=True)
    schema = serializers.CharField(help_text="JSON text of a list of {property, type, description, required}.")
    func = serializers.CharField(help_text="JavaScript; each property is a variable $property.")
    workspaceId = serializers.UUIDField()
    createdDate = serializers.DateTimeField()
    updatedDate = serializers.DateTimeField()

    def to_representation(self, tool: Tool) -> dict[str, Any]:
        return {
            "id": str(tool.pk),
            "name": tool.name,
            "description": tool.description,
            "color": tool.color,
            "iconSrc": tool.icon_src,
            "schema": tool.schema,
            "func": tool.func,
            "workspaceId": str(tool.workspace_id),
            "createdDate": iso_millis(tool.created_at),
            "updatedDate": iso_millis(tool.updated_at),
        }


class ToolUpdateSerializer(serializers.Serializer[Tool]):
    """The fields to change. Other names in a body are ignored; ids, workspaces and dates are nobody's to set."""

    name = TextField(max_length=255, required=False)
    description = OptionalTextField(max_length=MAX_TEXT)
    color = OptionalTextField(max_length=255)
    iconSrc = OptionalTextField(source="icon_src", max_length=MAX_TEXT)
    schema = TextField(max_length=MAX_TEXT, required=False, help_text="[] if left out: it takes nothing.")
    func = TextField(max_length=MAX_TEXT, required=False)


class ToolCreateSerializer(ToolUpdateSerializer):
    """A new tool."""

    name = TextField(max_length=255)
    func = TextField(max_length=MAX_TEXT)
