"""Whatever nodes put into events and rows, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum

import orjson

DEEPEST = 200  # levels; the encoder's own limit is 254, and what is encoded here may be put into something else
TOO_DEEP = "(nested too deeply)"
LONGEST_INT = 64  # bits


def encode(value: object) -> bytes:
    """Its JSON; what JSON does not know is said in words. Never refuses: the end of a run may depend on it."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return orjson.dumps(_mended(value, DEEPEST))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return sorted(value, key=str)
    return str(value)


def _mended(value: object, levels: int) -> object:
    """The value without what the encoder refuses: half characters, very large numbers, nesting without end."""
    match value:
        case None | bool() | float():
            return value
        case str():
            return _whole(value)
        case int():
            return value if value.bit_length() < LONGEST_INT else hex(value)
        case Enum():
            return _mended(value.value, levels)
        case date() | time():
            return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, Set):
        value = sorted(value, key=str)
    if not isinstance(value, Mapping | list | tuple):
        return _whole(str(value))
    if not levels:
        return TOO_DEEP
    if isinstance(value, Mapping):
        return {_key(key): _mended(item, levels - 1) for key, item in value.items()}
    return [_mended(item, levels - 1) for item in value]


def _key(key: object) -> str:
    plain = _mended(key, 0)
    return plain if isinstance(plain, str) else orjson.dumps(plain).decode()


def _whole(text: str) -> str:
    """Its surrogates as the characters that they make in pairs; half of one is no character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
