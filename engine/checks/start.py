"""Start nodes of agent flows: forms that can be filled in, webhooks and schedules that can go off."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.checks.problem import Problem
from engine.flow import Drawing, Node

FIELD_TYPES = ("string", "number", "boolean", "options")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CRON_PART = re.compile(r"(\*|[0-9A-Za-z]+(-[0-9A-Za-z]+)?)(/\d+)?(,(\*|[0-9A-Za-z]+(-[0-9A-Za-z]+)?)(/\d+)?)*|\?")
# What a frequency cannot do without.
SCHEDULES: Mapping[str, tuple[str, ...]] = {
    "hourly": ("scheduleOnMinute",),
    "daily": ("scheduleOnTime",),
    "weekly": ("scheduleOnDayOfWeek", "scheduleOnTime"),
    "monthly": ("scheduleOnDayOfMonth", "scheduleOnTime"),
}


def start_problems(drawing: Drawing) -> Iterator[Problem]:
    """What is wrong with the settings of the flow's start."""
    for node in drawing.nodes.values():
        if node.name != "startAgentflow":
            continue
        for field, message, fix in _problems(node):
            yield Problem(f"{node.label} ({node.id}): {message}", fix, node.id, field)


Found = Iterator[tuple[str, str, str]]


def _problems(node: Node) -> Found:
    match node.inputs.get("startInputType"):
        case "formInput":
            yield from _form(node.inputs, "formInputTypes")
        case "webhookTrigger":
            yield from _webhook(node.inputs)
        case "scheduleInput":
            yield from _schedule(node.inputs)


def _form(inputs: Mapping[str, Any], field: str) -> Found:
    rows = [row for row in _list(inputs, field) if isinstance(row, Mapping)]
    if not rows:
        yield field, "the form has no fields", "add one"
    names = [str(row.get("name") or "") for row in rows]
    for index, (row, name) in enumerate(zip(rows, names, strict=True)):
        where = f"{field}[{index}]"
        if not name:
            yield f"{where}.name", f"field {index + 1} of the form has no variable name", "give it one"
        elif name in names[:index]:
            yield f"{where}.name", f"two fields of the form are named {name!r}", "give each a name of its own"
        kind = row.get("type") or "string"
        if kind not in FIELD_TYPES:
            yield f"{where}.type", f"the form has no fields of type {kind!r}", f"use one of {', '.join(FIELD_TYPES)}"
        elif kind == "options" and not any(
            isinstance(option, Mapping) and option.get("option") for option in _list(row, "addOptions")
        ):
            yield f"{where}.addOptions", f"the form's {name!r} has nothing to choose from", "add options"


def _webhook(inputs: Mapping[str, Any]) -> Found:
    method = inputs.get("webhookMethod") or "POST"
    if method not in METHODS:
        yield "webhookMethod", f"no webhook is called by {method!r}", f"use one of {', '.join(METHODS)}"
    if inputs.get("webhookResponseMode") == "async" and not inputs.get("callbackUrl"):
        yield "callbackUrl", "an asynchronous webhook has nobody to tell its answer", "fill in the callback's address"
    if inputs.get("webhookEnableValidation") in (True, "true"):
        for field in ("webhookQueryParams", "webhookBodyParams", "webhookHeaderParams"):
            for index, row in enumerate(_list(inputs, field)):
                if not (isinstance(row, Mapping) and row.get("name")):
                    yield (
                        f"{field}[{index}].name",
                        f"row {index + 1} of {field} has no name",
                        "give it one or delete it",
                    )


def _schedule(inputs: Mapping[str, Any]) -> Found:
    if inputs.get("scheduleType") == "cronExpression":
        cron = str(inputs.get("scheduleCronExpression") or "")
        if len(cron.split()) not in (5, 6) or not all(CRON_PART.fullmatch(part) for part in cron.split()):
            yield "scheduleCronExpression", f"{cron!r} is no cron expression", "write one such as '0 9 * * 1-5'"
    else:
        frequency = str(inputs.get("scheduleFrequency") or "")
        if frequency not in SCHEDULES:
            yield "scheduleFrequency", "the schedule does not say how often", f"use one of {', '.join(SCHEDULES)}"
        for field in SCHEDULES.get(frequency, ()):
            if inputs.get(field) in (None, "", []):
                yield field, f"a schedule that runs {frequency} needs {field}", "fill it in"
    if not _is_zone(str(inputs.get("scheduleTimezone") or "UTC")):
        yield "scheduleTimezone", f"there is no time zone {inputs['scheduleTimezone']!r}", "use one such as Asia/Tokyo"
    if (end := inputs.get("scheduleEndDate")) and not _is_date(str(end)):
        yield "scheduleEndDate", f"{end!r} is no date", "write it as YYYY-MM-DD"
    if inputs.get("scheduleInputMode") == "form":
        yield from _form(inputs, "scheduleFormInputTypes")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def _list(inputs: Mapping[str, Any], name: str) -> list[Any]:
    value = inputs.get(name)
    return value if isinstance(value, list) else []
