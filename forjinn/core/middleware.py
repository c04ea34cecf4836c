"""A request id for every answer, and the page middleware for pages only."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.utils.module_loading import import_string

from forjinn.core.ids import uuid7
from forjinn.core.paths import ACCOUNTS, ADMINISTRATION, is_page
from forjinn.core.rates import begin_tally, tally_of_call
from forjinn.core.scopes import request_scope, system_scope

Handler = Callable[[HttpRequest], Any]

SANE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


@sync_and_async_middleware
def request_ids(get_response: Handler) -> Handler:
    """Name the request: `request.request_id`, and `Request-Id` and `X-Request-Id` on the answer.

    A sane id of the caller's is kept.
    """
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            request_id = _name(request)
            response: HttpResponseBase = await get_response(request)
            return _named(response, request_id)

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request_id = _name(request)
        response: HttpResponseBase = get_response(request)
        return _named(response, request_id)

    return middleware


def _named(response: HttpResponseBase, request_id: str) -> HttpResponseBase:
    for name in ("Request-Id", "X-Request-Id"):
        response.headers[name] = request_id
    response.headers["X-Content-Type-Options"] = "nosniff"  # whatever it is, it is not what a browser makes of it
    return response


def _name(request: HttpRequest) -> str:
    sent = request.META.get("HTTP_REQUEST_ID") or request.META.get("HTTP_X_REQUEST_ID") or ""
    request_id = sent if SANE_ID.fullmatch(sent) else str(uuid7())
    request.request_id = request_id  # type: ignore[attr-defined]  # ours, on Django's own class
    return request_id


@sync_and_async_middleware
def tallied(get_response: Handler) -> Handler:
    """Tell callers whose calls are counted where they stand: `RateLimit-Limit`, `-Remaining` and `-Reset`."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            begin_tally()
            return _with_tally(await get_response(request))

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        begin_tally()
        return _with_tally(get_response(request))

    return middleware


def _with_tally(response: HttpResponseBase) -> HttpResponseBase:
    if tally := tally_of_call():
        for name, value in tally.headers.items():
            response.headers.setdefault(name, value)
    return response


@sync_and_async_middleware
def confined(get_response: Handler) -> Handler:
    """Let a request see nothing until something says whose it is; the administration works for all workspaces."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            with _scope_of(request):
                response: HttpResponseBase = await get_response(request)
                return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with _scope_of(request):
            response: HttpResponseBase = get_response(request)
            return response

    return middleware


def _scope_of(request: HttpRequest) -> AbstractContextManager[None]:
    # Sessions and accounts belong to no workspace, and what opens the administration is being staff.
    return system_scope() if request.path.startswith((ADMINISTRATION, *ACCOUNTS)) else request_scope()


@sync_and_async_middleware
def pages_only(get_response: Handler) -> Handler:
    """Put PAGES_MIDDLEWARE around pages, and nothing around API calls and probes.

    The inner chain is synchronous, as sessions, users and static files are: under ASGI a page takes one thread from
    its first middleware to its last, and an API call takes none.
    """
    if iscoroutinefunction(get_response):
        chain, view_hooks = _build_chain(async_to_sync(get_response))
        enter_chain = sync_to_async(chain, thread_sensitive=True)
        run_view_hooks = sync_to_async(view_hooks, thread_sensitive=True)

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            response: HttpResponseBase = await (enter_chain if is_page(request.path) else get_response)(request)
            return response

        # Asynchronous, because the handler would take every API call through a thread to reach a synchronous hook.
        async def aprocess_view(request: HttpRequest, *call: Any) -> HttpResponseBase | None:
            return await run_view_hooks(request, *call) if is_page(request.path) else None

        amiddleware.process_view = aprocess_view  # type: ignore[attr-defined]  # where Django looks for the hook
        return amiddleware

    chain, view_hooks = _build_chain(get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = (chain if is_page(request.path) else get_response)(request)
        return response

    def process_view(request: HttpRequest, *call: Any) -> HttpResponseBase | None:
        return view_hooks(request, *call) if is_page(request.path) else None

    middleware.process_view = process_view  # type: ignore[attr-defined]  # where Django looks for the hook
    return middleware


def _build_chain(get_response: Handler) -> tuple[Handler, Callable[..., HttpResponseBase | None]]:
    """The chain around `get_response`, and its process_view hooks in order: CSRF is checked in one of them."""
    hooks: list[Callable[..., HttpResponseBase | None]] = []
    handler = get_response
    for path in reversed(settings.PAGES_MIDDLEWARE):
        middleware = import_string(path)(handler)
        for unsupported in ("process_exception", "process_template_response"):
            if hasattr(middleware, unsupported):
                raise ImproperlyConfigured(f"{path} has {unsupported}, which PAGES_MIDDLEWARE does not run")
        if hasattr(middleware, "process_view"):
            hooks.insert(0, middleware.process_view)
        handler = convert_exception_to_response(middleware)

    def run_hooks(request: HttpRequest, *call: Any) -> HttpResponseBase | None:
        return next((response for hook in hooks if (response := hook(request, *call))), None)

    return handler, run_hooks
