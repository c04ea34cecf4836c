"""`manage.py workspaces create`: a tenant and its first key, where no `make run` has made any."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from apikeys.services import create_api_key
from forjinn.core.errors import BadRequest
from workspaces.models import User
from workspaces.services import create_workspace

KEY_NAME = "owner"


class Command(BaseCommand):
    help = "Make workspaces. The key of a new one is printed once; only its hash is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        making = actions.add_parser("create", help="Make a workspace, and a key that opens it.")
        making.add_argument("name", metavar="NAME", help="What people call it; commands also take its id.")
        making.add_argument(
            "--owner", metavar="EMAIL", help="Who is its first member; `manage.py createsuperuser` makes people."
        )
        making.add_argument("--json", action="store_true", help="An object, for programs.")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = _person(options["owner"]) if options["owner"] else None
        try:
            with transaction.atomic():
                workspace = create_workspace(name=options["name"], owner=owner)
                key, raw = create_api_key(workspace=workspace, name=KEY_NAME)
        except BadRequest as exc:
            raise CommandError(exc.message) from exc
        if options["json"]:
            body = {"workspaceId": str(workspace.pk), "name": workspace.name, "apiKeyId": str(key.pk), "apiKey": raw}
            self.stdout.write(orjson.dumps(body).decode())
        else:
            self.stdout.write(f"workspace  {workspace.pk}\nAPI key    {raw}")


def _person(email: str) -> User:
    try:
        return User.objects.get_by_natural_key(email)
    except User.DoesNotExist:
        raise CommandError(
            f"There is nobody with the address '{email}': make the account with `manage.py createsuperuser`"
        ) from None
