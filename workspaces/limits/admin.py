"""Limits for operators, who may give a workspace more than the server's settings do."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from workspaces.admin import WorkspaceStays
from workspaces.limits.models import Limit, Spending


@admin.register(Limit)
class LimitAdmin(WorkspaceStays, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("workspace", "kind", "target_id", "calls_a_minute", "runs_at_once", "tokens_a_month", "usd_a_month")
    list_filter = ("kind",)
    list_select_related = ("workspace",)
    search_fields = ("workspace__name", "=target_id")
    autocomplete_fields = ("workspace",)


@admin.register(Spending)
class SpendingAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """What was used: to be read, never set."""

    list_display = ("workspace", "kind", "target_id", "month", "tokens", "nano_usd")
    list_filter = ("kind", "month")
    list_select_related = ("workspace",)
    search_fields = ("workspace__name", "=target_id")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Spending | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Spending | None = None) -> bool:
        return False
