"""The audit trail for operators: to look at, not to change."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from workspaces.audit.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("at", "actor_name", "actor_kind", "action", "resource", "row_name", "address", "workspace_id")
    list_filter = ("action", "resource", "actor_kind")
    search_fields = ("=row_id", "=request_id", "=actor_id", "actor_name", "=workspace__id")
    ordering = ("-id",)
    show_full_result_count = False
    # By its id: the workspace may be gone.
    exclude = ("workspace",)
    readonly_fields = ("id", "workspace_id")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
