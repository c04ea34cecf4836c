"""Hooks that come with one run, for the APIs that start runs: checked, and as `request["hooks"]` keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from forjinn.core.crypto import seal
from predictions.hooks.addresses import problem_of_url
from predictions.hooks.models import EVENTS
from predictions.inputs import Problem

MAX_HOOKS = 5  # of one run
MAX_SECRET = 200  # characters


def problems_of_hooks(given: Any) -> list[Problem]:
    """What is wrong with `[{"url", "events", "secret"?}]`, one entry a field; without `events` all are meant."""
    if not isinstance(given, list):
        return [Problem("hooks", "must be a list of objects like {url, events, secret}")]
    if len(given) > MAX_HOOKS:
        return [Problem("hooks", f"at most {MAX_HOOKS} of one run, got {len(given)}")]
    return [problem for index, hook in enumerate(given) for problem in _problems(f"hooks[{index}]", hook)]


def stored_hooks(given: list[Any]) -> list[dict[str, Any]]:
    """What the run keeps of hooks without problems. Secrets are sealed."""
    return [
        {
            "url": hook["url"],
            "events": hook.get("events") or list(EVENTS),
            **({"secret": seal(hook["secret"])} if hook.get("secret") else {}),
        }
        for hook in given
    ]


def _problems(path: str, hook: Any) -> Iterator[Problem]:
    if not isinstance(hook, dict):
        yield Problem(path, "must be an object like {url, events, secret}")
        return
    url = hook.get("url")
    if not isinstance(url, str):
        yield Problem(f"{path}.url", "is required")
    elif wrong := problem_of_url(url):
        yield Problem(f"{path}.url", wrong)
    events = hook.get("events") or []
    if not isinstance(events, list) or not all(event in EVENTS for event in events):
        yield Problem(f"{path}.events", f"must be a list of {', '.join(EVENTS)}")
    secret = hook.get("secret") or ""
    if not isinstance(secret, str) or len(secret) > MAX_SECRET or "\0" in secret:
        yield Problem(f"{path}.secret", f"must be text of at most {MAX_SECRET} characters")
