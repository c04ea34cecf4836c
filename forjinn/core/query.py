"""What the query of a list may say. Each raises BadRequest that names the parameter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NoReturn
from uuid import UUID

from django.utils.dateparse import parse_datetime

from forjinn.core.errors import BadRequest


def text(name: str, value: str) -> str:
    if "\0" in value:
        raise BadRequest(f"{name}: the character NUL is not allowed")
    return value


def identifier(name: str, value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise BadRequest(f"{name}: expected an id") from None


def date(name: str, value: str) -> datetime:
    """A time without an offset is UTC, like every time that this API tells."""
    try:
        parsed = parse_datetime(value)
        # The database knows fewer offsets than calendars do, so it is asked in UTC.
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC) if parsed else _no_date(name)
    except (ValueError, OverflowError):
        return _no_date(name)


def _no_date(name: str) -> NoReturn:
    raise BadRequest(f"{name}: expected a date like 2026-01-31T12:00:00Z")
