"""Starting one service and waiting until it answers."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from forjinn.embedded.problems import StartError, ended_early, last_words

ANSWER_S = 60.0  # how long a service may take to answer; recovery after a crash is the longest
TRIES = 15
# The port, or PostgreSQL's shared memory: the children of one that was killed keep it for up to 3 s.
IN_USE = "in use"
AGAIN_S = 0.3
LOOK_S = 0.02

Pause = Callable[[float], None]
Started = Callable[[subprocess.Popen[bytes]], None]


class Service(Protocol):
    """A server of ours. `start` only starts it; `is_ready` asks it, and raises StartError if waiting is no use."""

    role: str
    port: int
    log: Path

    @property
    def doing(self) -> str:
        """What `start` is about to do, for the person who waits."""
        ...

    @property
    def url(self) -> str: ...

    def start(self) -> subprocess.Popen[bytes]: ...

    def is_ready(self) -> bool: ...


def launch(
    service: Service, *, started: Started = lambda process: None, pause: Pause = time.sleep
) -> subprocess.Popen[bytes]:
    """Start it on its port, or a free one, and wait until it answers. Raises StartError with its last words.

    `started` is told of each process at once: whoever has to stop it cannot wait until it answers.
    """
    for _ in range(TRIES):
        if not _is_free(service.port):
            service.port = free_port()
        process = service.start()
        started(process)
        if wait_until_ready(service, process, pause=pause):
            return process
        if IN_USE not in last_words(service.log):
            break
        pause(AGAIN_S)
    raise ended_early(service.role, service.log)


def wait_until_ready(service: Service, process: subprocess.Popen[bytes], *, pause: Pause = time.sleep) -> bool:
    """Whether it answers; False if it ended before it did."""
    deadline = time.monotonic() + ANSWER_S
    while process.poll() is None:
        if service.is_ready():
            return True
        if time.monotonic() > deadline:
            raise StartError(f"{service.role} does not answer after {ANSWER_S:.0f} s (see {service.log})")
        pause(LOOK_S)
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    if not port:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def package_folder(name: str) -> Path | None:
    """Where a package is installed, without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
