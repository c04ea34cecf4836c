"""Names the operator behind what the administration writes."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from forjinn.core.paths import ADMINISTRATION
from forjinn.core.scopes import system_scope
from workspaces.audit.services import operator
from workspaces.models import User


def operators(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware of pages, behind the one that knows who has signed in."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(ADMINISTRATION) or not isinstance(request.user, User):
            return get_response(request)
        # The administration's scope is the system's already (`forjinn.core.middleware.confined`); this says whose.
        with system_scope(actor=operator(request.user, request)):
            return get_response(request)

    return middleware
