"""Processes that outlive nothing: started to end with their parent, found again by pid and start time, stopped."""

# ruff: noqa: S603  # every command line is ours
from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

PR_SET_PDEATHSIG = 1
KILL_GRACE_S = 5.0
LOOK_S = 0.02  # pause between two looks at a process that is to end


class AccountOptions(TypedDict, total=False):
    """What `subprocess` takes to change the account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged account of the system."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process, and no later one that happens to get its number."""

    pid: int
    started: str


def identify(pid: int) -> ProcessId:
    return ProcessId(pid, _started(pid))


def is_alive(process: ProcessId) -> bool:
    """Whether it runs. A zombie, which only waits for its parent to look, does not."""
    return bool(process.started) and _started(process.pid) == process.started


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str],
    orphan_signal: signal.Signals,
    account: Account | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that Ctrl-C reaches only us, with its output appended to `log`.

    On Linux it gets `orphan_signal` when we die; elsewhere the next start finds it by its pid.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [os.fspath(part) for part in command],
            cwd="/" if account else None,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
            preexec_fn=functools.partial(_end_with_parent, orphan_signal, os.getpid()),
            **_options(account),
        )


def run(
    command: Sequence[str | Path], *, account: Account | None = None, said: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end, with `said` as its input and nothing of the user's environment."""
    return subprocess.run(
        [os.fspath(part) for part in command],
        cwd="/",
        env=plain_environment(),
        input=said,
        capture_output=True,
        text=True,
        start_new_session=True,
        preexec_fn=functools.partial(_end_with_parent, signal.SIGKILL, os.getpid()),
        check=False,
        **_options(account),
    )


def plain_environment() -> dict[str, str]:
    """For programs that need nothing of ours: no locale, no variables of libpq or of the user's."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


def stop(processes: Iterable[ProcessId], number: signal.Signals, *, grace_s: float) -> None:
    """Ask them all to end, and make those that are still there after `grace_s`."""
    left = [process for process in processes if is_alive(process)]
    for asked, patience_s in ((number, grace_s), (signal.SIGKILL, KILL_GRACE_S)):
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, asked)
        deadline = time.monotonic() + patience_s
        while (left := [process for process in left if is_alive(process)]) and time.monotonic() < deadline:
            time.sleep(LOOK_S)


def _options(account: Account | None) -> AccountOptions:
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}


def _end_with_parent(number: signal.Signals, parent: int) -> None:
    """Runs in the child, after it has changed its account (which would clear the setting) and before the program."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:
            os._exit(1)


def _started(pid: int) -> str:
    """When the process started, in the system's own words; empty if there is none."""
    if sys.platform != "linux":
        return _started_by_ps(pid)
    try:
        # The name, in brackets, may hold anything.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else f"{_boot()} {fields[18]}"


@functools.cache
def _boot() -> str:
    """Start times count from the boot, so they mean nothing after the next one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # some sandboxes have no such file
        return "one boot"


def _started_by_ps(pid: int) -> str:
    state, _, started = _ask_ps("stat=,lstart=", pid).partition(" ")
    return "" if state.startswith("Z") else started.strip()


def _ask_ps(columns: str, pid: int) -> str:
    return run(["ps", "-o", columns, "-p", str(pid)]).stdout.strip()
