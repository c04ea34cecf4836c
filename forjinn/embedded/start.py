"""`manage.py up`: everything started in order, told as it goes, watched until somebody stops it."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from forjinn.embedded.console import Console, Demo
from forjinn.embedded.doors import open_listener, url_of, what_is_missing
from forjinn.embedded.launch import Service
from forjinn.embedded.lock import only_supervisor
from forjinn.embedded.logs import begin_log
from forjinn.embedded.model import Model
from forjinn.embedded.own import Beat, Web, Worker
from forjinn.embedded.parts import check_database, check_model, check_redis
from forjinn.embedded.postgres import Postgres
from forjinn.embedded.problems import StartError, ended_early, from_os_error
from forjinn.embedded.signals import Signals, StopRequested
from forjinn.embedded.state import load_secrets, var_folder, write_private
from forjinn.embedded.supervisor import Supervisor, take_over
from forjinn.embedded.valkey import Valkey
from forjinn.env import EnvError, env_int, env_text

OPEN_FILES = 65_536
READY_S = 60.0
LOOK_S = 0.05
ASK_S = 0.15  # between two questions to /ready
CHECKS = {"DATABASE_URL": check_database, "REDIS_URL": check_redis, "MODEL_URL": check_model}


def run_platform() -> None:
    """Run until a signal stops it. Raises StartError when it cannot, with everything stopped again."""
    var = var_folder()
    try:
        _run(var, env_int("PORT", 3000))
    except EnvError as exc:
        raise StartError(str(exc)) from exc
    except OSError as exc:
        raise from_os_error(exc, var) from exc
    except StopRequested:
        raise StartError("Stopped before it was ready") from None


def _run(var: Path, port: int) -> None:
    _raise_file_limit()
    var.mkdir(parents=True, exist_ok=True)
    with only_supervisor(var), Signals() as signals, open_listener(port) as listener:
        console = Console()
        supervisor = Supervisor(var, signals, tell=console.step)
        try:
            Start(var, supervisor, signals, console).bring_up(listener)
            supervisor.watch()
            console.step("Stopping: web and worker first, as runs may finish")
        finally:
            supervisor.stop_all()
        console.step("Stopped")


class Start:
    """One start of the platform."""

    def __init__(self, var: Path, supervisor: Supervisor, signals: Signals, console: Console) -> None:
        self._var = var
        self._supervisor = supervisor
        self._signals = signals
        self._console = console

    def bring_up(self, listener: socket.socket) -> None:
        """Returns once everything is ready and run.json says so."""
        self._console.step(f"Starting Forjinn at {url_of(listener)}, in {self._var}")
        if left := take_over(self._var):
            self._console.step(f"Stopped what an earlier start had left: {', '.join(left)}")
        environment = {**os.environ, "FORJINN_VAR": str(self._var), **self._given_urls(), **self._start_services()}
        self._console.step("Bringing the database up to date")
        demo = self._prepare(environment)
        self._console.step("Starting web and worker")
        self._supervisor.start(Web(self._var, listener=listener, environment=environment))
        self._supervisor.start(Worker(self._var, environment=environment))
        self._supervisor.start(Beat(self._var, environment=environment))
        self._wait_until_ready(listener.getsockname()[1])
        self._supervisor.changed = lambda: self._write_run(url_of(listener), demo)
        self._supervisor.changed()
        self._console.step("Ready")
        self._console.welcome(url_of(listener), demo, self._var)

    def _given_urls(self) -> dict[str, str]:
        """Those of servers that somebody else runs, each of them reachable."""
        given = {variable: url for variable in CHECKS if (url := env_text(variable))}
        for variable, url in given.items():
            self._console.step(f"Using the server of {variable}")
            CHECKS[variable](url)
        return given

    def _start_services(self) -> dict[str, str]:
        """Start our own server for each URL that is not given; returns their URLs."""
        secrets = load_secrets()
        makers: dict[str, Callable[[], Service]] = {
            "DATABASE_URL": lambda: Postgres(self._var, password=secrets["POSTGRES_PASSWORD"]),
            "REDIS_URL": lambda: Valkey(self._var, password=secrets["VALKEY_PASSWORD"]),
            "MODEL_URL": lambda: Model(self._var),
        }
        # All of them first: one that is not installed should not be found out after the others have started.
        services = {variable: make() for variable, make in makers.items() if not env_text(variable)}
        for service in services.values():
            self._console.step(service.doing)
            self._supervisor.launch(service)
        return {variable: service.url for variable, service in services.items()}

    def _prepare(self, environment: dict[str, str]) -> Demo:
        log = self._var / "log" / "prepare.log"
        begin_log(log)
        with log.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "forjinn.embedded.prepare"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
        with process:
            try:
                while process.poll() is None:
                    self._signals.pause(LOOK_S)
            except StopRequested:
                process.kill()  # what it had not finished is rolled back
                raise
            assert process.stdout is not None
            told = process.stdout.read()
        return _read_demo(told, log)

    def _wait_until_ready(self, port: int) -> None:
        deadline = time.monotonic() + READY_S
        while missing := what_is_missing(port):
            for role, log in self._supervisor.ended():
                raise ended_early(role, log)
            if time.monotonic() > deadline:
                raise StartError(f"Not ready after {READY_S:.0f} s ({missing}); the logs are in {self._var / 'log'}")
            self._signals.pause(ASK_S)

    def _write_run(self, url: str, demo: Demo) -> None:
        ids = {name: demo[name] for name in ("apiKey", "workspaceId", "demoFlowId", "agentflowId")}
        write_private(self._var / "run.json", json.dumps({"url": url, **ids, "pids": self._supervisor.pids}, indent=1))


def _read_demo(told: bytes, log: Path) -> Demo:
    try:
        answer = json.loads(told)
    except ValueError:
        raise ended_early("prepare", log) from None
    if "problem" in answer:
        raise StartError(answer["problem"])
    demo: Demo = answer
    return demo


def _raise_file_limit() -> None:
    """Each open stream is a file, and the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # some systems have a lower limit than they tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
