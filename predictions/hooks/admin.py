"""Hooks for operators: whom runs are told to, and how each message fared."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from predictions.admin import ReadOnly
from predictions.hooks.models import HookAttempt, HookDelivery, HookSubscription


@admin.register(HookSubscription)
class HookSubscriptionAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Receivers are made through the API, which shows their secret once; here they are switched off and on."""

    list_display = ("name", "workspace", "url", "enabled", "paused_at", "failures", "failing_since")
    list_filter = ("enabled",)
    list_select_related = ("workspace",)
    search_fields = ("name", "=id")
    fields = ("name", "workspace", "chatflow", "url", "events", "enabled", "paused_at", "paused_reason", "failures")
    readonly_fields = tuple(name for name in fields if name != "enabled")
    actions = ("end_pause",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description="End the pause of the chosen subscriptions")
    def end_pause(self, request: HttpRequest, chosen: Any) -> None:
        chosen.update(paused_at=None, paused_reason="", failures=0, failing_since=None)


class HookAttemptInline(ReadOnly, TabularInline):  # type: ignore[misc]  # unfold has no types
    model = HookAttempt
    fields = ("number", "began_at", "duration_ms", "status", "error", "answer")
    ordering = ("id",)
    extra = 0


@admin.register(HookDelivery)
class HookDeliveryAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("id", "event", "subscription", "attempts", "delivered_at", "gave_up_at", "last_error", "created_at")
    list_filter = ("event",)
    list_select_related = ("subscription",)
    search_fields = ("=id", "=execution__id")
    show_full_result_count = False
    exclude = ("secret",)
    inlines = (HookAttemptInline,)
