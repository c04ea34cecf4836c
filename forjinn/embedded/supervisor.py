"""The platform's processes while they run: noted on disk, started again when they die, stopped in order."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from forjinn.embedded.launch import Service, launch
from forjinn.embedded.logs import begin_log, bound_log
from forjinn.embedded.problems import StartError
from forjinn.embedded.processes import ProcessId, identify, is_alive, stop
from forjinn.embedded.signals import Signals
from forjinn.embedded.state import Child, read_children, read_ports, write_children, write_ports

# First those who use the others; those of one group together. The worker lets runs finish for 20 s. PostgreSQL's
# SIGINT ends sessions and writes everything down, while SIGTERM would wait for the sessions.
STOP_ORDER = (
    (("web", "worker", "beat"), signal.SIGTERM, 30.0),
    (("model",), signal.SIGTERM, 5.0),
    (("valkey",), signal.SIGTERM, 10.0),
    (("postgres",), signal.SIGINT, 30.0),
)
FIRST_BACK_OFF_S = 0.1
MAX_BACK_OFF_S = 30.0
STEADY_S = 60.0  # who has run for so long has no bad history
HOUSEKEEPING_S = 15.0

Tell = Callable[[str], None]


class Program(Protocol):
    """A process that can be started again and again."""

    role: str
    log: Path

    def start(self) -> subprocess.Popen[bytes]: ...


@dataclass(slots=True)
class Ward:
    """A program, its present process, and how it has been doing."""

    program: Program
    process: subprocess.Popen[bytes]
    id: ProcessId
    started_at: float
    deaths: int = 0
    restart_at: float | None = None


class Supervisor:
    """Owns the children of one var folder. `changed` is called after each change of a pid."""

    def __init__(self, var: Path, signals: Signals, *, tell: Tell) -> None:
        self._var = var
        self._signals = signals
        self._tell = tell
        self._wards: dict[str, Ward] = {}
        self._has_old_notes = False
        self.changed: Callable[[], None] = lambda: None

    @property
    def pids(self) -> dict[str, int]:
        return {"supervisor": os.getpid(), **{role: ward.process.pid for role, ward in self._wards.items()}}

    def start(self, program: Program) -> subprocess.Popen[bytes]:
        """Start it; from now on it is started again whenever it dies."""
        begin_log(program.log)
        process = program.start()
        self._take_in(program, process)
        return process

    def launch(self, service: Service) -> None:
        """Start a service, where it was the last time if it can be, and wait until it answers. Raises StartError."""
        begin_log(service.log)
        ports = read_ports(self._var)
        service.port = ports.get(service.role, 0)
        launch(service, started=functools.partial(self._take_in, service), pause=self._signals.pause)
        if service.port != ports.get(service.role):
            write_ports(self._var, {**ports, service.role: service.port})

    def ended(self) -> Iterator[tuple[str, Path]]:
        """Role and log of each child that no longer runs."""
        for role, ward in self._wards.items():
            if ward.process.poll() is not None:
                yield role, ward.program.log

    def watch(self) -> None:
        """Look after the children until somebody asks for a stop."""
        while not self._signals.is_stop_requested:
            self._signals.wait(self._until_next_restart())
            for ward in self._wards.values():
                self._look_after(ward)
                bound_log(ward.program.log)
            if self._has_old_notes:
                self._renew_notes()

    def stop_all(self) -> None:
        _stop_and_forget(self._var, {role: ward.id for role, ward in self._wards.items()})
        for ward in self._wards.values():
            ward.process.wait()
        self._wards.clear()

    def _take_in(self, program: Program, process: subprocess.Popen[bytes]) -> None:
        self._wards[program.role] = Ward(program, process, identify(process.pid), time.monotonic())
        self._note()

    def _note(self) -> None:
        """So that a start after `kill -9` finds everybody, and other commands find the services."""
        children = {role: Child(ward.id, getattr(ward.program, "url", "")) for role, ward in self._wards.items()}
        write_children(self._var, children)

    def _look_after(self, ward: Ward) -> None:
        now = time.monotonic()
        if ward.restart_at is None:
            status = ward.process.poll()
            if status is not None:
                self._plan_restart(ward, f"ended ({describe(status)})")
        elif now >= ward.restart_at:
            self._restart(ward)

    def _plan_restart(self, ward: Ward, reason: str) -> None:
        now = time.monotonic()
        ward.deaths = 1 if now - ward.started_at > STEADY_S else ward.deaths + 1
        back_off_s = min(FIRST_BACK_OFF_S * 2 ** (ward.deaths - 1), MAX_BACK_OFF_S)
        ward.restart_at = now + back_off_s
        self._tell(f"{ward.program.role} {reason}; starting it again in {back_off_s:.1f} s")

    def _restart(self, ward: Ward) -> None:
        try:
            ward.process = ward.program.start()
        except (OSError, StartError, subprocess.SubprocessError) as exc:
            self._plan_restart(ward, f"cannot be started ({exc})")
            return
        ward.id = identify(ward.process.pid)
        ward.started_at = time.monotonic()
        ward.restart_at = None
        self._has_old_notes = True

    def _renew_notes(self) -> None:
        """What runs goes on running where a disk is full: started once more, there would be two of it."""
        try:
            self._note()
            self.changed()
        except OSError as exc:
            self._tell(f"The notes in {self._var} are out of date, and cannot be written ({exc})")
        else:
            self._has_old_notes = False

    def _until_next_restart(self) -> float:
        due = [ward.restart_at for ward in self._wards.values() if ward.restart_at is not None]
        return max(0.0, min([*due, time.monotonic() + HOUSEKEEPING_S]) - time.monotonic())


def take_over(var: Path) -> list[str]:
    """Stop what a supervisor that was killed has left running, and remove its notes; returns the roles."""
    return _stop_and_forget(var, {role: child.process for role, child in read_children(var).items()})


def _stop_and_forget(var: Path, children: Mapping[str, ProcessId]) -> list[str]:
    (var / "run.json").unlink(missing_ok=True)  # first: it says that everything is ready
    stopped = stop_children(children)
    (var / "services.json").unlink(missing_ok=True)
    return stopped


def stop_children(children: Mapping[str, ProcessId]) -> list[str]:
    """Stop them in order; returns the roles of those that ran."""
    stopped = []
    for roles, number, grace_s in STOP_ORDER:
        alive = [role for role in roles if role in children and is_alive(children[role])]
        stop([children[role] for role in alive], number, grace_s=grace_s)
        stopped += alive
    return stopped


def describe(status: int) -> str:
    """`signal SIGKILL`, or `status 1`."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
