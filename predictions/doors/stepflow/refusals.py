"""What this API is refused with: `{"error": ..., "code": ...}`, in Stepflow's own codes where it has them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from forjinn.core.errors import AppError, NotFound
from forjinn.core.permissions import Rule, needing
from predictions.doors.stepflow.access import identify
from predictions.views.api import View, api_view

# By our codes. The others are said in the same spelling: UNAVAILABLE, METHOD_NOT_ALLOWED, IDEMPOTENCY_KEY_REUSED ...
CODES = {
    "unauthenticated": "UNAUTHORIZED",
    "bad_request": "INVALID_INPUT",
    "invalid_request": "INVALID_INPUT",
    "internal": "INTERNAL_ERROR",
}


class WorkflowNotFound(NotFound):
    """No flow of this workspace has that name, or it is not deployed."""

    code = "WORKFLOW_NOT_FOUND"


class RunNotFound(NotFound):
    """No run of this workspace has that id."""

    code = "RUN_NOT_FOUND"


class EventNotFound(NotFound):
    """No run of this workspace waits for that event."""

    code = "EVENT_NOT_FOUND"


def shape(error: AppError, request: Any) -> dict[str, str]:
    """The body of a refusal."""
    return {"error": error.message, "code": CODES.get(error.code, error.code.upper())}


def stepflow_view(*, counts_itself: bool = False, **needs: Rule) -> Callable[[View], View]:
    """An asynchronous view of this API: its methods, and whatever it fails with in this API's shape."""

    def decorate(view: View) -> View:
        plain = api_view(by=identify, counts_itself=counts_itself, **needs)(view)

        @wraps(view)
        async def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            request.error_shape = shape  # type: ignore[attr-defined]  # where `error_response` looks for it
            return await plain(request, *args, **kwargs)

        return needing(**needs)(wrapped)

    return decorate
