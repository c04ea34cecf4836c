"""Hooks that come with one run: what may be given, and what is kept of it."""

from __future__ import annotations

from typing import Any

import pytest

from forjinn.core.crypto import unseal
from predictions.hooks.models import EVENTS
from predictions.hooks.run_hooks import problems_of_hooks, stored_hooks

URL = "https://example.com/hooks"


def test_hooks_without_problems_are_kept_with_their_secret_sealed() -> None:
    given = [{"url": URL, "events": ["run.failed"], "secret": "between us"}, {"url": URL}]

    first, second = stored_hooks(given)

    assert problems_of_hooks(given) == []
    assert (first["url"], first["events"], unseal(first["secret"])) == (URL, ["run.failed"], "between us")
    assert second == {"url": URL, "events": list(EVENTS)}


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"url": URL}, ["hooks"]),
        ([{"url": URL}] * 6, ["hooks"]),
        (["x"], ["hooks[0]"]),
        ([{"url": URL}, {}], ["hooks[1].url"]),
        ([{"url": "https://192.168.0.1/"}], ["hooks[0].url"]),
        ([{"url": "http://example.com/"}], ["hooks[0].url"]),
        ([{"url": 5, "events": ["run.exploded"], "secret": 5}], ["hooks[0].url", "hooks[0].events", "hooks[0].secret"]),
        ([{"url": URL, "events": "run.failed"}], ["hooks[0].events"]),
        ([{"url": URL, "events": [[]]}], ["hooks[0].events"]),
        ([{"url": URL, "secret": "x" * 201}], ["hooks[0].secret"]),
    ],
)
def test_each_field_that_is_wrong_is_named(given: Any, fields: list[str]) -> None:
    assert [problem.field for problem in problems_of_hooks(given)] == fields
