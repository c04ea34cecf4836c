"""The wire's spelling of the audit trail."""

from __future__ import annotations

import re
from typing import Any

from rest_framework import serializers

from forjinn.core.times import iso_millis
from workspaces.audit.models import AuditEntry

UNDERSCORED = re.compile(r"_([a-z0-9])")
VALUES = (
    "By column, those that changed alone; null where there was no row. Secrets and long values are "
    '`{"sha256": <first 12 digits>, "bytes": <length>}`.'
)


class ActorSerializer(serializers.Serializer[AuditEntry]):
    """Whoever did it. `system`: the platform itself."""

    kind = serializers.CharField(help_text="key, member, operator, command, visitor or system.")
    id = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    address = serializers.CharField(allow_null=True, help_text="Where the call came from.")


class AuditEntrySerializer(serializers.Serializer[AuditEntry]):
    """One change, or something that a person did."""

    id = serializers.UUIDField()
    date = serializers.DateTimeField()
    actor = ActorSerializer()
    requestId = serializers.CharField(allow_null=True, help_text="The header Request-Id of the call's answer.")
    resource = serializers.CharField(help_text="What was changed, as permissions name it: chatflows, credentials.")
    action = serializers.CharField(help_text="created, updated or deleted; of events what happened.")
    rowId = serializers.CharField(allow_null=True)
    rowName = serializers.CharField(allow_null=True, help_text="What it was called then.")
    before = serializers.DictField(allow_null=True, help_text=VALUES)
    after = serializers.DictField(allow_null=True, help_text=VALUES)

    def to_representation(self, entry: AuditEntry) -> dict[str, Any]:
        return {
            "id": str(entry.pk),
            "date": iso_millis(entry.at),
            "actor": {
                "kind": entry.actor_kind,
                "id": entry.actor_id or None,
                "name": entry.actor_name or None,
                "address": entry.address or None,
            },
            "requestId": entry.request_id or None,
            "resource": entry.resource,
            "action": entry.action,
            "rowId": entry.row_id or None,
            "rowName": entry.row_name or None,
            "before": _on_the_wire(entry.before),
            "after": _on_the_wire(entry.after),
        }


def _on_the_wire(values: dict[str, Any] | None) -> dict[str, Any] | None:
    return values and {
        UNDERSCORED.sub(lambda found: found[1].upper(), column): value for column, value in values.items()
    }
