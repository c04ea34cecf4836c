"""`manage.py flows import PATH…`: flows out of files, for pipelines."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatflows.interchange import import_flow, read_flow_file
from forjinn.core.errors import AppError
from workspaces.models import Workspace


class Command(BaseCommand):
    help = "Work with flows from the command line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        importing = actions.add_parser("import", help="Save flows from canvas exports or templates; safe to repeat.")
        importing.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="A file, or a folder of *.json.")
        importing.add_argument("--workspace", default="Default", help="Name of the workspace (default: %(default)s).")

    def handle(self, *args: Any, **options: Any) -> None:
        match options["action"]:
            case "import":
                self._import(_workspace(options["workspace"]), _files(options["paths"]))

    def _import(self, workspace: Workspace, files: list[Path]) -> None:
        """Every file that can be imported is; a bad one is told, and fails the command at the end."""
        failed = 0
        for file in files:
            try:
                flow = read_flow_file(file)
                imported = import_flow(workspace_id=workspace.pk, flow=flow, author="import")
            except AppError as exc:
                self.stderr.write(f"failed     {exc.message}")
                failed += 1
            else:
                self.stdout.write(f"{imported.outcome:<10} {imported.chatflow_id}  {flow.kind:<10} {flow.name}")
        if failed:
            raise CommandError(f"{failed} of {len(files)} files could not be imported")


def _workspace(name: str) -> Workspace:
    found = list(Workspace.objects.filter(name=name)[:2])
    if len(found) != 1:
        known = ", ".join(
            f"'{other}'" for other in Workspace.objects.order_by("name").values_list("name", flat=True)[:10]
        )
        problem = "Several workspaces are" if found else "No workspace is"
        raise CommandError(f"{problem} named '{name}'; there are: {known or 'none yet'}")
    return found[0]


def _files(paths: list[Path]) -> list[Path]:
    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise CommandError("No .json files there")
    return files
