"""Values that callers give: which params take any, and what fits each."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any

import orjson

from engine.spec import NodeSpec, Param
from engine.templating import Given
from engine.words import words_of

TEXT_KINDS = frozenset({"string", "date", "timePicker", "weekDaysPicker", "monthDaysPicker", "datePicker"})
JSON_KINDS = frozenset({"json", "datagrid"})
OPEN_KINDS = (
    TEXT_KINDS
    | JSON_KINDS
    | {"options", "asyncOptions", "multiOptions", "asyncMultiOptions", "number", "boolean", "array"}
)
OPENABLE_KINDS = OPEN_KINDS | {"code"}
# A param whose name holds one of these words leads to a secret, to code, to a file, or to another server or database.
WORDS = frozenset(
    (
        "apibase",
        "apikey",
        "args",
        "basepath",
        "baseoptions",
        "baseurl",
        "code",
        "command",
        "connection",
        "credential",
        "credentials",
        "database",
        "datasource",
        "directory",
        "driver",
        "additionalconfig",
        "endpoint",
        "env",
        "file",
        "filepath",
        "files",
        "folder",
        "function",
        "headers",
        "host",
        "hostname",
        "instanceapi",
        "javascript",
        "link",
        "mcp",
        "password",
        "path",
        "port",
        "proxy",
        "scheme",
        "script",
        "secret",
        "uri",
        "url",
    )
)
# Of these, what carries keys: no setting of the server opens it to callers.
SECRET_WORDS = frozenset({"apikey", "baseoptions", "credential", "credentials", "headers", "password", "secret"})
STORED_FILE = "FILE-STORAGE::"
MAX_DEPTH = 16
NAMES: Mapping[type, str] = {str: "text", bool: "a boolean", int: "a number", float: "a number", dict: "an object"}


class Misfit(Exception):
    """A value that its param does not take; the text says what it expects."""


def is_protected(param: Param) -> bool:
    """Whether callers cannot set it by a flow's rules alone."""
    return param.kind not in OPEN_KINDS or not WORDS.isdisjoint(_words(param))


def can_be_opened(param: Param) -> bool:
    """Whether the server's administrator can let callers set a protected param: never what carries a secret."""
    return param.kind in OPENABLE_KINDS and SECRET_WORDS.isdisjoint(_words(param))


def is_open(spec: NodeSpec, param: Param, opened: Collection[str]) -> bool:
    """Whether callers may set it where the flow's rules have it. `opened`: what the administrator lets through."""
    return not is_protected(param) or (opened_by(spec, param) in opened and can_be_opened(param))


def opened_by(spec: NodeSpec, param: Param) -> str:
    """The name by which the administrator opens a param, such as `chatOpenAI.basepath`."""
    return f"{spec.name}.{param.name}"


def typed(param: Param, value: Any) -> Any:
    """The value as the param's kind has it. Raises Misfit."""
    if param.kind in TEXT_KINDS or param.kind == "code":
        return _text(value)
    if param.kind in ("options", "asyncOptions"):
        return _choice(param, value)
    if param.kind in ("multiOptions", "asyncMultiOptions"):
        return [_choice(param, item) for item in _list(value)]
    if param.kind == "number":
        return _number(value)
    if param.kind == "boolean":
        return _boolean(value)
    if param.kind == "array":
        return [_row(param, item) for item in _list(value)]
    return _json(value)


def config_value(spec: NodeSpec | None, value: Any, opened: Collection[str] = ()) -> dict[str, Any]:
    """Inputs of a chosen component, each held against its own param. Raises Misfit for the first that does not fit."""
    if not isinstance(value, Mapping):
        raise Misfit(f"expected an object, got {_kind(value)}")
    taken = {}
    for name, held in value.items():
        param = spec.param(name) if spec else None
        if spec is None or param is None or not is_open(spec, param, opened):
            raise Misfit(f"{name[:80]!r} cannot be overridden")
        try:
            taken[name] = typed(param, held)
        except Misfit as exc:
            raise Misfit(f"{name}: {exc}") from exc
    return taken


def state_rows(value: Any) -> Any:
    """A state given as an object, in the rows in which the start node keeps it."""
    if not isinstance(value, Mapping):
        return value
    return [{"key": key, "value": held} for key, held in value.items()]


def with_state(present: Any, given: list[dict[str, Any]]) -> list[Any]:
    """The rows of a state with those given in place of the present ones of their keys."""
    keys = [row.get("key") for row in given]
    rows = _parsed(present)
    kept = (
        [row for row in rows if isinstance(row, Mapping) and row.get("key") not in keys]
        if isinstance(rows, list)
        else []
    )
    return [*kept, *given]


def joined(present: Any, given: Any) -> Any:
    """An array is added to the present one without repeating its items, an object is merged over it."""
    if isinstance(given, list | dict):
        present = _parsed(present)
    if isinstance(given, list) and isinstance(present, list):
        return [*present, *(item for item in given if item not in present)]
    if isinstance(given, dict) and isinstance(present, Mapping):
        return {**present, **given}
    return given


def _words(param: Param) -> list[str]:
    words = [word.lower() for word in words_of(param.name)]
    # `baseOptions` is telling as a whole, its words are not.
    return [*words, *("".join(pair) for pair in pairwise(words))]


def _text(value: Any) -> Given:
    if isinstance(value, bool):
        return Given(str(value).lower())
    if not isinstance(value, str | int | float):
        raise Misfit(f"expected text, got {_kind(value)}")
    text = str(value)
    if STORED_FILE in text:
        raise Misfit("a stored file cannot be named here")
    return Given(text)


def _choice(param: Param, value: Any) -> Given:
    text = _text(value)
    if param.options and text not in param.options:
        raise Misfit(f"expected one of {', '.join(param.options)}")
    return text


def _number(value: Any) -> float | int:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Misfit(f"expected a number, got {_kind(value)}")
    return number if isinstance(value, str) else value


def _boolean(value: Any) -> bool:
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise Misfit(f"expected true or false, got {_kind(value)}")


def _json(value: Any) -> Any:
    value = _parsed(value)
    if not isinstance(value, Mapping | list):
        raise Misfit(f"expected an object or a list, got {_kind(value)}")
    return _plain(value)


def _list(value: Any) -> list[Any]:
    value = _parsed(value)
    if not isinstance(value, list):
        raise Misfit(f"expected a list, got {_kind(value)}")
    return value


def _row(param: Param, item: Any) -> dict[str, Any]:
    """One item of an array: only fields that the array has, and nothing nested but what they are."""
    if not isinstance(item, Mapping):
        raise Misfit(f"expected objects in the list, got {_kind(item)}")
    fields = {column.name: column for column in param.fields if not is_protected(column)}
    row = {}
    for name, held in item.items():
        if name not in fields:
            raise Misfit(f"{str(name)[:80]!r} cannot be overridden")
        row[name] = typed(fields[name], held)
    return row


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _parsed(value: Any) -> Any:
    """JSON text of an object or a list as such; anything else as it is. Raises Misfit for bottomless nesting."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    _check_depth(value)
    return value


def _check_depth(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise Misfit(f"nested deeper than {MAX_DEPTH} levels")
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        _check_depth(item, depth + 1)


def _kind(value: Any) -> str:
    return NAMES.get(type(value), "a list" if isinstance(value, list) else "nothing" if value is None else "something")
