"""A run's input as one JSON object: what other run APIs start flows with, held against what the flow declares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson

from chatflows.flowdata import DeclaredInput
from chatflows.records import FlowRecord
from engine.encoding import encode
from predictions.requests import PredictionRequest

ASKING = ("question", "message", "text", "query", "input")  # names of what a flow without a form is asked, first wins
LARGEST_BYTES = 1024 * 1024
YES_OR_NO = ("true", "false")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field of the input; `field` is empty if it is the whole."""

    field: str
    message: str


def problems_of(flow: FlowRecord, given: Mapping[str, Any]) -> list[Problem]:
    """What of the input does not fit the flow's form, one entry a field. Fields that it does not declare are fine."""
    found = [problem for declared in flow.inputs if (problem := _problem(declared, given.get(declared.name)))]
    if len(written := encode(given)) > LARGEST_BYTES:
        found.append(Problem("", f"has {len(written)} bytes as JSON; at most {LARGEST_BYTES} are taken"))
    elif b"\\u0000" in written:
        found.append(Problem("", "holds the character NUL, which cannot be kept"))
    return found


def request_of(flow: FlowRecord, given: Mapping[str, Any], *, wants_stream: bool = True) -> PredictionRequest:
    """The prediction that this input asks for, in a conversation of its own.

    All of it is the state that an agent flow begins with. A form's fields are its form as well; a flow without a form
    is asked what stands under one of the names in ASKING, or else the whole as JSON text.
    """
    chat_id = str(uuid4())
    form = {declared.name: given[declared.name] for declared in flow.inputs if declared.name in given}
    return PredictionRequest(
        question="" if flow.inputs else question_in(given),
        chat_id=chat_id,
        session_id=chat_id,
        wants_stream=wants_stream,
        form=form,
        state=given,
        is_new_chat=True,
    )


def question_in(given: Mapping[str, Any]) -> str:
    """What a flow without a form is asked."""
    said = next((given[name] for name in ASKING if isinstance(given.get(name), str) and given[name]), None)
    if said is not None:
        return str(said)
    return orjson.dumps(dict(given)).decode() if given else ""


def _problem(declared: DeclaredInput, value: Any) -> Problem | None:
    if value is None or value == "":
        return Problem(declared.name, "is required") if declared.is_required else None
    wanted = next(_misfits(declared, value), None)
    return Problem(declared.name, f"must be {wanted}") if wanted else None


def _misfits(declared: DeclaredInput, value: Any) -> Iterator[str]:
    match declared.kind:
        case "number" if not _is_number(value):
            yield "a number"
        case "boolean" if not isinstance(value, bool) and str(value).lower() not in YES_OR_NO:
            yield "true or false"
        case "options" if declared.options and str(value) not in declared.options:
            yield f"one of {', '.join(declared.options)}"
        case "string" if not isinstance(value, str | int | float):
            yield "text"


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False
