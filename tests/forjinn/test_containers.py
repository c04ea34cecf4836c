"""The container files, held to what can be known without building them."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet
from django.core.management import get_commands

from forjinn.celery import app as celery_app

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("web", "worker", "beat", "migrate")
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"benchmarks", "tests"}
# Nobody can ask them anything: beat has no port, and migrate ends.
UNASKED = {"beat", "migrate"}


def copied() -> list[str]:
    """What the Dockerfile copies out of the repository."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def words(service: str) -> list[str]:
    command = SERVICES[service]["command"]
    return shlex.split(command) if isinstance(command, str) else command


def test_what_the_image_copies_exists_and_reaches_the_builder() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert [source for source in copied() if not (ROOT / source).exists()] == []
    assert set(copied()) == let_in


def test_every_package_of_the_platform_is_in_the_image() -> None:
    assert set(copied()) >= PACKAGES
    assert {"engine", "forjinn", "predictions"} <= PACKAGES


def test_every_image_is_pinned_by_a_tag() -> None:
    images = [*re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE), *(each["image"] for each in SERVICES.values())]

    assert [image for image in images if not re.search(r":.*\d", image)] == []


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_write_nothing_and_may_nothing(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith(("0", "root"))


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - UNASKED))
def test_a_container_says_whether_it_is_healthy(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


def test_only_the_proxy_is_published_and_only_on_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"proxy": ["127.0.0.1:${PORT:-3000}:3000"]}
    assert COMPOSE["networks"]["parts"] == {"internal": True}
    assert SERVICES["database"]["networks"] == SERVICES["valkey"]["networks"] == ["parts"]


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_documented_setting(name: str) -> None:
    documented = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE)

    handed_over = {variable.removesuffix("_FILE") for variable in SERVICES[name]["environment"]}

    assert handed_over <= set(documented)


@pytest.mark.parametrize("name", OURS)
def test_a_secret_is_read_from_where_it_is_mounted(name: str) -> None:
    service = SERVICES[name]

    paths = [value for variable, value in service["environment"].items() if variable.endswith("_FILE")]

    assert sorted(paths) == sorted(f"/run/secrets/{secret}" for secret in service["secrets"])


def test_secrets_are_made_once_and_can_be_used(tmp_path: Path) -> None:
    script = shutil.copy(ROOT / "docker" / "make-secrets.sh", tmp_path)

    subprocess.run(["bash", script], check=True, capture_output=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    subprocess.run(["bash", script], check=True, capture_output=True)

    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made
    assert {f"secrets/{name}" for name in made} == {secret["file"] for secret in COMPOSE["secrets"].values()}
    assert made["database_url"] == f"postgresql://forjinn:{made['database_password']}@database:5432/forjinn"
    assert Fernet(made["encryption_keys"])
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_web_serves_an_application_that_exists() -> None:
    program, application, *_ = words("web")
    module, _, attribute = application.partition(":")

    assert program == "uvicorn"
    assert callable(getattr(importlib.import_module(module), attribute))
    assert f'CMD ["uvicorn", "{application}"' in DOCKERFILE


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_celery_runs_our_application(name: str) -> None:
    program, _, module, role, *_ = words(name)

    assert (program, role) == ("celery", name)
    assert importlib.import_module(f"{module}.celery").app is celery_app


def test_the_worker_consumes_every_queue_that_is_written_to() -> None:
    from predictions.lanes import QUEUE

    command = words("worker")
    queues = command[command.index("--queues") + 1].split(",")

    assert set(queues) == {QUEUE, celery_app.conf.task_default_queue}


def test_scripts_that_the_containers_run_are_in_the_image() -> None:
    _, manage, command, *_ = words("migrate")
    health_check = SERVICES["worker"]["healthcheck"]["test"][-1]

    assert {manage, health_check} <= set(copied())
    assert command in get_commands()
