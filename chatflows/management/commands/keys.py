"""`manage.py keys create`: API keys for scripts, from the server's own command line."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from apikeys.models import ApiKey
from apikeys.services import create_api_key
from chatflows.deployments import deploy
from chatflows.models import Chatflow
from forjinn.core.errors import BadRequest
from workspaces.models import Workspace

Row = TypeVar("Row", Workspace, Chatflow)


class Command(BaseCommand):
    help = "Make API keys. A key is printed once; only its hash is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        making = actions.add_parser("create", help="Make a key and print it.")
        making.add_argument("--workspace", required=True, metavar="W", help="Name or id of the workspace.")
        making.add_argument(
            "--flow", metavar="F", help="Slug, id or name of the flow whose present version the key stands for."
        )
        making.add_argument(
            "--kind",
            choices=ApiKey.Kind.values,
            help="workspace: everything in the workspace; deployment: runs of one version of --flow, and nothing else "
            "(default: deployment with --flow, else workspace).",
        )
        making.add_argument("--name", default="command line", help="What lists call the key (default: %(default)s).")
        making.add_argument("--json", action="store_true", help="An object, for programs, instead of the bare key.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._create(options)
        except BadRequest as exc:
            raise CommandError(exc.message) from exc

    def _create(self, options: Mapping[str, Any]) -> None:
        workspace = _only(_workspaces(options["workspace"]), f"workspace '{options['workspace']}'")
        kind = options["kind"] or (ApiKey.Kind.DEPLOYMENT if options["flow"] else ApiKey.Kind.WORKSPACE)
        if (kind == ApiKey.Kind.DEPLOYMENT) != bool(options["flow"]):
            raise CommandError("A deployment key stands for a flow, a workspace key for none: --flow is for the first")
        body: dict[str, Any] = {"kind": str(kind), "workspaceId": str(workspace.pk)}
        if options["flow"]:
            flow = _only(_flows(workspace, options["flow"]), f"flow '{options['flow']}' in {workspace.name}")
            deployment, raw = deploy(chatflow=flow, name=options["name"])
            key = deployment.apikey
            body |= {"deploymentId": str(deployment.pk), "chatflowId": str(flow.pk), "slug": flow.slug}
        else:
            key, raw = create_api_key(workspace=workspace, name=options["name"])
        body |= {"id": str(key.pk), "keyName": key.name, "prefix": key.prefix, "apiKey": raw}
        self.stdout.write(orjson.dumps(body).decode() if options["json"] else raw)


def _workspaces(wanted: str) -> QuerySet[Workspace]:
    named = Workspace.objects.filter(name=wanted)
    return Workspace.objects.filter(pk=wanted) if _is_id(wanted) else named


def _flows(workspace: Workspace, wanted: str) -> QuerySet[Chatflow]:
    flows: QuerySet[Chatflow] = Chatflow.objects.of(workspace.pk).select_related("version", "workspace")
    if _is_id(wanted):
        return flows.filter(pk=wanted)
    return flows.filter(slug=wanted) if flows.filter(slug=wanted).exists() else flows.filter(name=wanted)


def _only(rows: QuerySet[Row], what: str) -> Row:
    found = list(rows[:2])
    if not found:
        raise CommandError(f"There is no {what}")
    if len(found) > 1:
        raise CommandError(f"There are several of {what}: give the id")
    return found[0]


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
