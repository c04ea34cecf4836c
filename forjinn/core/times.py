"""The wire's spelling of points in time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload


@overload
def iso_millis(moment: datetime) -> str: ...
@overload
def iso_millis(moment: None) -> None: ...


def iso_millis(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds and a Z, e.g. `2024-05-01T12:00:00.000Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
