"""One supervisor a var folder: a lock that dies with its holder, and who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from forjinn.embedded.problems import StartError

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
        file.write(str(os.getpid()))
        file.flush()
        yield


def find_supervisor(var: Path) -> int | None:
    """The pid of the one that holds the folder."""
    try:
        with _lock_file(var).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return _holder(var)
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
        return f"process {_holder(var)}, which is just starting or stopping"
    return f"process {_holder(var)} at {url}"


def _holder(var: Path) -> int:
    try:
        return int(_lock_file(var).read_text())
    except ValueError:  # it has the lock, and is about to write
        return 0


def _lock_file(var: Path) -> Path:
    return var / "supervisor.lock"
