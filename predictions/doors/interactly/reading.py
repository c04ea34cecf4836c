"""What a request of this API may say, read once; what cannot be read is refused with every fault that it has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from django.http import HttpRequest

from engine.flow import DEEPEST, is_deeper
from forjinn.core import query
from forjinn.core.errors import BadRequest
from predictions.doors.interactly.refusals import Fault, Unreadable

COMMANDS = ("start", "data", "resume", "pause", "stop")
ORDERS = ("resume", "pause", "stop")  # to a run that is there
OBJECT_ID = re.compile("[0-9a-f]{24}")
PATTERN = "^[0-9a-f]{24}$"
MAIN_THREAD = "0"
OBJECTS = ("dynamic_variables", "runtime_variables", "miscellaneous", "thread_to_node_inputs")
TEXTS = ("workflow_id", "run_by", "workflow_run_id", "team_id", "start_node_logical_id", "welcome_message")

Loc = tuple[str | int, ...]
Faults = Iterator[Fault]


@dataclass(frozen=True, slots=True)
class RunInput:
    """`run_input` of a turn. `said`: the user's words, None if there are none."""

    command: str = "start"
    dynamic_variables: Mapping[str, Any] = field(default_factory=dict)
    runtime_variables: Mapping[str, Any] = field(default_factory=dict)
    version_number: int | None = None
    workflow_id: str | None = None
    workflow_run_id: str | None = None
    said: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)  # as it was sent

    @property
    def variables(self) -> dict[str, Any]:
        return {**self.dynamic_variables, **self.runtime_variables}

    def unused(self) -> list[str]:
        """What was sent, and has no meaning here, in words."""
        words = {
            "start_node_logical_id": "start_node_logical_id is not used: a run begins at the workflow's start node",
            "initial_state": "initial_state is not used: a run begins without a state of another",
            "welcome_message": "welcome_message is not used: it is for voice engines",
        }
        return [text for name, text in words.items() if self.given.get(name)]


