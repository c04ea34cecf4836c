"""`manage.py stop`: what `make stop` runs."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from forjinn.embedded.lock import describe_holder, find_supervisor, wait_until_free
from forjinn.embedded.state import var_folder
from forjinn.embedded.supervisor import take_over

PATIENCE_S = 120.0  # the supervisor itself gives each of its children a bounded time


class Command(BaseCommand):
    help = "Stop the platform that runs in this folder."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        var = var_folder()
        pid = find_supervisor(var)
        if pid is None:
            left = take_over(var)
            found = (
                f"Only {', '.join(left)} of an earlier start ran in {var}; stopped"
                if left
                else f"Nothing runs in {var}"
            )
            self.stdout.write(found)
            return
        started_at, holder = time.monotonic(), describe_holder(var)
        os.kill(pid, signal.SIGTERM)
        if not wait_until_free(var, for_s=PATIENCE_S):
            raise CommandError(f"Still there after {PATIENCE_S:.0f} s: {holder}; its logs are in {var / 'log'}")
        self.stdout.write(f"Stopped {holder} in {time.monotonic() - started_at:.1f} s")
