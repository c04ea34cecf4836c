"""How operators sign in to the administration: with their attempts counted, as everybody's are."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest
from unfold.forms import AuthenticationForm

from forjinn.core.paths import ADMINISTRATION


@receiver(user_logged_in)
def list_session(request: HttpRequest, **_: Any) -> None:
    """Sessions that begin here can be seen and ended like all others; the package lists those that it begins itself."""
    if request.path.startswith(ADMINISTRATION):
        UserSession.objects.create_from_request(request)


class SignInForm(AuthenticationForm):  # type: ignore[misc]  # unfold has no types
    """Named by UNFOLD. Attempts here and below /_allauth/ are the same ones."""

    def clean(self) -> dict[str, Any]:
        adapter = get_adapter()
        adapter.pre_authenticate(self.request, username=self.cleaned_data.get("username", ""))
        cleaned: dict[str, Any] = super().clean()
        adapter.forget_attempt()
        return cleaned
