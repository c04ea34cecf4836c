"""One supervisor a folder, and children that are started again: once, whatever else fails."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

from forjinn.embedded.lock import find_supervisor, only_supervisor
from forjinn.embedded.problems import StartError
from forjinn.embedded.processes import identify
from forjinn.embedded.signals import STOPS, Signals
from forjinn.embedded.state import read_children
from forjinn.embedded.supervisor import Supervisor


class Sleeper:
    """A program that does nothing, and remembers its processes."""

    role = "web"

    def __init__(self, var: Path) -> None:
        self.log = var / "log" / "web.log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        self.processes.append(subprocess.Popen(["sleep", "60"]))
        return self.processes[-1]


class Turns(Signals):
    """Asks for a stop after so many looks at the children."""

    left = 8

    def wait(self, seconds: float) -> None:
        super().wait(min(seconds, 0.3))
        self.left -= 1
        self.is_stop_requested = self.left <= 0


@pytest.fixture
def signals() -> Iterator[Turns]:
    earlier = {number: signal.getsignal(number) for number in (*STOPS, signal.SIGCHLD)}
    turns = Turns()
    with turns:
        yield turns
    for number, handler in earlier.items():
        signal.signal(number, handler)


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Sleeper]:
    program = Sleeper(tmp_path)
    yield program
    for process in program.processes:
        process.kill()
        process.wait()


def test_a_child_that_dies_is_started_again_and_noted(tmp_path: Path, signals: Turns, sleeper: Sleeper) -> None:
    supervisor = Supervisor(tmp_path, signals, tell=lambda text: None)
    supervisor.start(sleeper).kill()

    supervisor.watch()

    first, second = sleeper.processes
    assert first.poll() == -signal.SIGKILL
    assert second.poll() is None
    assert read_children(tmp_path)["web"].process == identify(second.pid)


def test_a_child_whose_note_cannot_be_written_is_not_started_twice(
    tmp_path: Path, signals: Turns, sleeper: Sleeper
) -> None:
    told: list[str] = []
    supervisor = Supervisor(tmp_path, signals, tell=told.append)
    supervisor.start(sleeper).kill()
    (tmp_path / "services.json").unlink()
    (tmp_path / "services.json").mkdir()  # as little to be replaced as a file on a full disk

    supervisor.watch()

    assert [process.poll() for process in sleeper.processes] == [-signal.SIGKILL, None]
    assert any("cannot be written" in text for text in told)


def test_the_holder_of_a_folder_is_found_and_keeps_others_out(tmp_path: Path) -> None:
    with only_supervisor(tmp_path):
        assert find_supervisor(tmp_path) == os.getpid()
        with pytest.raises(StartError, match=f"already runs in .*: process {os.getpid()}, .*make stop"):
            only_supervisor(tmp_path).__enter__()

    assert find_supervisor(tmp_path) is None


ANOTHER_BOOT = json.dumps({"pid": os.getpid(), "started": "another boot"})


@pytest.mark.parametrize("held", ["", "0", "4711", pytest.param(ANOTHER_BOOT, id="another boot")])
def test_nobody_is_taken_for_the_holder_before_it_says_its_name(tmp_path: Path, held: str) -> None:
    with (tmp_path / "supervisor.lock").open("a+") as file, ThreadPoolExecutor(1) as pool:
        file.write(held)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        asked = pool.submit(find_supervisor, tmp_path)
        with pytest.raises(TimeoutError):
            asked.result(0.2)

        file.truncate(0)
        file.write(json.dumps(asdict(identify(os.getpid()))))
        file.flush()

        assert asked.result(5) == os.getpid()
