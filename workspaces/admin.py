"""Tenants and people for operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminTextareaWidget

from workspaces.models import Credential, Membership, User, Variable, Workspace

admin.site.unregister(Group)  # roles come from memberships


class MembershipInline(TabularInline):  # type: ignore[misc]  # unfold has no types
    model = Membership
    autocomplete_fields = ("user",)
    extra = 0


@admin.register(Workspace)
class WorkspaceAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("name", "id", "created_at")
    search_fields = ("name", "=id")
    inlines = (MembershipInline,)


@admin.register(User)
class UserAdmin(BaseUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]  # unfold has no types
    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "email" in form.changed_data:
            obj.vouch()

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    ordering = ("email",)
    list_display = ("email", "name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    readonly_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "password1", "password2")}),)


class WorkspaceStays:
    """Rows do not change tenants: what refers to them would stay behind."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        fields: Sequence[str] = super().get_readonly_fields(request, obj)  # type: ignore[misc]  # a mixin
        return fields if obj is None else (*fields, "workspace")


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    """The secret goes in and never comes out: the field is empty whatever the row holds."""

    fields_in_clear = forms.CharField(
        label="Secret",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"autocomplete": "off"}),
        help_text='A JSON object of texts, e.g. {"openAIApiKey": "…"}. Empty keeps what is stored.',
    )

    class Meta:
        model = Credential
        fields = ("workspace", "name", "kind", "fulfillment", "slug", "allowed_hosts")

    def clean_fields_in_clear(self) -> dict[str, str] | None:
        text = self.cleaned_data["fields_in_clear"]
        if not text:
            if self.instance._state.adding and self.cleaned_data.get("fulfillment") != Credential.Fulfillment.CALLER:
                raise ValidationError("A new credential needs its secret.")
            return None
        try:
            fields = orjson.loads(text)
        except orjson.JSONDecodeError:
            fields = None
        if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
            raise ValidationError("Expected a JSON object of texts.")
        return fields


@admin.register(Credential)
class CredentialAdmin(WorkspaceStays, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    form = CredentialForm
    list_display = ("name", "kind", "fulfillment", "workspace", "updated_at")
    list_filter = ("kind",)
    list_select_related = ("workspace",)
    search_fields = ("name", "=id")
    autocomplete_fields = ("workspace",)

    def save_model(self, request: HttpRequest, obj: Credential, form: CredentialForm, change: bool) -> None:
        if fields := form.cleaned_data["fields_in_clear"]:
            obj.close(fields)
        super().save_model(request, obj, form, change)


@admin.register(Variable)
class VariableAdmin(WorkspaceStays, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("name", "workspace", "value")
    list_select_related = ("workspace",)
    search_fields = ("name",)
    autocomplete_fields = ("workspace",)
