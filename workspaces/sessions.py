"""Who a session's cookie stands for: a person, and the workspace that they work in at the moment.

Read anew for each call, so that whoever is suspended, removed or given another role is so at the next one.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from forjinn.core.errors import Forbidden
from forjinn.core.scopes import system_scope
from workspaces.access import Access
from workspaces.members import access_of_membership
from workspaces.models import Membership, User

ACTIVE = "workspace"  # in the session: the id of the workspace that they have switched to
SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")


@dataclass(frozen=True, slots=True)
class Member:
    """A person who has signed in; without a workspace if they are in none."""

    user: User
    access: Access | None


def has_session(request: HttpRequest) -> bool:
    return bool(request.COOKIES.get(settings.SESSION_COOKIE_NAME))


def find_member(request: HttpRequest) -> Member | None:
    """Whoever the cookie stands for. Its session is `request.session` from here on."""
    request.session = _session(request)
    with system_scope():  # sessions and people are of no workspace
        user = get_user(request)
        if not isinstance(user, User):
            return None
        rows = Membership.objects.select_related("user").filter(user=user)
        memberships = list(rows.filter(workspace__archived_at=None, suspended_at=None).order_by("pk"))
        chosen = request.session.get(ACTIVE)
        active = next((one for one in memberships if str(one.workspace_id) == chosen), None)
        membership = active or next(iter(memberships), None)
        return Member(user, access_of_membership(membership) if membership else None)


def switch(request: HttpRequest, workspace_id: UUID) -> None:
    """Work in this workspace from now on, in this session."""
    request.session[ACTIVE] = str(workspace_id)
    with system_scope():  # sessions are of no workspace
        request.session.save()


def check_same_site(request: HttpRequest) -> None:
    """Raises Forbidden for a write that another site's page may have sent with the person's cookie."""
    if problem := _Check(lambda _: HttpResponse()).problem(request):
        raise Forbidden(
            f"{problem} Send the cookie {settings.CSRF_COOKIE_NAME} back as the header X-CSRFToken; "
            "GET /_allauth/browser/v1/config sets it"
        )


class _Check(CsrfViewMiddleware):
    """Django's own check, which tells instead of answering."""

    def problem(self, request: HttpRequest) -> str | None:
        if request.method in SAFE:
            return None
        request = copy(request)
        # Of a POST the check would look for the token in the body's form, after which nobody could read that any more.
        request.method = "PUT"
        self.process_request(request)
        found: str | None = self.process_view(request, lambda *_: HttpResponse(), (), {})  # type: ignore[assignment]
        return found

    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def _session(request: HttpRequest) -> SessionBase:
    store: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore(
        request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    )
    return store
