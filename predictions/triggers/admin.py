"""Triggers for operators: to look at, to switch off, to limit. Their addresses and secrets are the owners' to set."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from predictions.admin import ReadOnly
from predictions.triggers.cron import CronInvalid
from predictions.triggers.models import Firing, Trigger
from predictions.triggers.services import schedule_next


@admin.register(Trigger)
class TriggerAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("name", "chatflow", "kind", "enabled", "execution_count", "last_executed", "next_execution")
    list_filter = ("kind", "enabled", "is_of_flow")
    list_select_related = ("chatflow",)
    search_fields = ("name", "=id", "=chatflow__id")
    readonly_fields = ("execution_count", "last_executed", "next_execution", "is_of_flow")
    fields = (
        "enabled",
        "max_executions",
        "timeout_s",
        "notification_email",
        "execution_count",
        "last_executed",
        "next_execution",
        "is_of_flow",
    )

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Trigger, form: Any, change: bool) -> None:
        # The form's row may be old by now: what has fired since must not fire again.
        with transaction.atomic():
            trigger = Trigger.objects.select_for_update().get(pk=obj.pk)
            for name in form.changed_data:
                setattr(trigger, name, form.cleaned_data[name])
            try:
                schedule_next(trigger)
            except CronInvalid:
                trigger.enabled = False
            trigger.save()


@admin.register(Firing)
class FiringAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("id", "trigger", "execution", "scheduled_at")
    list_select_related = ("trigger", "execution")
    search_fields = ("=trigger__id", "=execution__id")
    show_full_result_count = False
