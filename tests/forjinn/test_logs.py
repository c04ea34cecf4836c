"""What a log line shows, and what it never does."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from forjinn.core.logs import FieldsFormatter

RANDOM = "aB3_-" * 8


def line(message: str, **fields: Any) -> str:
    record = logging.LogRecord("forjinn.test", logging.INFO, __file__, 1, message, None, None)
    vars(record).update(fields)
    return FieldsFormatter().format(record)


def test_fields_follow_the_message() -> None:
    shown = line("run failed", attempt=3, error='said "no"', empty="")

    assert shown == 'INFO forjinn.test run failed attempt=3 error="said \\"no\\"" empty=""'


@pytest.mark.parametrize(
    "message",
    [
        f"called with fj-{RANDOM}",
        f"called with cf_{RANDOM}",
        f"called with pk-{RANDOM}",
        f"Not Found: /api/v1/chatflows/Bearer%20fj-{RANDOM}",
        f"GET /api/stepflow/runs/run_1?token=pat_{RANDOM}",
        f"GET /api/v1/chatflows?apiKey={RANDOM}&page=2",
        f"Authorization: Bearer {RANDOM}",
        f"postgresql://ann:{RANDOM}@db/flows",
        f"Not Found: /api/webhooks/{RANDOM}",
    ],
)
def test_secrets_are_cut_out_of_messages_and_fields(message: str) -> None:
    assert RANDOM not in line(message)
    assert RANDOM not in line("called", said=message)


@pytest.mark.parametrize("name", ["password", "api_key", "apiKey", "authorization", "access_token", "client_secret"])
def test_fields_that_are_named_like_secrets_are_not_shown(name: str) -> None:
    assert line("called", **{name: RANDOM}).endswith(f"{name}=…")


def test_a_message_stays_one_line() -> None:
    assert "\n" not in line("one\ntwo", said="three\nfour")
