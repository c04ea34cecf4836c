"""Output parsers: what a model is told about the shape of its answer, and how the answer is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import regex
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

PATTERN_S = 0.1  # a pattern that takes longer was made to
FENCED = re.compile(r"```(?:json)?(.*?)```", re.DOTALL | re.IGNORECASE)


class Unparsable(ValueError):
    """An answer that has another shape than it should; the message can be shown to the model."""


@dataclass(frozen=True, slots=True)
class OutputParser:
    """`instructions` go to the model, `read` makes a value of its answer or raises Unparsable."""

    instructions: str
    read: Callable[[str], Any]
    autofix: bool = False  # ask the model once more when its answer cannot be read


def _check_pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    if not isinstance(value, str):
        return
    try:
        matches = regex.search(pattern, value, timeout=PATTERN_S)
    except (TimeoutError, regex.error):
        matches = None
    if matches is None:
        yield ValidationError(f"{value!r} does not match {pattern!r}")


# The stubs of jsonschema leave `extend` untyped.
_Validator = extend(Draft202012Validator, {"pattern": _check_pattern})  # type: ignore[no-untyped-call]


def json_parser(schema: Mapping[str, Any], *, autofix: bool) -> OutputParser:
    """Reads JSON that follows a JSON Schema."""
    validator = _Validator(schema)

    def read(answer: str) -> Any:
        value = find_json(answer)
        if error := next(iter(sorted(validator.iter_errors(value), key=lambda e: len(e.absolute_path))), None):
            raise Unparsable(f"At {error.json_path}: {error.message}")
        return value

    shown = orjson.dumps(schema).decode()
    return OutputParser(
        "Answer with nothing but JSON that follows this JSON Schema, in a fenced block that begins with ```json:\n"
        f"{shown}",
        read,
        autofix,
    )


def list_parser(*, length: int | None, separator: str, autofix: bool) -> OutputParser:
    """Reads a list of texts; of `length` items, if given."""
    count = f"a list of {length} items" if length else "a list of items"

    def read(answer: str) -> list[str]:
        items = [item for part in answer.strip().split(separator) if (item := part.strip())]
        if length and len(items) != length:
            raise Unparsable(f"Expected {length} items, found {len(items)}.")
        return items

    return OutputParser(
        f"Answer with nothing but {count}, separated by {separator!r}, such as: foo{separator} bar{separator} baz",
        read,
        autofix,
    )


def find_json(answer: str) -> Any:
    """The JSON value in an answer: all of it, a fenced block in it, or what stands between its outermost brackets."""
    candidates = [answer.strip(), *(found[1].strip() for found in FENCED.finditer(answer))]
    starts = [at for at in (answer.find("{"), answer.find("[")) if at >= 0]
    if starts:
        candidates.append(answer[min(starts) : max(answer.rfind("}"), answer.rfind("]")) + 1])
    for candidate in candidates:
        try:
            return orjson.loads(candidate)
        except ValueError:
            continue
    raise Unparsable("It is not JSON.")


def read_choice(said: str, question: str) -> tuple[str, str]:
    """Whom a model that routes a question chose, and the question as it put it.

    Nobody, and the question as it is, if the model did not keep to the form.
    """
    try:
        answer = find_json(said)
    except Unparsable:
        answer = None
    if not isinstance(answer, Mapping):
        return "", question
    reworded = answer.get("next_inputs")
    return str(answer.get("destination")), reworded if isinstance(reworded, str) and reworded.strip() else question
