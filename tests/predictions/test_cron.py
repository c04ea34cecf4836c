"""When an expression is due: days, names, and clocks that are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from predictions.triggers.cron import CronInvalid, next_time, read_cron, read_zone


def due(expression: str, zone: str, after: str) -> str | None:
    found = next_time(read_cron(expression), read_zone(zone), datetime.fromisoformat(after).replace(tzinfo=UTC))
    return found.strftime("%Y-%m-%d %H:%M") if found else None


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", "2026-01-01 00:01"),
        ("everyMinute", "2026-01-01 00:01"),
        ("weekly", "2026-01-05 09:00"),
        ("5/20 * * * ?", "2026-01-01 00:05"),
        ("*/15 1,3 * * *", "2026-01-01 01:00"),
        ("0 9 * * mon-fri", "2026-01-01 09:00"),
        ("0 9 * * 7", "2026-01-04 09:00"),
        ("0 9 * * SUN", "2026-01-04 09:00"),
        ("0 0 29 feb *", "2028-02-29 00:00"),
        ("0 0 31 2 *", None),
    ],
)
def test_an_expression_is_due_when_it_says(expression: str, expected: str | None) -> None:
    assert due(expression, "UTC", "2026-01-01 00:00:00") == expected


def test_either_day_will_do_if_both_are_restricted() -> None:
    assert due("0 0 20 * 5", "UTC", "2026-01-01 00:00") == "2026-01-02 00:00"
    assert due("0 0 20 * 5", "UTC", "2026-01-16 00:00") == "2026-01-20 00:00"
    assert due("0 0 */2 * 5", "UTC", "2026-01-03 00:00") == "2026-01-09 00:00"


def test_an_expression_is_meant_in_its_time_zone() -> None:
    assert due("30 9 * * *", "Asia/Tokyo", "2026-01-01 00:00") == "2026-01-01 00:30"
    assert due("30 9 * * *", "Asia/Tokyo", "2026-01-01 00:30") == "2026-01-02 00:30"


def test_a_time_that_the_clocks_skip_comes_right_after() -> None:
    assert due("30 2 * * *", "Europe/Berlin", "2026-03-29 00:59") == "2026-03-29 01:30"
    assert due("30 2 * * *", "Europe/Berlin", "2026-03-29 01:10") == "2026-03-29 01:30"
    assert due("30 2 * * *", "Europe/Berlin", "2026-03-29 01:30") == "2026-03-30 00:30"


def test_a_time_that_the_clocks_show_twice_counts_once() -> None:
    assert due("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00") == "2026-10-25 00:30"
    assert due("30 2 * * *", "Europe/Berlin", "2026-10-25 00:30") == "2026-10-26 01:30"


def test_what_names_no_hour_goes_on_while_the_clocks_are_put_back() -> None:
    assert due("0 * * * *", "Europe/Berlin", "2026-10-25 00:00") == "2026-10-25 01:00"
    assert due("*/10 * * * *", "Europe/Berlin", "2026-10-25 00:50") == "2026-10-25 01:00"


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * *", "61 * * * *", "*/0 * * * *", "a * * * *", "* * * mon *", "* * * * jan",
     "5-1-2 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "-1 * * * *", ", * * * *", "999 * * * *"],
)  # fmt: skip
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(CronInvalid):
        read_cron(expression)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "a\0b"])
def test_what_is_no_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(CronInvalid, match="no time zone"):
        read_zone(zone)
