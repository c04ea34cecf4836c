"""Names the person behind what the administration writes, and what the accounts' own calls do."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from forjinn.core.paths import ACCOUNTS, ADMINISTRATION
from forjinn.core.scopes import system_scope
from workspaces.access import actor_of_person
from workspaces.models import User


def operators(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware of pages, behind the one that knows who has signed in."""

    def middleware(request: HttpRequest) -> HttpResponse:
        kind = "operator" if request.path.startswith(ADMINISTRATION) else "member"
        if not request.path.startswith((ADMINISTRATION, *ACCOUNTS)) or not isinstance(request.user, User):
            return get_response(request)
        # The scope is the system's already (`forjinn.core.middleware.confined`); this says whose.
        with system_scope(actor_of_person(request.user, request, kind)):
            return get_response(request)

    return middleware
