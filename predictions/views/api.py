"""What the asynchronous views of the run APIs share: who calls, what their rule asks of them, refusals, JSON."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import orjson
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apikeys.authentication import sent_key
from apikeys.records import afind_key
from forjinn.core.errors import DATABASE_AWAY, AppError, Forbidden, MethodNotAllowed, Unavailable, error_response
from forjinn.core.permissions import DECIDED_BY_VIEWS, Rule, alternatives, check_rule, needing
from forjinn.core.scopes import SYSTEM, in_scope
from predictions.admission import Caller, needed_access
from predictions.limits import check_caller
from predictions.pool import DatabaseAway
from workspaces.access import Access, actor_of, admit_access
from workspaces.sessions import check_same_site, find_member, has_session

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


Identify = Callable[[HttpRequest], Coroutine[Any, Any, Access]]


async def read_caller(request: HttpRequest, *, asks_flow: bool = True) -> Caller:
    """Who asks. A key that is no good, or not for this call, is no error yet: public flows do not look at it.

    `asks_flow`: the call asks a flow, which is all that a publishable key is for.
    """
    raw, origin = sent_key(request), request.headers.get("Origin", "")
    access: Access | None = None
    refusal: AppError | None = None
    if raw is None and has_session(request):
        access, refusal = await in_scope(SYSTEM, _member, request)
    elif raw and (key := await afind_key(raw)):
        try:
            key.check_use(origin, asks_flow=asks_flow)
            access = key
        except Forbidden as exc:
            refusal = exc
    return Caller(
        access=access,
        sent_key=bool(raw),
        origin=origin,
        address=request.META.get("REMOTE_ADDR", ""),
        actor=actor_of(access, request),
        refusal=refusal,
    )


def _member(request: HttpRequest) -> tuple[Access | None, AppError | None]:
    """Whoever the session's cookie stands for, or why it does not do."""
    member = find_member(request)
    if member is None or member.access is None:
        return None, None
    try:
        check_same_site(request)
    except AppError as exc:
        return None, exc
    return member.access, None


async def identify(request: HttpRequest) -> Access:
    """Who calls. Raises Unauthenticated if they have not shown it, Forbidden for a key that is not for this call."""
    return needed_access(await read_caller(request, asks_flow=False))


def api_view(*, by: Identify = identify, counts_itself: bool = False, **needs: Rule) -> Callable[[View], View]:
    """An asynchronous view of the public API: what each of its methods needs, and its errors in the API's shape.

    Where the rule needs somebody, `access_of(request)` is who it is, and the database shows their workspace. Views
    that decide themselves enter the workspace of what they have found. `counts_itself`: the view counts its calls,
    with those of the flow that it finds; others count for who makes them.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        async def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                rule = needs.get(str(request.method))
                if rule is None:
                    return _not_allowed(request, tuple(needs))
                if DECIDED_BY_VIEWS.isdisjoint(alternatives(rule)):
                    access = await by(request)
                    admit_access(request, access)
                    check_rule(access, rule)
                    if not counts_itself:
                        await check_caller(access)
                return await view(request, *args, **kwargs)
            except AppError as exc:
                return error_response(exc, request)
            except (DatabaseAway, OperationalError, InterfaceError):  # the latter two from Django's models
                return error_response(Unavailable(DATABASE_AWAY), request)

        return needing(**needs)(wrapped)

    return decorate


def json_response(body: object) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), content_type="application/json")


def _not_allowed(request: HttpRequest, methods: tuple[str, ...]) -> HttpResponse:
    refusal = MethodNotAllowed(f"{request.method} is not allowed here; use {' or '.join(methods)}")
    response = error_response(refusal, request)
    response.headers["Allow"] = ", ".join(methods)
    return response
