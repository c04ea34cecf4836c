"""Signals as something to wait for: a stop that was asked for, a child that ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from types import FrameType, TracebackType

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(Exception):
    """Somebody pressed Ctrl-C, closed the terminal or sent SIGTERM."""


class Signals:
    """Within its context, stop signals are remembered and everything that waits here wakes up."""

    def __init__(self) -> None:
        self.is_stop_requested = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def __enter__(self) -> Signals:
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in STOPS:
            # `nohup` has SIGHUP ignored on purpose.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only a signal with a handler wakes us
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> None:
        """Until a signal comes, or for so long."""
        select.select([self._reader], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 512):
                pass

    def pause(self, seconds: float) -> None:
        """The same, but raises StopRequested once a stop was asked for."""
        if not self.is_stop_requested:
            self.wait(seconds)
        if self.is_stop_requested:
            raise StopRequested

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self.is_stop_requested = True
