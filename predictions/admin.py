"""Runs and conversations for operators: to look at, not to change."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from predictions.models import ChatMessage, Execution, NodeRun, WorkerLease


class ReadOnly:
    """What happened is not edited."""

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False


class NodeRunInline(ReadOnly, TabularInline):  # type: ignore[misc]  # unfold has no types
    model = NodeRun
    fields = ("seq", "label", "status", "duration_ms", "entry")
    ordering = ("attempt", "seq")
    extra = 0


@admin.register(Execution)
class ExecutionAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("id", "chatflow", "state", "question", "created_at", "finished_at", "attempt")
    list_filter = ("state", "is_streaming")
    list_select_related = ("chatflow",)
    search_fields = ("=id", "=chat_id", "=session_id")
    show_full_result_count = False
    inlines = (NodeRunInline,)


@admin.register(ChatMessage)
class ChatMessageAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("id", "chatflow", "role", "content", "chat_id", "created_at")
    list_filter = ("role", "chat_type")
    list_select_related = ("chatflow",)
    search_fields = ("=chat_id", "=session_id")
    show_full_result_count = False


@admin.register(WorkerLease)
class WorkerLeaseAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("id", "name", "started_at", "beat_at")
