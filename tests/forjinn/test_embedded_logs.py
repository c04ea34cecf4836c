"""Logs stay small, and what they hold explains a failed start."""

from __future__ import annotations

import errno
import resource
from pathlib import Path

import pytest

from forjinn.embedded.logs import MAX_SIZE, begin_log, bound_log
from forjinn.embedded.problems import ended_early, from_os_error


def test_a_start_begins_with_an_empty_log_and_keeps_the_one_before(tmp_path: Path) -> None:
    log = tmp_path / "log" / "web.log"
    begin_log(log)
    log.write_text("from the first start")

    begin_log(log)

    assert not log.exists()
    assert (tmp_path / "log" / "web.log.1").read_text() == "from the first start"


def test_a_log_that_grows_large_starts_again_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * (MAX_SIZE + 1))

        bound_log(log)

        writer.write(b"later")
    assert log.read_bytes() == b"later"
    assert (tmp_path / "web.log.1").stat().st_size == MAX_SIZE + 1


def test_a_log_is_bounded_where_there_is_no_room_for_the_one_before(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_bytes(b"x" * (MAX_SIZE + 1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_SIZE // 2, hard))
    try:
        bound_log(log)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert log.read_bytes() == b""
    assert not (tmp_path / "web.log.1").exists()


def test_a_log_within_bounds_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("short")

    bound_log(log)

    assert log.read_text() == "short"


@pytest.mark.parametrize(
    "said",
    [
        "starting\nFATAL:  could not write lock file: No space left on device\nshutting down\n",
        "initdb: error: could not create directory: No space left on device\n",
    ],
)
def test_a_service_that_ends_for_want_of_space_is_told_as_a_full_disk(tmp_path: Path, said: str) -> None:
    (tmp_path / "postgres.log").write_text(said)

    problem = str(ended_early("postgres", tmp_path / "postgres.log"))

    assert problem.startswith(f"The disk that holds {tmp_path} is full: free some space")


def test_another_end_is_told_with_the_line_that_complains(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("starting\nImportError: no module named x\nbye\n")

    problem = str(ended_early("web", log))

    assert problem == f"web ended before it was ready: ImportError: no module named x (see {log})"


def test_what_the_system_refuses_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "run.json"))
    foreign = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "log"))

    assert str(from_os_error(full, tmp_path)).startswith(f"The disk that holds {tmp_path} is full")
    assert f"Permission denied ({tmp_path / 'log'}). Set FORJINN_VAR" in str(from_os_error(foreign, tmp_path))
