"""What a caller prefers (RFC 7240): `Prefer: respond-async` or `?async=true`, `Prefer: wait=N`, `Prefer:
return=minimal`; and how long the run may take: `?timeout=N`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.http import HttpRequest

from chatflows.records import FlowRecord
from predictions.requests import RequestInvalid

WAIT = re.compile(r'wait\s*=\s*"?([^"]*)"?', re.IGNORECASE)
LONGEST_S = 3600


@dataclass(frozen=True, slots=True)
class Preference:
    """`wait_s`: answer with what there is after so many seconds, at once if 0; None: as long as a run may take.

    `is_brief`: the caller does not read the run's trace.
    """

    wait_s: float | None = None
    applied: str = ""  # what `Preference-Applied` says
    is_brief: bool = False
    timeout_s: float | None = None  # for the whole run, from now on


NONE = Preference()


def time_of(flow: FlowRecord, preference: Preference) -> float | None:
    """Seconds that a run may take in all: the shorter of what its flow (`apiConfig.timeout`) and its caller say."""
    own = flow.api_config.get("timeout")
    of_flow = float(own) if isinstance(own, int | float) and not isinstance(own, bool) and own > 0 else None
    given = [seconds for seconds in (of_flow, preference.timeout_s) if seconds is not None]
    return min(given) if given else None


def read_preference(request: HttpRequest) -> Preference:
    """What this request prefers. Preferences of other kinds are ignored, as their standard has it.

    Raises RequestInvalid for a time that is none.
    """
    wished = [part.strip() for part in request.headers.get("Prefer", "").split(",")]
    wait_s = next((_seconds(found[1]) for part in wished if (found := WAIT.fullmatch(part))), None)
    wants_async = any(part.lower() == "respond-async" for part in wished)
    is_brief = wants_brief(request)
    applied = [
        *(["respond-async"] if wants_async else ()),
        *([f"wait={wait_s}"] if wait_s is not None else ()),
        *(["return=minimal"] if is_brief else ()),
    ]
    if wants_async or _is_async(request):
        wait_s = wait_s or 0
    timeout = request.GET.get("timeout")
    timeout_s = None if timeout is None else _timeout(timeout)
    return Preference(wait_s, ", ".join(applied), is_brief, timeout_s)


def wants_brief(request: HttpRequest) -> bool:
    """Whether the caller does not read the run's trace: it grows with every node, and a stream tells it after each."""
    wished = request.headers.get("Prefer", "").lower().replace(" ", "").split(",")
    return "return=minimal" in wished


def _is_async(request: HttpRequest) -> bool:
    match request.GET.get("async", "false").lower():
        case "true" | "1":
            return True
        case "false" | "0" | "":
            return False
    raise RequestInvalid("async: expected true or false")


def _timeout(text: str) -> float:
    if not re.fullmatch("[0-9]{1,7}", text.strip()) or int(text) == 0:
        raise RequestInvalid("timeout: expected a whole number of seconds from 1 on")
    return float(text)


def _seconds(text: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", text.strip()) or int(text) > LONGEST_S:
        raise RequestInvalid(f"Prefer: wait must be a whole number of seconds up to {LONGEST_S}")
    return int(text)
