"""JSON out: orjson, and the standard library for what orjson refuses, whole numbers of more than 64 bits."""

from __future__ import annotations

import json
from typing import Any

import orjson


def to_json(value: Any) -> bytes:
    """The value in UTF-8. Big numbers come from PostgreSQL, which spells out what was sent as 1e30."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
