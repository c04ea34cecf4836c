"""What an API call can be refused with, and the one shape in which every refusal is told.

AppError(message): has `status`, and a stable `code` that clients switch on
├── BadRequest 400            ├── NotFound 404            ├── PreconditionFailed 412
├── Unauthenticated 401       ├── MethodNotAllowed 405    ├── PayloadTooLarge 413
├── Forbidden 403             ├── Conflict 409            ├── TooManyRequests 429
└── Unavailable 503

The body is `{"message": ..., "code": ..., "requestId": ...}`, whoever found the fault: a service, the framework or
the database (`refusals.py` translates). Messages name the thing and the way out, and never carry a secret.
An API that speaks another protocol has a shape of its own: `shape_errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse

AUTH_CHALLENGE = 'Bearer realm="api"'
DATABASE_AWAY = "Unavailable for the moment: the database cannot be reached"
REDIS_AWAY = "Unavailable for the moment: Redis cannot be reached"


class AppError(Exception):
    """A refusal that the caller can understand. `retry_after_s` is set where trying again later makes sense.

    `headers` go with the answer.
    """

    status = 500
    code = "internal"
    retry_after_s: int | None = None
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(AppError):
    status = 400
    code = "bad_request"


class Unauthenticated(AppError):
    status = 401
    code = "unauthenticated"


class Forbidden(AppError):
    status = 403
    code = "forbidden"


class NotFound(AppError):
    """There is no such thing, or it is somebody else's: the two look alike."""

    status = 404
    code = "not_found"


class MethodNotAllowed(AppError):
    status = 405
    code = "method_not_allowed"


class Conflict(AppError):
    status = 409
    code = "conflict"


class PreconditionFailed(AppError):
    status = 412
    code = "precondition_failed"


class PayloadTooLarge(AppError):
    status = 413
    code = "payload_too_large"


class TooManyRequests(AppError):
    """More than is allowed: of calls, of runs at once, or of a budget."""

    status = 429
    code = "too_many_requests"


class Unavailable(AppError):
    """A part that the answer needs is away for the moment."""

    status = 503
    code = "unavailable"
    retry_after_s = 2


Shape = Callable[[AppError, Any], Mapping[str, Any]]  # of the error and the request that it answers
_shapes: dict[str, Shape] = {}  # by the path that they hold at and below


def shape_errors(path: str, shape: Shape) -> None:
    """Have every refusal at this path and below it told in a shape of its own, also where there is no view.

    A protocol that shares its paths with others sets `request.error_shape` instead, before anything else.
    """
    _shapes[path] = shape


def error_response(exc: AppError, request: HttpRequest) -> HttpResponse:
    """The refusal as an answer, for views that are plain Django."""
    return HttpResponse(
        orjson.dumps(error_body(exc, request)),
        content_type="application/json",
        status=exc.status,
        headers=error_headers(exc),
    )


def error_body(error: AppError, request: Any) -> Mapping[str, Any]:
    """The refusal in the shape of the protocol that was spoken."""
    by_path = (shape for path, shape in _shapes.items() if f"{request.path}/".startswith(f"{path}/"))
    shape: Shape = getattr(request, "error_shape", None) or next(by_path, _own_shape)
    return shape(error, request)


def _own_shape(error: AppError, request: Any) -> Mapping[str, Any]:
    body = {"message": error.message, "code": error.code}
    if request_id := getattr(request, "request_id", ""):
        body["requestId"] = request_id
    return body


def error_headers(error: AppError) -> dict[str, str]:
    headers = dict(error.headers)
    if error.status == 401:
        headers["WWW-Authenticate"] = AUTH_CHALLENGE
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return headers
