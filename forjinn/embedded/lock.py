"""One supervisor a var folder: a lock that dies with its holder, and who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from forjinn.embedded.problems import StartError
from forjinn.embedded.processes import ProcessId, identify, is_alive

LOOK_S = 0.05


@contextlib.contextmanager
def only_supervisor(var: Path) -> Iterator[None]:
    """Hold the folder. Raises StartError, saying who does, when another has it."""
    with _lock_file(var).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StartError(
                f"Forjinn already runs in {var}: {describe_holder(var)}. Stop it with `make stop`, or give this one "
                "a folder and a port of its own: FORJINN_VAR=/another/folder PORT=0"
            ) from exc
        file.truncate(0)
        file.write(json.dumps(asdict(identify(os.getpid()))))
        file.flush()
        yield


def find_supervisor(var: Path) -> int | None:
    """The pid of the one that holds the folder."""
    while _is_held(var):
        if pid := _holder(var):
            return pid
        time.sleep(LOOK_S)  # it has the lock, and is about to write its name
    return None


def wait_until_free(var: Path, *, for_s: float) -> bool:
    """Whether the folder's supervisor is gone, after waiting for it."""
    deadline = time.monotonic() + for_s
    while find_supervisor(var) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_S)
    return True


def describe_holder(var: Path) -> str:
    """`process 4711 at http://127.0.0.1:3000`."""
    try:
        url = json.loads((var / "run.json").read_text())["url"]
    except (OSError, ValueError, KeyError):
        return f"process {_holder(var) or 'unknown'}, which is just starting or stopping"
    return f"process {_holder(var)} at {url}"


def _is_held(var: Path) -> bool:
    try:
        with _lock_file(var).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _holder(var: Path) -> int | None:
    """Who wrote its name there and lives. Signals go to this pid: an earlier holder's may be anybody's by now."""
    try:
        holder = ProcessId(**json.loads(_lock_file(var).read_text()))
    except (ValueError, TypeError):
        return None
    return holder.pid if is_alive(holder) else None


def _lock_file(var: Path) -> Path:
    return var / "supervisor.lock"
