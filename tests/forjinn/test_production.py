"""What is misconfigured is named; in production nothing starts with unsafe secrets, or for every host name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from forjinn.checks import check_hosts, check_numbers, check_public_url, check_secrets

ROOT = Path(__file__).resolve().parents[2]
SAFE = {
    "FORJINN_PRODUCTION": "true",
    "SECRET_KEY": "7uQ0vW1xR2yT3zK4aB5cD6eF7gH8iJ9kL0mN1oP2",
    "API_KEY_PEPPER": "9f86d081884c7d659a2feaa0c55ad015",
    "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "ALLOWED_HOSTS": "flows.example.org",
    "DATABASE_URL": "postgresql://127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}
STARTS = {
    "web": ["-c", "import forjinn.asgi"],
    "worker": ["-m", "celery", "-A", "forjinn", "report"],
    "command": ["manage.py", "check"],
}


def start(kind: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Load what such a process loads first."""
    environment = {"PATH": os.environ["PATH"], **SAFE, **changed}
    command = [sys.executable, *STARTS[kind]]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("kind", STARTS)
def test_what_is_unsafe_does_not_start(kind: str) -> None:
    done = start(kind, SECRET_KEY="", API_KEY_PEPPER="changeme" * 4, ALLOWED_HOSTS="")

    assert done.returncode != 0
    for told in ("SECRET_KEY is not set", "API_KEY_PEPPER is easily guessed", "ALLOWED_HOSTS accepts every host name"):
        assert told in done.stderr
    assert "changeme" not in done.stderr


@pytest.mark.parametrize("kind", STARTS)
def test_what_is_safe_starts(kind: str) -> None:
    done = start(kind)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("key", ["", "short", "a" * 50, "changeme" * 8, "django-insecure-" + SAFE["SECRET_KEY"]])
def test_a_key_that_can_be_guessed_is_named_with_the_way_out(settings: Settings, key: str) -> None:
    settings.SECRET_KEY = key

    (problem,) = check_secrets()

    assert problem.msg.startswith("SECRET_KEY is ")
    assert "openssl rand" in (problem.hint or "")


@pytest.mark.parametrize("keys", [[], ["nope"], ["A" * 43 + "="], [SAFE["ENCRYPTION_KEYS"], "old"]])
def test_keys_that_seal_nothing_are_refused(settings: Settings, keys: list[str]) -> None:
    settings.ENCRYPTION_KEYS = keys

    assert [problem.id for problem in check_secrets()] == ["forjinn.E005"]


@pytest.mark.parametrize("value", [0, -1])
def test_a_number_that_nothing_can_be_done_with_is_named(settings: Settings, value: int) -> None:
    assert check_numbers() == []
    settings.PREDICTION_CONCURRENCY = value

    (problem,) = check_numbers()

    assert problem.msg == f"PREDICTION_CONCURRENCY is {value}."


def test_every_host_name_is_refused_in_production_only(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert check_hosts() == []

    settings.PRODUCTION = True

    assert [problem.id for problem in check_hosts()] == ["forjinn.E007"]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://flows.example.org", []),
        ("http://flows.example.org", ["forjinn.W002"]),
        ("flows.example.org", ["forjinn.W002"]),
    ],
)
def test_links_in_mails_that_others_can_read_are_warned_of_in_production(
    settings: Settings, url: str, told: list[str]
) -> None:
    settings.PUBLIC_URL = url
    assert check_public_url() == []

    settings.PRODUCTION = True

    assert [problem.id for problem in check_public_url()] == told
