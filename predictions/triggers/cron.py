"""Cron expressions of five fields: what they say, and when they are due next.

A day matches as everywhere: if both the day of the month and the day of the week are restricted, either will do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from celery.schedules import ParseException, crontab_parser

PRESETS = {
    "everyMinute": "* * * * *",
    "hourly": "0 * * * *",
    "daily": "0 9 * * *",
    "weekly": "0 9 * * 1",
    "monthly": "0 9 1 * *",
}
LONGEST_WAIT_D = 366 * 8 + 1  # to the next 29 February, over a year that is none

NUMBER = "[0-9]{1,2}"
MONTHS = f"(?:{NUMBER}|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
WEEKDAYS = f"(?:{NUMBER}|sun|mon|tue|wed|thu|fri|sat)"
FROM_ON = re.compile(r"([0-9]+)(/[0-9]+)")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    first: int
    last: int
    value: str = NUMBER

    def is_said_by(self, part: str) -> bool:
        return re.fullmatch(rf"(?:\*|{self.value}(?:-{self.value})?)(?:/{NUMBER})?", part) is not None


FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, MONTHS),
    _Field("day of the week", 0, 7, WEEKDAYS),  # Sunday is 0 and 7
)


class CronInvalid(ValueError):
    """This is no cron expression, or no time zone; the message says why."""


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression, read."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_any_day: bool
    is_any_weekday: bool

    def has_day(self, day: date) -> bool:
        """Whether anything is due on this day."""
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (of_month and of_week) if self.is_any_day or self.is_any_weekday else (of_month or of_week)


@lru_cache(maxsize=1024)
def read_cron(text: str) -> Cron:
    """The expression, or that of a preset's name. Raises CronInvalid."""
    parts = PRESETS.get(text, text).lower().split()
    if len(parts) != len(FIELDS):
        raise CronInvalid(f"expected five fields such as 0 9 * * 1-5 or one of {', '.join(PRESETS)}; got '{text[:80]}'")
    days, weekdays = parts[2].replace("?", "*"), parts[4].replace("?", "*")
    parts[2], parts[4] = days, weekdays
    minutes, hours, of_month, months, of_week = map(_read, FIELDS, parts)
    return Cron(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        frozenset(of_month),
        frozenset(months),
        frozenset(day % 7 for day in of_week),
        is_any_day=days.startswith("*"),
        is_any_weekday=weekdays.startswith("*"),
    )


def read_zone(name: str) -> ZoneInfo:
    """The time zone of this IANA name. Raises CronInvalid."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise CronInvalid(f"there is no time zone '{name[:64]}': use a name such as Asia/Tokyo") from exc


def next_time(cron: Cron, zone: ZoneInfo, after: datetime) -> datetime | None:
    """When it is due for the first time after that moment, in UTC; None if never.

    A time that the clocks skip comes when they have; one that they show twice counts once, but for expressions that
    name no hour.
    """
    begins = after.astimezone(zone)
    for number in range(LONGEST_WAIT_D):
        day = begins.date() + timedelta(days=number)
        if not cron.has_day(day):
            continue
        # A skipped time is an hour later than it says, so the hour before may still be due.
        hours = [hour for hour in cron.hours if number or hour >= begins.hour - 1]
        due = min((moment for moment in _moments(cron, zone, day, hours) if moment > after), default=None)
        if due is not None:
            return due
    return None


def _moments(cron: Cron, zone: ZoneInfo, day: date, hours: list[int]) -> Iterator[datetime]:
    folds = (0, 1) if len(cron.hours) == 24 else (0,)
    for hour in hours:
        for minute in cron.minutes:
            for fold in folds:
                local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone, fold=fold)
                yield local.astimezone(UTC)


def _read(field: _Field, text: str) -> set[int]:
    parts = text.split(",")
    if not all(map(field.is_said_by, parts)):
        raise CronInvalid(f"the {field.name} cannot be '{text[:40]}'")
    spelled = ",".join(part if "-" in part else FROM_ON.sub(rf"\1-{field.last}\2", part) for part in parts)
    try:
        found: set[int] = crontab_parser(field.last - field.first + 1, field.first).parse(spelled)
    except (ParseException, ValueError) as exc:
        raise CronInvalid(f"the {field.name} cannot be '{text[:40]}': {exc}") from exc
    return found
