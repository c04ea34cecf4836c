"""A pytest plugin: a PostgreSQL and a Valkey of this session's own, started before Django reads its settings.

DATABASE_URL and REDIS_URL, when given, are used instead, by one process. A session over `tests/engine` alone needs
neither. With `-n 2` each worker has its own two, and the process that hands out the tests has none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from forjinn.embedded.launch import Service, launch
from forjinn.embedded.postgres import Postgres
from forjinn.embedded.processes import identify
from forjinn.embedded.state import load_secrets
from forjinn.embedded.supervisor import stop_children
from forjinn.embedded.valkey import Valkey

ENGINE = Path(__file__).resolve().parent / "engine"
# What a developer may have set for a platform of theirs must not reach the tests.
FOREIGN = (
    "ALLOWED_HOSTS",
    "API_KEY_PEPPER",
    "CELERY_BROKER_URL",
    "CSRF_TRUSTED_ORIGINS",
    "EGRESS_ALLOW",
    "ENCRYPTION_KEYS",
    "FORJINN_PRODUCTION",
    "FORJINN_VAR",
    "LOG_LEVEL",
    "MODEL_URL",
    "PORT",
    "SECRET_KEY",
    "TRUST_PROXY",
)

_opened = contextlib.ExitStack()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Around the same hook of pytest-django, which reads the settings there."""
    for name in FOREIGN:
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    os.environ["EGRESS_ALLOW"] = "127.0.0.1"  # where the scripted servers listen
    var = _opened.enter_context(_scratch_folder())
    os.environ["FORJINN_VAR"] = str(var)
    if _is_handing_out(early_config):
        _refuse_shared_services()
        os.environ["PYTEST_PLUGINS"] = __name__  # what -p names, workers load too late for this hook
    elif not _is_engine_only(early_config):
        secrets = load_secrets()
        if not os.environ.get("DATABASE_URL"):
            postgres = Postgres(var, password=secrets["POSTGRES_PASSWORD"], is_scratch=True)
            _opened.callback(shutil.rmtree, postgres.data, ignore_errors=True)
            os.environ["DATABASE_URL"] = _opened.enter_context(_running(postgres))
        if not os.environ.get("REDIS_URL"):
            valkey = Valkey(var, password=secrets["VALKEY_PASSWORD"], is_scratch=True)
            os.environ["REDIS_URL"] = _opened.enter_context(_running(valkey))
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    _opened.close()


def _is_engine_only(config: pytest.Config) -> bool:
    named = [Path(str(argument).split("::")[0]).resolve() for argument in config.known_args_namespace.file_or_dir]
    return bool(named) and all(path.is_relative_to(ENGINE) for path in named)


def _is_handing_out(config: pytest.Config) -> bool:
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    return bool(getattr(config.known_args_namespace, "numprocesses", None)) and not is_worker


def _refuse_shared_services() -> None:
    """Counters, queues and announcements of one worker's tests would meet those of another's."""
    if given := [name for name in ("DATABASE_URL", "REDIS_URL") if os.environ.get(name)]:
        raise pytest.UsageError(f"{' and '.join(given)} can serve one process only: run pytest without -n")


@contextlib.contextmanager
def _scratch_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="forjinn-tests-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)  # as root, PostgreSQL runs under an account that must get through
        (folder / "log").mkdir()
        yield folder


@contextlib.contextmanager
def _running(service: Service) -> Iterator[str]:
    process = launch(service)
    try:
        yield service.url
    finally:
        stop_children({service.role: identify(process.pid)})
        process.wait()
