"""How long a caller wants to wait: `Prefer: respond-async`, `Prefer: wait=N` (RFC 7240), `?async=true`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.http import HttpRequest

from predictions.requests import RequestInvalid

WAIT = re.compile(r'wait\s*=\s*"?([^"]*)"?', re.IGNORECASE)
LONGEST_S = 3600


@dataclass(frozen=True, slots=True)
class Preference:
    """`wait_s`: answer with what there is after so many seconds, at once if 0; None: as long as a run may take."""

    wait_s: float | None = None
    applied: str = ""  # what `Preference-Applied` says


def read_preference(request: HttpRequest) -> Preference:
    """What this request prefers. Preferences of other kinds are ignored, as their standard has it.

    Raises RequestInvalid for a time that is none.
    """
    wished = [part.strip() for part in request.headers.get("Prefer", "").split(",")]
    wait_s = next((_seconds(found[1]) for part in wished if (found := WAIT.fullmatch(part))), None)
    wants_async = any(part.lower() == "respond-async" for part in wished)
    applied = [*(["respond-async"] if wants_async else ()), *([f"wait={wait_s}"] if wait_s is not None else ())]
    if wants_async or _is_async(request):
        wait_s = wait_s or 0
    return Preference(wait_s, ", ".join(applied))


def _is_async(request: HttpRequest) -> bool:
    match request.GET.get("async", "false").lower():
        case "true" | "1":
            return True
        case "false" | "0" | "":
            return False
    raise RequestInvalid("async: expected true or false")


def _seconds(text: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", text.strip()) or int(text) > LONGEST_S:
        raise RequestInvalid(f"Prefer: wait must be a whole number of seconds up to {LONGEST_S}")
    return int(text)
