"""Hooks of one run: who wants to hear of it, checked, with their secrets sealed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from yarl import URL

from engine.egress import Egress
from engine.errors import NodeInputError
from forjinn.core.crypto import seal
from predictions.inputs import Problem

EVENTS = ("run.started", "run.waiting", "run.completed", "run.failed", "run.cancelled")
USUAL_EVENTS = ["run.started", "run.completed", "run.failed"]
MOST = 10
LONGEST_URL = 2048
LONGEST_SECRET = 512


def problems_of_hooks(hooks: Sequence[Any], egress: Egress) -> Iterator[Problem]:
    """What is wrong with them, one entry a field."""
    if len(hooks) > MOST:
        yield Problem("hooks", f"at most {MOST}, got {len(hooks)}")
    for index, hook in enumerate(hooks[:MOST]):
        where = f"hooks[{index}]"
        if not isinstance(hook, dict):
            yield Problem(where, "must be an object with url, events and secret")
            continue
        yield from _url_problems(f"{where}.url", hook.get("url"), egress)
        events = hook.get("events", USUAL_EVENTS)
        if not isinstance(events, list) or not events or not all(event in EVENTS for event in events):
            yield Problem(f"{where}.events", f"must be a list of some of {', '.join(EVENTS)}")
        secret = hook.get("secret")
        if secret is not None and not (isinstance(secret, str) and 0 < len(secret) <= LONGEST_SECRET):
            yield Problem(f"{where}.secret", f"must be text of 1 to {LONGEST_SECRET} characters")


def kept_hooks(hooks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The hooks as the run keeps them, once they have no problems."""
    return [
        {
            "url": hook["url"],
            "events": list(dict.fromkeys(hook.get("events", USUAL_EVENTS))),
            **({"secret": seal(hook["secret"])} if hook.get("secret") else {}),
        }
        for hook in hooks
    ]


def _url_problems(where: str, url: Any, egress: Egress) -> Iterator[Problem]:
    if not isinstance(url, str) or not 0 < len(url) <= LONGEST_URL:
        yield Problem(where, f"must be text of 1 to {LONGEST_URL} characters")
        return
    try:
        target = URL(url)
        egress.check(target)
    except (ValueError, NodeInputError) as exc:
        yield Problem(where, str(exc))
        return
    # In clear only to hosts that the administrator opened.
    if target.scheme != "https" and not egress.allowed.names(target.raw_host or "", target.port or 0):
        yield Problem(where, "must begin with https://")
