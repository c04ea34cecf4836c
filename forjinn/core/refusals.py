"""Whatever a request fails with, told in the one shape of `errors.py`: by the framework, by Django, by the database."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponseBase
from django.views import defaults
from redis.exceptions import RedisError
from requests import RequestException
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from forjinn.core.errors import (
    DATABASE_AWAY,
    REDIS_AWAY,
    AppError,
    BadRequest,
    Forbidden,
    NotFound,
    PayloadTooLarge,
    Unavailable,
    error_body,
    error_headers,
    error_response,
)
from forjinn.core.paths import speaks_json

logger = logging.getLogger(__name__)

CODES = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "payload_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
}


def handle_exception(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Django REST framework's handler. None lets a defect of ours become a logged 500 (see `server_error`)."""
    error = _as_app_error(exc)
    if error is None:
        return None
    set_rollback()
    request = context["request"]
    headers = error_headers(error)
    if isinstance(exc, drf.MethodNotAllowed):
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    return Response(error_body(error, request), status=error.status, headers=headers)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler404: JSON for programs, a page for people."""
    if speaks_json(request.path):
        return error_response(NotFound(f"Nothing here: {request.method} {request.path[:200]}"), request)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """handler500. The log has the traceback under the same request id."""
    if speaks_json(request.path):
        failed = AppError("The server failed; its log names this request id")
        return error_response(_part_away(sys.exc_info()[1]) or failed, request)
    return defaults.server_error(request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler400: what Django itself refuses: a forbidden host name, a body that is too large."""
    if speaks_json(request.path):
        return error_response(_as_app_error(exception) or BadRequest("The request cannot be read"), request)
    return defaults.bad_request(request, exception)


def _as_app_error(exc: Exception) -> AppError | None:
    match exc:
        case AppError():
            return exc
        case drf.ValidationError():
            return BadRequest(first_problem(exc.detail))
        case drf.APIException():
            return _from_framework(exc)
        case Http404():
            return NotFound("Not found")
        case PermissionDenied():
            return Forbidden(str(exc) or "Not allowed")
        case RequestDataTooBig():
            return PayloadTooLarge("The body is too large")
        case SuspiciousOperation():
            return BadRequest("The request cannot be read")
    return _part_away(exc)


def _part_away(exc: BaseException | None) -> AppError | None:
    """What a failure is that will pass by itself."""
    match exc:
        case OperationalError() | InterfaceError():
            logger.warning("database away", extra={"error": type(exc).__name__})
            return Unavailable(DATABASE_AWAY)
        case RedisError():
            logger.warning("redis away", extra={"error": type(exc).__name__})
            return Unavailable(REDIS_AWAY)
        case RequestException():  # of django-allauth's calls to providers; ours are made by another client
            logger.warning("sign-in provider away", extra={"error": type(exc).__name__})
            return Unavailable("Unavailable for the moment: the sign-in provider cannot be reached")
    return None


def _from_framework(exc: drf.APIException) -> AppError:
    error = AppError(str(exc.detail))
    error.status = exc.status_code
    error.code = CODES.get(exc.status_code, "error")
    if wait_s := getattr(exc, "wait", None):  # Throttled has it
        error.retry_after_s = int(wait_s) + 1
    return error


def first_problem(detail: Any, path: str = "") -> str:
    """One message out of a tree of validation messages: `displayName: at most 100 characters, got 120`."""
    if isinstance(detail, Mapping):
        name, inner = next(iter(detail.items()))
        is_own = name in ("non_field_errors", "__all__")
        return first_problem(inner, path if is_own else f"{path}.{name}" if path else str(name))
    if isinstance(detail, list | tuple):
        return first_problem(next((item for item in detail if item), "not valid"), path)
    return f"{path}: {detail}" if path else str(detail)
