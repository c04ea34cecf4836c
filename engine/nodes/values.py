"""Reads the loose values of exported inputs: numbers as text, switches as text, JSON as text or as it is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import json5
import orjson

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.spec import Inputs
from engine.templating import as_text

Kind = TypeVar("Kind")

LARGEST_INTEGER = 2**53
LONGEST_LENIENT = 10_000  # characters: to read JSON as people type it takes 20 ms a thousand, while all else waits


def text(inputs: Inputs, name: str, default: str = "") -> str:
    """Text as it is, anything else as JSON."""
    value = inputs.get(name)
    return default if value is None or value == "" else as_text(value)


def number(inputs: Inputs, name: str) -> float | None:
    """None if it is not given. Raises NodeInputError for anything that is no number, or not a finite one."""
    value = inputs.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        read = float(value)
    except (TypeError, ValueError, OverflowError):
        read = math.nan
    if not math.isfinite(read):
        raise NodeInputError(f"{name} must be a number, not {value!r:.80}.")
    return read


def integer(inputs: Inputs, name: str) -> int | None:
    """As `number`, without what stands behind the point; also refuses what JSON cannot carry exactly."""
    value = number(inputs, name)
    if value is not None and abs(value) > LARGEST_INTEGER:
        raise NodeInputError(f"{name} must be a whole number of a sensible size, not {value:g}.")
    return None if value is None else int(value)


def patience_s(inputs: Inputs, name: str) -> float | None:
    """Seconds, given as milliseconds; None if it is not given, or 0. Raises NodeInputError for a negative number."""
    milliseconds = number(inputs, name)
    if milliseconds is not None and milliseconds < 0:
        raise NodeInputError(
            f"{name} must be milliseconds to wait, not {milliseconds:g}: leave it empty for the default."
        )
    return milliseconds / 1000 if milliseconds else None


def flag(inputs: Inputs, name: str, default: bool = False) -> bool:
    """Older exports carry "true" and "false" as text."""
    value = inputs.get(name)
    if value is None or value == "":
        return default
    return value.strip().lower() == "true" if isinstance(value, str) else bool(value)


def mapping(inputs: Inputs, name: str) -> dict[str, Any]:
    """A JSON object, given as text or as it is; empty if it is not given. Raises NodeInputError for anything else."""
    value = _parsed(inputs, name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise NodeInputError(f"{name} must be a JSON object, not {type(value).__name__}.")
    return dict(value)


def headers(given: Mapping[Any, Any]) -> dict[str, str]:
    """Headers as they are sent; those that are null are not."""
    return {str(name): as_text(value) for name, value in given.items() if value is not None}


def items(inputs: Inputs, name: str) -> list[Mapping[str, Any]]:
    """A JSON list of objects, given as text or as it is. Raises NodeInputError for anything else."""
    value = _parsed(inputs, name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise NodeInputError(f"{name} must be a JSON list of objects.")
    return value


def lenient(written: str) -> Any:
    """JSON as people type it: with comments, single quotes, trailing commas, stray back-slashes. Raises ValueError."""
    try:
        return orjson.loads(written)
    except ValueError:
        if len(written) > LONGEST_LENIENT:
            raise
    try:
        try:
            return json5.loads(written)
        except ValueError:
            return json5.loads(written.replace("\\", ""))
    except RecursionError as exc:
        raise ValueError("It is nested too deeply.") from exc


def _parsed(inputs: Inputs, name: str) -> Any:
    value = inputs.get(name)
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return orjson.loads(value)
    except ValueError:
        return _pasted(value, name)


def _pasted(value: str, name: str) -> Any:
    """Line breaks inside strings are what people paste there; a strict reader refuses them."""
    try:
        read = json.loads(value, strict=False)
        # What cannot be written again, such as half a surrogate pair, would break whatever it is sent to.
        orjson.dumps(read)
    except RecursionError as exc:
        raise NodeInputError(f"{name} must be JSON that is not nested as deeply.") from exc
    except (ValueError, TypeError) as exc:
        raise NodeInputError(f"{name} must be JSON: {exc}.") from exc
    return read


def connected(inputs: Inputs, name: str, kind: type[Kind], what: str) -> Kind:
    """What an edge brings to an anchor. Raises NodeInputError if there is nothing, or something else."""
    value = inputs.get(name)
    if not isinstance(value, kind):
        raise NodeInputError(f"{what}: connect one to its {name!r}.")
    return value


async def credential(ctx: NodeContext, inputs: Inputs) -> Mapping[str, str]:
    """The fields of the credential connected to the node; empty if there is none.

    A component that another node configures brings its own in `FLOWISE_CREDENTIAL_ID`.
    """
    chosen = inputs.get("FLOWISE_CREDENTIAL_ID") or inputs.get("credential") or ctx.node.credential
    return await ctx.world.credentials.resolve(str(chosen)) if chosen else {}
