"""`manage.py flows import PATH…` and `flows run PATH --question …`: flows out of files, for pipelines and authors."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from chatflows.interchange import import_flow, read_flow_file
from chatflows.trial import try_flow, with_models_at
from engine.errors import EngineError
from engine.events import Event, NodeFailed, NodeFinished, RunFailed, RunFinished, RunPaused, TokenEmitted, ToolsUsed
from forjinn.core.errors import AppError
from workspaces.models import Workspace

HERE = "here"


class Command(BaseCommand):
    help = "Work with flows from the command line."
    requires_system_checks = ()  # trying a flow out takes neither database nor Redis; what does checks by itself

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        importing = actions.add_parser("import", help="Save flows from canvas exports or templates; safe to repeat.")
        importing.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="A file, or a folder of *.json.")
        importing.add_argument("--workspace", default="Default", help="Name of the workspace (default: %(default)s).")
        running = actions.add_parser("run", help="Run one flow out of a file, once, and print its answer.")
        running.add_argument("path", type=Path, metavar="PATH", help="A canvas export or a template.")
        running.add_argument("--question", default="", help="What the flow is asked.")
        running.add_argument(
            "--form", action="append", default=[], metavar="NAME=VALUE", help="A form's value; may be repeated."
        )
        running.add_argument("--workspace", help="Name of the workspace whose credentials and variables it may use.")
        running.add_argument(
            "--model-url",
            nargs="?",
            const=HERE,
            metavar="URL",
            help="Ask this OpenAI-compatible server instead of the flow's own models; without URL, the one that runs "
            "here (MODEL_URL).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        match options["action"]:
            case "import":
                self._import(self._find_workspace(options["workspace"]), _files(options["paths"]))
            case "run":
                self._run(options)

    def _find_workspace(self, name: str) -> Workspace:
        self.check()
        found = list(Workspace.objects.filter(name=name)[:2])
        if len(found) != 1:
            known = Workspace.objects.order_by("name").values_list("name", flat=True)[:10]
            problem = "Several workspaces are" if found else "No workspace is"
            there_are = ", ".join(f"'{other}'" for other in known) or "none yet"
            raise CommandError(f"{problem} named '{name}'; there are: {there_are}")
        return found[0]

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

    def _run(self, options: dict[str, Any]) -> None:
        """The answer goes to stdout as it comes, the nodes to stderr as they end."""
        form = dict(_named(pair) for pair in options["form"])
        if bool(options["question"]) == bool(form):
            raise CommandError("Give either --question or --form NAME=VALUE")
        workspace_id = self._find_workspace(options["workspace"]).pk if options["workspace"] else None
        try:
            flow_data = read_flow_file(options["path"]).flow_data
            model_url = _model_url(options["model_url"]) if options["model_url"] else ""
            if model_url:
                flow_data = with_models_at(model_url, flow_data)
            events = try_flow(
                flow_data, question=options["question"], form=form, workspace_id=workspace_id, model_url=model_url
            )
            asyncio.run(self._show(events))
        except AppError as exc:
            raise CommandError(exc.message) from exc
        except EngineError as exc:
            raise CommandError(exc.message) from exc

    async def _show(self, events: AsyncIterator[Event]) -> None:
        said = ""
        async for event in events:
            if isinstance(event, TokenEmitted):
                said += event.text
                self.stdout.write(event.text, ending="")
                self.stdout.flush()
            self._tell(event, said)

    def _tell(self, event: Event, said: str) -> None:
        match event:
            case NodeFinished():
                self.stderr.write(f"{'' if not said else chr(10)}· {event.label}: {event.duration_ms:.0f} ms")
            case NodeFailed():
                self.stderr.write(f"· {event.label}: failed")
            case ToolsUsed():
                self.stderr.write(f"· tools: {', '.join(str(tool.get('tool')) for tool in event.tools)}")
            case RunFinished():
                whole = event.text if event.json is None else orjson.dumps(event.json).decode()
                self.stdout.write("" if said else whole)
            case RunPaused():
                raise CommandError("The flow waits for a human, which a run from the command line does not have")
            case RunFailed():
                raise CommandError(event.error)


def _named(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not name or not equals:
        raise CommandError(f"--form: expected NAME=VALUE, got '{pair}'")
    return name, value


def _model_url(address: str) -> str:
    if address != HERE:
        return address
    if not settings.MODEL_URL:
        raise CommandError("No model runs here: start the platform with `make run`, or give --model-url an address")
    return str(settings.MODEL_URL)


def _files(paths: list[Path]) -> list[Path]:
    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise CommandError("No .json files there")
    return files
