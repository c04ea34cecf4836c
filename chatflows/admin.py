"""Flows and tools for operators: what there is, who saved which version, and the switches."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline

from chatflows.models import Chatflow, ChatflowVersion, Tool


class VersionInline(TabularInline):  # type: ignore[misc]  # unfold has no types
    model = ChatflowVersion
    fields = readonly_fields = ("number", "digest", "author", "created_at")
    ordering = ("-number",)
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("flow_data")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Chatflow)
class ChatflowAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("name", "kind", "workspace", "deployed", "is_public", "updated_at")
    list_filter = ("kind", "deployed", "is_public")
    list_select_related = ("workspace",)
    search_fields = ("name", "=id")
    show_full_result_count = False
    readonly_fields = ("id", "workspace", "kind", "created_at", "updated_at")
    autocomplete_fields = ("apikey",)
    inlines = (VersionInline,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        # A flow is drawn or imported, not typed into a form.
        return False

    def save_model(self, request: HttpRequest, obj: Chatflow, form: ModelForm[Chatflow], change: bool) -> None:
        obj.updated_at = timezone.now()
        super().save_model(request, obj, form, change)


@admin.register(Tool)
class ToolAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("name", "description", "workspace", "updated_at")
    list_select_related = ("workspace",)
    search_fields = ("name", "=id")
    show_full_result_count = False
    # Its texts are changed over the API, which checks them.
    readonly_fields = fields = (
        "id",
        "workspace",
        "name",
        "description",
        "schema",
        "func",
        "created_at",
        "updated_at",
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False
