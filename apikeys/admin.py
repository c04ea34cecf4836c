"""API keys for operators: make one (shown once), look, revoke."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from apikeys.models import ApiKey
from apikeys.scopes import ScopesUnfit, check_lasting, checked_scopes
from apikeys.services import create_api_key, revoke_api_key
from forjinn.core.errors import BadRequest

SCOPES = ("permissions", "flows", "environments", "origins", "expires_at")


class ApiKeyForm(ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    """A new key of a workspace; what is empty does not limit it."""

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        # What is left empty comes as an empty list.
        scopes: Any = {name: given.get(name) or None for name in SCOPES}
        try:
            given.update(checked_scopes(ApiKey.Kind.WORKSPACE, scopes))
            check_lasting(scopes)
        except (BadRequest, ScopesUnfit) as exc:
            raise ValidationError(exc.message) from exc
        return given


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    form = ApiKeyForm
    list_display = (
        "name",
        "prefix",
        "kind",
        "workspace",
        "created_by",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    list_filter = ("kind",)
    list_select_related = ("workspace",)
    search_fields = ("name", "prefix", "=id")
    autocomplete_fields = ("workspace",)
    fields = ("workspace", "name", *SCOPES)
    actions = ("revoke",)

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        # Revoking keeps the record of what the key was for.
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("apikeys.change_apikey")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm[ApiKey], change: bool) -> None:
        scopes = {name: form.cleaned_data[name] for name in SCOPES}
        key, raw = create_api_key(
            workspace=obj.workspace, name=obj.name, created_by=request.user.get_username(), **scopes
        )
        obj.pk = key.pk
        messages.warning(request, f"Copy the key now, it is not shown again: {raw}")

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        for key in keys:
            revoke_api_key(key=key)

    def log_addition(self, request: HttpRequest, obj: ApiKey, message: Any) -> Any:
        return super().log_addition(request, ApiKey.objects.get(pk=obj.pk), message)
