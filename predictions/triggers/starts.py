"""What the start node of an agent flow says of webhooks and schedules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from chatflows.flowdata import read_graph
from predictions.triggers.cron import CronInvalid, next_time, read_cron, read_zone

ResponseMode = Literal["sync", "async", "stream"]
WEBHOOK, SCHEDULE = "webhookTrigger", "scheduleInput"
SIGNATURE_HEADER = "X-Webhook-Signature"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Start:
    """The start node of a flow, as its author filled it in."""

    node_id: str
    label: str
    inputs: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return self.text("startInputType", "chatInput")

    def text(self, name: str, default: str = "") -> str:
        value = self.inputs.get(name)
        return value if isinstance(value, str) and value else default

    def rows(self, name: str) -> list[Mapping[str, Any]]:
        """The rows of a table, those without a name left out."""
        value = self.inputs.get(name)
        return [row for row in value if isinstance(row, dict) and row.get("name")] if isinstance(value, list) else []

    def flag(self, name: str) -> bool | None:
        """None if the author has not said."""
        value = self.inputs.get(name)
        if value in (True, "true"):
            return True
        return False if value in (False, "false") else None


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a flow runs by itself. Nothing is due after `ends_at`."""

    expression: str
    zone: str
    ends_at: datetime | None

    def next_after(self, moment: datetime) -> datetime | None:
        """In UTC; None if it is over, or what it says is no date that ever comes. Raises CronInvalid."""
        due = next_time(read_cron(self.expression), read_zone(self.zone), moment)
        return None if due is not None and self.ends_at is not None and due >= self.ends_at else due


def start_of(flow_data: str) -> Start | None:
    """The start node of an agent flow; None for graphs of other kinds. Raises FlowDataInvalid."""
    for node in read_graph(flow_data)["nodes"]:
        fields = node.get("data")
        if isinstance(fields, dict) and fields.get("name") == "startAgentflow":
            inputs = fields.get("inputs")
            return Start(
                str(node.get("id") or ""),
                str(fields.get("label") or "Start"),
                inputs if isinstance(inputs, dict) else {},
            )
    return None


def schedule_of(start: Start) -> Schedule:
    """Raises CronInvalid for a schedule that is not filled in, or cannot be read."""
    zone = start.text("scheduleTimezone", "UTC")
    expression = _expression(start)
    read_cron(expression)
    return Schedule(expression, zone, _end(start.text("scheduleEndDate"), read_zone(zone)))


def _expression(start: Start) -> str:
    if start.text("scheduleType", "visualPicker") == "cronExpression":
        fields = start.text("scheduleCronExpression").split()
        # Some write the second before the minute; runs start when the minute does.
        return " ".join(fields[1:] if len(fields) == 6 else fields)
    hour, minute = _clock(start.text("scheduleOnTime", "00:00"))
    match start.text("scheduleFrequency"):
        case "hourly":
            return f"{_listed(start, 'scheduleOnMinute') or '0'} * * * *"
        case "daily":
            return f"{minute} {hour} * * *"
        case "weekly" if days := _listed(start, "scheduleOnDayOfWeek"):
            return f"{minute} {hour} * * {days}"
        case "monthly" if days := _listed(start, "scheduleOnDayOfMonth"):
            return f"{minute} {hour} {days} * *"
    raise CronInvalid("the schedule does not say when: choose a frequency, and the days that go with it")


def _clock(text: str) -> tuple[int, int]:
    """Pickers write `09:30`, and some a whole date."""
    try:
        read = datetime.fromisoformat(text) if "T" in text else time.fromisoformat(text)
    except ValueError as exc:
        raise CronInvalid(f"'{text[:40]}' is no time of day: write it as 09:30") from exc
    return read.hour, read.minute


def _listed(start: Start, name: str) -> str:
    """Days that were picked: a list, a number, or text with commas between."""
    value = start.inputs.get(name)
    found = value if isinstance(value, Sequence) and not isinstance(value, str) else str(value or 0).split(",")
    listed = ",".join(str(item).strip() for item in found if str(item).strip())
    return listed if value not in (None, "", []) else ""


def _end(text: str, zone: ZoneInfo) -> datetime | None:
    """The last day counts to its end."""
    if not text:
        return None
    try:
        last = date.fromisoformat(text[:10])
    except ValueError as exc:
        raise CronInvalid(f"'{text[:40]}' is no date: write it as YYYY-MM-DD") from exc
    return datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC)
