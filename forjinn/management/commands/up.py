"""`manage.py up`: what `make run` runs."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from forjinn.embedded.problems import StartError
from forjinn.embedded.start import run_platform


class Command(BaseCommand):
    help = "Start the whole platform and watch over it; Ctrl-C stops it."
    requires_system_checks = []  # the services that they look for are only about to start

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            run_platform()
        except StartError as exc:
            self.stderr.write(str(exc))
            sys.exit(1)
