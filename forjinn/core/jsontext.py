"""JSON out: orjson, and the standard library for what orjson refuses; and how deep the JSON of others may be nested."""

from __future__ import annotations

import json
from typing import Any

import orjson

LONGEST_SETTINGS = 100_000  # characters of a flow's chatbotConfig, or its apiConfig
DEEPEST = 100  # levels; orjson reads a thousand and writes 254, and what is kept gets wrapped before it is written


def to_json(value: Any) -> bytes:
    """The value in UTF-8. Big numbers come from PostgreSQL, which spells out what was sent as 1e30."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def is_too_deep(value: Any, levels: int = DEEPEST) -> bool:
    """Whether arrays and objects lie in each other deeper than so many levels."""
    if not isinstance(value, dict | list):
        return False
    held = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_too_deep(one, levels - 1) for one in held)
