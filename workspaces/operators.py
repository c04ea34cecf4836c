"""How operators sign in to the administration: with their attempts counted, as everybody's are."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from unfold.forms import AuthenticationForm


class SignInForm(AuthenticationForm):  # type: ignore[misc]  # unfold has no types
    """Named by UNFOLD. Attempts here and below /_allauth/ are the same ones."""

    def clean(self) -> dict[str, Any]:
        adapter = get_adapter()
        adapter.pre_authenticate(self.request, username=self.cleaned_data.get("username", ""))
        cleaned: dict[str, Any] = super().clean()
        adapter.forget_attempt()
        return cleaned
