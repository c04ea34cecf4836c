"""Paths into JSON, as people write them: `items[0].name`, `items[*].name`, `$.items`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MOST_STEPS = 100
STEP = re.compile(r"""\[\s*(-?\d+|\*)\s*\]|\[\s*["']([^"']*)["']\s*\]|([^.\[\]]+)""")


def follow(value: Any, path: str) -> Any:
    """The value at a path; a `*` makes a list of what stands at the rest of it in each item.

    Raises LookupError if nothing is there.
    """
    steps = STEP.findall(path.strip().removeprefix("$"))
    if len(steps) > MOST_STEPS:
        raise LookupError(path)
    return _walk(value, steps)


def _walk(value: Any, steps: list[tuple[str, str, str]]) -> Any:
    if not steps:
        return value
    (place, key, name), *rest = steps
    if place == "*" or name.strip() == "*":
        if not isinstance(value, list):
            raise LookupError("*")
        return [_walk(item, rest) for item in value]
    if isinstance(value, list):
        return _walk(value[_index(place or name.strip())], rest)
    if isinstance(value, Mapping):
        return _walk(value[place or key or name.strip()], rest)
    raise LookupError(place or key or name)


def _index(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,9}", text):
        raise LookupError(text)
    return int(text)
