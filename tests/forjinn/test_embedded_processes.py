"""Processes are found again by pid and start time, and end: when asked, when made to, when their parent dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forjinn.embedded.processes import ProcessId, identify, is_alive, spawn, stop

ROOT = Path(__file__).resolve().parents[2]
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
# Starts a child as the supervisor does, says its pid, and waits to be killed.
PARENT = """
import os, signal, sys, time
from pathlib import Path
from forjinn.embedded.processes import spawn
child = spawn([sys.executable, "-c", "import time; time.sleep(60)"], log=Path(os.devnull), environment=os.environ,
              orphan_signal=signal.SIGKILL)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[str]]:
    """A process that ignores SIGTERM."""
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def wait_until_gone(process: ProcessId) -> None:
    deadline = time.monotonic() + 10
    while is_alive(process):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_is_not_mistaken_for_one_that_had_its_number() -> None:
    here = identify(os.getpid())

    assert is_alive(here)
    assert not is_alive(ProcessId(here.pid, f"{here.started}0"))


def test_a_process_that_only_waits_to_be_looked_at_is_not_alive() -> None:
    child = subprocess.Popen(["sleep", "60"])
    process = identify(child.pid)

    child.kill()

    wait_until_gone(process)
    assert child.wait() == -signal.SIGKILL


def test_what_ignores_a_request_to_end_is_made_to(stubborn: subprocess.Popen[str]) -> None:
    stop([identify(stubborn.pid)], signal.SIGTERM, grace_s=0.1)

    assert stubborn.wait(5) == -signal.SIGKILL


def test_what_ends_when_asked_is_not_killed() -> None:
    child = subprocess.Popen(["sleep", "60"])

    stop([identify(child.pid)], signal.SIGTERM, grace_s=10)

    assert child.wait(5) == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start finds and stops it")
def test_children_do_not_outlive_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = identify(int(parent.stdout.readline()))

        parent.kill()

        assert child.started
        wait_until_gone(child)


def test_output_is_appended_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("earlier\n")

    spawn(["echo", "later"], log=log, environment={}, orphan_signal=signal.SIGKILL).wait(5)

    assert log.read_text() == "earlier\nlater\n"
