"""Whatever nodes put into events and rows, as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import orjson


def encode(value: object) -> bytes:
    """Its JSON; what JSON does not know is said in words."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    return str(value)
