"""`manage.py rotate_keys`: every stored secret sealed with the first of ENCRYPTION_KEYS."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from forjinn.rotation import Tally, rotate
from workspaces.seals import accept_keys

SHOWN = 5  # ids of a table's lost secrets


class Command(BaseCommand):
    help = "Seal every stored secret with the first of ENCRYPTION_KEYS; the others can go afterwards."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only tell how many there are to be sealed anew.")
        parser.add_argument(
            "--accept-loss",
            action="store_true",
            help="The key of some secrets is gone for good: start with the present keys all the same.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        is_dry, is_loss_accepted = options["dry_run"], options["accept_loss"]
        if is_loss_accepted and not is_dry:
            accept_keys()
        tallies = rotate(is_dry=is_dry, tell=self._tell)
        rows, renewed = sum(tally.rows for tally in tallies), sum(tally.renewed for tally in tallies)
        lost = [tally for tally in tallies if tally.lost]
        self.stdout.write(f"{renewed} of {rows} rows {'would be' if is_dry else 'were'} sealed with the first key.")
        if lost and not is_loss_accepted:
            raise CommandError(_told_lost(lost))
        if lost:
            self.stdout.write(_told_lost(lost))
        elif not is_dry:
            self.stdout.write("The first of ENCRYPTION_KEYS opens everything: the others can go.")

    def _tell(self, tally: Tally) -> None:
        self.stdout.write(f"{tally.name}: {tally.rows} read, {tally.renewed} of them under another key")


def _told_lost(lost: list[Tally]) -> str:
    named = "; ".join(f"{tally.name}: {len(tally.lost)} ({', '.join(tally.lost[:SHOWN])})" for tally in lost)
    return (
        f"No key opens what is in {named}. Put the key that they were sealed with behind the others in ENCRYPTION_KEYS "
        "and repeat, or save these secrets again"
    )
