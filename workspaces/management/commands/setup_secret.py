"""`manage.py setup_secret`: what the first person shows to make their account."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from workspaces.accounts import SETUP_HEADER, is_setup_due, setup_secret


class Command(BaseCommand):
    help = "Print the secret that makes the first account, while there is nobody yet."

    def handle(self, *args: Any, **options: Any) -> None:
        if not is_setup_due():
            self.stdout.write("There are accounts already: sign-up is closed, new people are invited.")
            return
        self.stdout.write(
            f"Nobody has an account yet. POST {settings.PUBLIC_URL}/_allauth/browser/v1/auth/signup makes the first "
            f"one, with the header {SETUP_HEADER}: {setup_secret()}"
        )
