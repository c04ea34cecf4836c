"""`manage.py route_table`: who may call what; `--write` puts it into docs/security.md."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from forjinn.route_table import DOCUMENT, put_into, render


class Command(BaseCommand):
    help = "Print which caller each route takes, as the table of docs/security.md."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--write", action="store_true", help="put the table into docs/security.md instead")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["write"]:
            DOCUMENT.write_text(put_into(DOCUMENT.read_text()))
        else:
            self.stdout.write(render())
