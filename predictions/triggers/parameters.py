"""What a flow's start node says that its webhook's calls must bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from predictions.requests import RequestInvalid
from predictions.triggers.starts import FORM, Start

KINDS: Mapping[str, type | tuple[type, ...]] = {"string": str, "number": (int, float), "boolean": bool, "object": dict}


def check_parameters(
    start: Start, *, body: Mapping[str, Any], query: Mapping[str, str], headers: Mapping[str, str]
) -> None:
    """Raises RequestInvalid naming each parameter that is missing or of another type, if the node checks them."""
    if not start.flag("webhookEnableValidation"):
        return
    problems = [
        *_missing(start, "webhookQueryParams", "query parameter", query),
        *_missing(start, "webhookHeaderParams", "header", headers),
        *_missing(start, "webhookBodyParams", "body field", body),
        *_misfits(start, body),
    ]
    if problems:
        raise RequestInvalid("; ".join(problems))


def _missing(start: Start, table: str, what: str, given: Mapping[str, Any]) -> Iterator[str]:
    for row in start.rows(table):
        if row.get("required") in (True, "true") and given.get(str(row["name"])) in (None, ""):
            yield f"{what} {row['name']}: required"


def _misfits(start: Start, body: Mapping[str, Any]) -> Iterator[str]:
    is_form = start.text("webhookContentType") == FORM
    for row in start.rows("webhookBodyParams"):
        name, kind = str(row["name"]), str(row.get("type") or "string")
        value = body.get(name)
        if value not in (None, "") and not (_is_written(value, kind) if is_form else _is(value, kind)):
            yield f"body field {name}: must be {kind}"


def _is(value: Any, kind: str) -> bool:
    if kind.startswith("array[") and kind.endswith("]"):
        return isinstance(value, list) and all(_is(item, kind[6:-1]) for item in value)
    if isinstance(value, bool) and kind != "boolean":
        return False
    return isinstance(value, KINDS.get(kind, object))


def _is_written(value: Any, kind: str) -> bool:
    """Forms send text, and a name more than once for an array."""
    if kind.startswith("array[") and kind.endswith("]"):
        items = value if isinstance(value, list) else [value]
        return all(_is_written(item, kind[6:-1]) for item in items)
    match kind:
        case "number":
            return isinstance(value, str) and value.lstrip("-").replace(".", "", 1).isdecimal()
        case "boolean":
            return value in ("true", "false")
    return isinstance(value, str)