@dataclass(frozen=True, slots=True)
class Turn:
    """One call of execute."""

    run_input: RunInput
    run_id: str | None
    version: int | None


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list shows."""

    page: int
    size: int
    workflow_id: str | None
    status: str | None
    start: datetime | None
    end: datetime | None


def check_workflow_id(workflow_id: str, where: Loc = ("path", "workflow_id")) -> None:
    """Raises Unreadable for what is not 24 lower-case hexadecimal digits."""
    if len(workflow_id) < 24:
        raise Unreadable(
            [Fault(where, "String should have at least 24 characters", "string_too_short", {"min_length": 24})]
        )
    if len(workflow_id) > 24:
        raise Unreadable(
            [Fault(where, "String should have at most 24 characters", "string_too_long", {"max_length": 24})]
        )
    if not OBJECT_ID.fullmatch(workflow_id):
        words = f"String should match pattern '{PATTERN}'"
        raise Unreadable([Fault(where, words, "string_pattern_mismatch", {"pattern": PATTERN})])


def read_body(request: HttpRequest) -> Turn:
    """The query and body of a turn. Raises Unreadable."""
    faults: list[Fault] = []
    version = _version(request, faults)
    body = _json_object(request)
    run_id = body.get("run_id")
    if run_id is not None and not isinstance(run_id, str):
        faults.append(_not_text(("body", "run_id")))
    if "run_input" not in body:
        faults.append(Fault(("body", "run_input"), "Field required", "missing"))
    else:
        faults += _faults_of(body["run_input"], ("body", "run_input"))
    if not faults and not run_id and body["run_input"].get("command") in ORDERS:
        faults.append(Fault(("body", "run_id"), "Field required by this command", "missing"))
    if faults:
        raise Unreadable(faults)
    return Turn(_run_input(body["run_input"]), run_id or None, version)


def read_run_input(request: HttpRequest) -> RunInput:
    """A body that is a run_input itself. Raises Unreadable."""
    body = _json_object(request)
    faults = list(_faults_of(body, ("body",)))
    if body.get("workflow_id") is None and not faults:
        faults.append(Fault(("body", "workflow_id"), "Field required", "missing"))
    if not faults and not body.get("workflow_run_id") and body.get("command") in ORDERS:
        faults.append(Fault(("body", "workflow_run_id"), "Field required by this command", "missing"))
    if faults:
        raise Unreadable(faults)
    return _run_input(body)


def read_filter(request: HttpRequest, statuses: Sequence[str]) -> RunFilter:
    """The query of a list of runs. Raises Unreadable."""
    faults: list[Fault] = []
    sent = request.GET
    page = _whole(sent.get("page", "1"), ("query", "page"), faults, least=1, most=1_000_000)
    size = _whole(sent.get("size", "100"), ("query", "size"), faults, least=1, most=1000)
    workflow_id = sent.get("workflow_id")
    if workflow_id is not None and not OBJECT_ID.fullmatch(workflow_id):
        where = ("query", "workflow_id")
        words = f"String should match pattern '{PATTERN}'"
        faults.append(Fault(where, words, "string_pattern_mismatch", {"pattern": PATTERN}))
    status = sent.get("status")
    if status is not None and status not in statuses:
        faults.append(_not_among(("query", "status"), statuses))
    start, end = (_date(sent.get(name), ("query", name), faults) for name in ("start", "end"))
    if faults:
        raise Unreadable(faults)
    return RunFilter(page or 1, size or 1, workflow_id, status, start, end)


def _json_object(request: HttpRequest) -> dict[str, Any]:
    if not request.body:
        raise Unreadable([Fault(("body",), "Field required", "missing")])
    try:
        body = json.loads(request.body)  # not the faster one: this says where it broke, as clients of this API expect
    except json.JSONDecodeError as exc:
        raise Unreadable([Fault(("body", exc.pos), "JSON decode error", "json_invalid", {"error": exc.msg})]) from exc
    except (ValueError, RecursionError) as exc:  # bytes that are no text, a number of more digits than are read
        raise Unreadable([Fault(("body", 0), "JSON decode error", "json_invalid", {"error": str(exc)})]) from exc
    if not isinstance(body, dict):
        words = "Input should be a valid dictionary or object to extract fields from"
        raise Unreadable([Fault(("body",), words, "model_attributes_type")])
    _check_kept(body)
    return body


def _check_kept(body: Mapping[str, Any]) -> None:
    """Raises Unreadable for JSON that no database row and no template can hold."""
    if is_deeper(body, DEEPEST):
        raise Unreadable([Fault(("body",), f"Nested more than {DEEPEST} levels deep", "recursion_loop")])
    try:
        written = orjson.dumps(body)
    except TypeError as exc:  # a whole number beyond 64 bits, half a character
        raise Unreadable([Fault(("body",), f"Value cannot be kept: {exc}", "value_error")]) from exc
    if b"\\u0000" in written:
        raise Unreadable([Fault(("body",), "The character NUL cannot be kept", "value_error")])


def _faults_of(given: Any, where: Loc) -> Faults:
    if not isinstance(given, dict):
        words = "Input should be a valid dictionary or object to extract fields from"
        yield Fault(where, words, "model_attributes_type")
        return
    for name in OBJECTS:
        if name in given and not isinstance(given[name], dict):
            yield Fault((*where, name), "Input should be a valid dictionary", "dict_type")
    for name in TEXTS:
        if given.get(name) is not None and not isinstance(given[name], str):
            yield _not_text((*where, name))
    if given.get("initial_state") is not None and not isinstance(given["initial_state"], dict):
        yield Fault((*where, "initial_state"), "Input should be a valid dictionary", "dict_type")
    if "command" in given and given["command"] not in COMMANDS:
        yield _not_among((*where, "command"), COMMANDS)
    yield from _version_faults(given.get("version_number"), (*where, "version_number"))
    if isinstance(threads := given.get("thread_to_node_inputs"), dict):
        yield from _thread_faults(threads, (*where, "thread_to_node_inputs"))


def _version_faults(number: Any, where: Loc) -> Faults:
    if number is None:
        return
    if isinstance(number, bool) or not isinstance(number, int):
        yield Fault(where, "Input should be a valid integer", "int_type")
    elif number < 0:
        yield Fault(where, "Input should be greater than or equal to 0", "greater_than_equal", {"ge": 0})


def _thread_faults(threads: Mapping[str, Any], where: Loc) -> Faults:
    for name, thread in threads.items():
        here = (*where, name)
        if name != MAIN_THREAD:
            yield Fault(here, f"Thread should be '{MAIN_THREAD}': runs have one thread", "literal_error")
        elif not isinstance(thread, dict):
            yield Fault(here, "Input should be a valid dictionary", "dict_type")
        else:
            yield from _items(thread, "node_run_inputs", here, _node_input_faults)


def _node_input_faults(given: Mapping[str, Any], where: Loc) -> Faults:
    yield from _items(given, "messages", where, _message_faults)


def _message_faults(given: Mapping[str, Any], where: Loc) -> Faults:
    content = given.get("content")
    if given.get("type") == "human" and not isinstance(content, str | list):
        yield _not_text((*where, "content"))


def _items(
    given: Mapping[str, Any], name: str, where: Loc, inner: Callable[[Mapping[str, Any], Loc], Faults]
) -> Faults:
    """The faults of a list of objects, which may be absent."""
    items = given.get(name)
    if items is None:
        return
    if not isinstance(items, list):
        yield Fault((*where, name), "Input should be a valid list", "list_type")
        return
    for index, item in enumerate(items):
        here = (*where, name, index)
        if isinstance(item, dict):
            yield from inner(item, here)
        else:
            yield Fault(here, "Input should be a valid dictionary", "dict_type")


def _run_input(given: Mapping[str, Any]) -> RunInput:
    dynamic = given.get("dynamic_variables", {})
    message = dynamic.get("user_message")
    said = "\n".join(_human_texts(given.get("thread_to_node_inputs", {})))
    return RunInput(
        command=given.get("command", "start"),
        dynamic_variables=dynamic,
        runtime_variables=given.get("runtime_variables", {}),
        version_number=given.get("version_number"),
        workflow_id=given.get("workflow_id"),
        workflow_run_id=given.get("workflow_run_id") or None,
        said=said or (message if isinstance(message, str) and message else None),
        given=given,
    )


def _human_texts(threads: Mapping[str, Any]) -> Iterator[str]:
    """What people say in the messages of the main thread; of rich content the parts that are text."""
    for given in (threads.get(MAIN_THREAD) or {}).get("node_run_inputs") or ():
        for message in given.get("messages") or ():
            if message.get("type") != "human":
                continue
            content = message["content"]
            parts = [content] if isinstance(content, str) else content
            yield from (text for part in parts if (text := _text_of(part)))


def _text_of(part: Any) -> str:
    if isinstance(part, str):
        return part
    return str(part.get("text") or "") if isinstance(part, dict) and part.get("type") == "text" else ""


def _version(request: HttpRequest, faults: list[Fault]) -> int | None:
    text = request.GET.get("version")
    return None if text is None else _whole(text, ("query", "version"), faults, least=0, most=None)


def _whole(text: str, where: Loc, faults: list[Fault], *, least: int, most: int | None) -> int | None:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()):
        words = "Input should be a valid integer, unable to parse string as an integer"
        faults.append(Fault(where, words, "int_parsing"))
        return None
    number = int(text)
    if number < least:
        words = f"Input should be greater than or equal to {least}"
        faults.append(Fault(where, words, "greater_than_equal", {"ge": least}))
    elif most is not None and number > most:
        faults.append(Fault(where, f"Input should be less than or equal to {most}", "less_than_equal", {"le": most}))
    return number


def _date(text: str | None, where: Loc, faults: list[Fault]) -> datetime | None:
    if text is None:
        return None
    try:
        return query.date(str(where[-1]), text)
    except BadRequest:
        faults.append(Fault(where, "Input should be a valid datetime", "datetime_from_date_parsing"))
        return None


def _not_text(where: Loc) -> Fault:
    return Fault(where, "Input should be a valid string", "string_type")


def _not_among(where: Loc, names: Sequence[str]) -> Fault:
    quoted = [f"'{name}'" for name in names]
    expected = f"{', '.join(quoted[:-1])} or {quoted[-1]}"
    return Fault(where, f"Input should be {expected}", "enum", {"expected": expected})
