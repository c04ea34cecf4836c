"""Our own processes: web, worker and beat."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from forjinn.embedded.processes import spawn

WORKER = ("-m", "celery", "-A", "forjinn", "worker", "--queues=predictions,default")
# Predictions run on the worker's own loop; the pool's threads are for all other tasks. There is one worker, so what
# workers would tell each other is left out.
WORKER_OPTIONS = ("--pool=threads", "--concurrency=2", "--without-gossip", "--without-mingle", "--without-heartbeat")
# Without a file of what it did last: nothing that it asks for depends on that.
BEAT = ("-m", "celery", "-A", "forjinn", "beat", "--pidfile=", "--scheduler=celery.beat:Scheduler")


class Web:
    """Serves on `listener`, which stays open while it is started again."""

    role = "web"

    def __init__(self, var: Path, *, listener: socket.socket, environment: Mapping[str, str]) -> None:
        self.log = var / "log" / "web.log"
        self._listener = listener
        self._environment = environment

    def start(self) -> subprocess.Popen[bytes]:
        descriptor = self._listener.fileno()
        return spawn(
            [sys.executable, "-m", "forjinn.embedded.web_server", str(descriptor)],
            log=self.log,
            environment=self._environment,
            orphan_signal=signal.SIGKILL,
            pass_fds=(descriptor,),
        )


class Worker:
    """Runs predictions, and every other Celery task."""

    role = "worker"

    def __init__(self, var: Path, *, environment: Mapping[str, str]) -> None:
        self.log = var / "log" / "worker.log"
        self._environment = environment

    def start(self) -> subprocess.Popen[bytes]:
        return spawn(
            [sys.executable, *WORKER, *WORKER_OPTIONS],
            log=self.log,
            environment=self._environment,
            orphan_signal=signal.SIGKILL,
        )


class Beat:
    """Says what is to be looked after every few seconds; a worker does it."""

    role = "beat"

    def __init__(self, var: Path, *, environment: Mapping[str, str]) -> None:
        self.log = var / "log" / "beat.log"
        self._environment = environment

    def start(self) -> subprocess.Popen[bytes]:
        return spawn(
            [sys.executable, *BEAT],
            log=self.log,
            environment=self._environment,
            orphan_signal=signal.SIGKILL,
        )
