"""Signing in, out, and failing to: Django's own signals, which every way to sign in sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from workspaces.audit.services import record_event
from workspaces.models import User


@receiver(user_logged_in)
def tell_sign_in(user: User, request: HttpRequest | None = None, **_: Any) -> None:
    record_event(person=user, action="signed-in", request=request)


@receiver(user_logged_out)
def tell_sign_out(user: User | None, request: HttpRequest | None = None, **_: Any) -> None:
    if user is not None:
        record_event(person=user, action="signed-out", request=request)


@receiver(user_login_failed)
def tell_failure(credentials: Mapping[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Of accounts that exist: whoever tries others could fill the trail, and may have typed a password there."""
    typed = next((credentials[name] for name in ("email", "username") if credentials.get(name)), "")
    person = User.objects.filter(email=str(typed).strip().lower()).first()
    if person is not None:
        record_event(person=person, action="sign-in-failed", request=request, is_theirs=False)
