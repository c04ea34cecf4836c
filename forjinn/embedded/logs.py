"""What the platform's processes say, in var/log: one file each, bounded in size, with the one before it beside it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MAX_SIZE = 10 * 1024 * 1024  # bytes


def begin_log(log: Path) -> None:
    """An empty file for this start."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.parent.chmod(0o700)  # people's conversations may be in there
    if log.exists() and log.stat().st_size:
        log.replace(_earlier(log))


def bound_log(log: Path) -> None:
    """Start it again once it is large. Its writers append, so they need not know."""
    if log.exists() and log.stat().st_size > MAX_SIZE:
        try:
            shutil.copyfile(log, _earlier(log))
        except OSError:
            # A full disk has no room for a copy, and this is no reason to stop: what the log held is given up.
            _earlier(log).unlink(missing_ok=True)
        os.truncate(log, 0)


def _earlier(log: Path) -> Path:
    return log.with_name(f"{log.name}.1")
