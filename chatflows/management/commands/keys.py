"""`manage.py keys create`: API keys for scripts, from the server's own command line."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from apikeys.models import ApiKey
from apikeys.scopes import Scopes, ScopesUnfit, check_lasting
from apikeys.services import create_api_key
from chatflows.access import asking
from chatflows.deployments import deploy
from chatflows.models import Chatflow
from forjinn.core.errors import BadRequest
from workspaces.models import Workspace

LIMITS = ("permissions", "flows", "environments", "origins", "expires")
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
            help="workspace: what is not limited below; deployment: runs of one version of --flow, and nothing else; "
            "publishable: for pages of --origins, to ask the one flow of --flows (default: deployment with --flow, "
            "else workspace).",
        )
        making.add_argument(
            "--publishable", dest="kind", action="store_const", const="publishable", help="As --kind publishable."
        )
        making.add_argument("--permissions", type=_several, metavar="P,P", help="What it may, as chatflows:execute.")
        making.add_argument("--flows", type=_several, metavar="F,F", help="Slugs, ids or names of all it reaches.")
        making.add_argument("--environments", type=_several, metavar="E,E", help="Servers that it is good for.")
        making.add_argument("--origins", type=_several, metavar="O,O", help="Pages that may send it.")
        making.add_argument("--expires", type=_moment, metavar="T", help="When it ends: 2027-01-31, or with a time.")
        making.add_argument("--name", default="command line", help="What lists call the key (default: %(default)s).")
        making.add_argument("--json", action="store_true", help="An object, for programs, instead of the bare key.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._create(options)
        except (BadRequest, ScopesUnfit) as exc:
            raise CommandError(exc.message) from exc

    def _create(self, options: Mapping[str, Any]) -> None:
        workspace = _only(_workspaces(options["workspace"]), f"workspace '{options['workspace']}'")
        kind = options["kind"] or (ApiKey.Kind.DEPLOYMENT if options["flow"] else ApiKey.Kind.WORKSPACE)
        if (kind == ApiKey.Kind.DEPLOYMENT) != bool(options["flow"]):
            raise CommandError("A deployment key stands for a flow, other keys for none: --flow is for the first")
        body: dict[str, Any] = {"kind": str(kind), "workspaceId": str(workspace.pk)}
        if options["flow"]:
            if limits := [name for name in LIMITS if options[name]]:
                raise CommandError(f"A deployment key is limited by its flow: --{limits[0]} is for other keys")
            flow = _only(_flows(workspace, options["flow"]), f"flow '{options['flow']}' in {workspace.name}")
            deployment, raw = deploy(chatflow=flow, name=options["name"])
            key = deployment.apikey
            body |= {"deploymentId": str(deployment.pk), "chatflowId": str(flow.pk), "slug": flow.slug}
        else:
            scopes = _scopes(workspace, kind, options)
            key, raw = create_api_key(workspace=workspace, name=options["name"], kind=ApiKey.Kind(kind), **scopes)
        body |= {"id": str(key.pk), "keyName": key.name, "prefix": key.prefix, "apiKey": raw}
        self.stdout.write(orjson.dumps(body).decode() if options["json"] else raw)


def _scopes(workspace: Workspace, kind: str, options: Mapping[str, Any]) -> Scopes:
    flows = options["flows"] and [
        _only(_flows(workspace, f), f"flow '{f}' in {workspace.name}") for f in options["flows"]
    ]
    is_for_pages = kind == ApiKey.Kind.PUBLISHABLE and not options["permissions"]
    scopes: Scopes = {
        "permissions": asking(flows or ()) or None if is_for_pages else options["permissions"],
        "flows": flows and [flow.pk for flow in flows],
        "environments": options["environments"],
        "origins": options["origins"],
        "expires_at": options["expires"],
    }
    check_lasting(scopes)
    return scopes


def _several(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _moment(text: str) -> datetime:
    """In UTC, if nothing else is said."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"'{text}' is no date and no time: expected one as 2027-01-31") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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
