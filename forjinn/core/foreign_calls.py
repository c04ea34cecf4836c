"""Calls below /_allauth/, whose views are a package's: what they cannot read, and what they refuse, told as JSON."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from django.http import HttpRequest, HttpResponse

from forjinn.core.errors import AppError, BadRequest, error_response
from forjinn.core.jsontext import DEEPEST, is_too_deep
from forjinn.core.paths import ACCOUNTS_API
from forjinn.core.refusals import CODES

FORM = "/auth/provider/redirect"  # the one call that a page's form makes; all others are JSON
Handler = Callable[[HttpRequest], HttpResponse]


def told_in_json(get_response: Handler) -> Handler:
    """The package's own refusals are JSON; those of Django around it are made so."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(ACCOUNTS_API):
            return get_response(request)
        if problem := _problem_of_body(request):
            return error_response(BadRequest(problem), request)
        response = get_response(request)
        is_told = response.headers.get("Content-Type", "").startswith("application/json")
        return response if response.status_code < 400 or is_told else _retold(response, request)

    return middleware


def _problem_of_body(request: HttpRequest) -> str | None:
    """What would fail in the package's own reader, or at whatever it hands the texts to."""
    if request.path.endswith(FORM) or not request.body:
        return None
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as exc:
        return f"The body is not valid JSON: {exc}"
    if not isinstance(body, dict):
        return "The body is no JSON object"
    return f"The body is nested more than {DEEPEST} levels deep" if is_too_deep(body) else None


def _retold(response: HttpResponse, request: HttpRequest) -> HttpResponse:
    error = AppError(response.reason_phrase)
    error.status, error.code = response.status_code, CODES.get(response.status_code, "error")
    retold = error_response(error, request)
    retold.cookies = response.cookies
    if allowed := response.headers.get("Allow"):
        retold.headers["Allow"] = allowed
    return retold
