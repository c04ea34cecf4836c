"""`manage.py flows check|import|run`: flows out of files, for pipelines, authors and people who move."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from chatflows.file_checks import Checked, check_file
from chatflows.importing import Imported, import_flow, import_tool
from chatflows.inspection import problem_entry
from chatflows.interchange import FlowFile, ToolFile, WorkspaceFile, read_file, read_flow_file
from chatflows.stub_model import stub_model
from chatflows.trial import try_flow, with_models_at
from engine.errors import EngineError
from engine.events import Event, NodeFailed, NodeFinished, RunFailed, RunFinished, RunPaused, TokenEmitted, ToolsUsed
from forjinn.core.errors import AppError
from workspaces.models import Workspace
from workspaces.services import set_variable

HERE = "here"
SUMMARY = 60  # characters of an output in the table of nodes
DOES_NOT_RUN = 3


class Command(BaseCommand):
    help = "Work with flows from the command line."
    requires_system_checks = ()  # checking and trying out take neither database nor Redis; what does checks by itself

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        checking = actions.add_parser(
            "check",
            help=f"Say which files run here and what the others lack; exit code {DOES_NOT_RUN} if one does not.",
        )
        importing = actions.add_parser(
            "import",
            help="Save flows and tools from canvas exports, templates and exports of whole workspaces; safe to repeat.",
        )
        for parser_of_files in (checking, importing):
            parser_of_files.add_argument(
                "paths", nargs="+", type=Path, metavar="PATH", help="A file, or a folder of *.json."
            )
        checking.add_argument("--json", action="store_true", help="Every problem, for programs.")
        importing.add_argument("--workspace", default="Default", help="Name of the workspace (default: %(default)s).")
        running = actions.add_parser("run", help="Run one flow out of a file, once, and print its answer.")
        running.add_argument("path", type=Path, metavar="PATH", help="A canvas export or a template.")
        running.add_argument("--question", default="", help="What the flow is asked.")
        running.add_argument(
            "--form", action="append", default=[], metavar="NAME=VALUE", help="A form's value; may be repeated."
        )
        running.add_argument("--workspace", help="Name of the workspace whose credentials and variables it may use.")
        models = running.add_mutually_exclusive_group()
        models.add_argument(
            "--model-url",
            nargs="?",
            const=HERE,
            metavar="URL",
            help="Ask this OpenAI-compatible server instead of the flow's own models; without URL, the one that runs "
            "here (MODEL_URL).",
        )
        models.add_argument(
            "--stub-models",
            action="store_true",
            help="Put a stub in place of all models, whose answers mean nothing, and print a table of what ran.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        match options["action"]:
            case "check":
                self._check(_files(options["paths"]), as_json=options["json"])
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

    def _check(self, files: list[Path], *, as_json: bool) -> None:
        checked = [one for file in files for one in check_file(file)]
        if as_json:
            self.stdout.write(orjson.dumps([_report(one) for one in checked], option=orjson.OPT_INDENT_2).decode())
        else:
            for row in _aligned([(one.title, one.kind or "-", one.state) for one in checked]):
                self.stdout.write(row)
        if failing := sum(not one.runs for one in checked):
            raise CommandError(f"{failing} of {len(checked)} do not run here", returncode=DOES_NOT_RUN)

    def _import(self, workspace: Workspace, files: list[Path]) -> None:
        """Whatever can be imported is; what is bad is told, and fails the command at the end."""
        failed = 0
        for file in files:
            try:
                found = read_file(file)
            except AppError as exc:
                self.stderr.write(f"failed     {exc}")
                failed += 1
                continue
            if isinstance(found, WorkspaceFile):
                failed += self._import_workspace(workspace, found)
            else:
                failed += self._import_one(workspace, found) is None
        if failed:
            raise CommandError(f"{failed} could not be imported")

    def _import_workspace(self, workspace: Workspace, found: WorkspaceFile) -> int:
        """How many of its flows, tools and variables could not be imported."""
        imported = [(tool, self._import_one(workspace, tool)) for tool in found.tools]
        failed = sum(one is None for _, one in imported)
        failed += sum(self._import_one(workspace, flow) is None for flow in found.flows)
        failed += sum(not self._set_variable(workspace, name, value) for name, value in found.variables.items())
        renamed = [_other_id(tool, one.id, found.flows) for tool, one in imported if one and tool.id != one.id]
        for words in (*filter(None, renamed), *found.left_out):
            self.stdout.write(f"left out   {words}")
        return failed

    def _set_variable(self, workspace: Workspace, name: str, value: str) -> bool:
        try:
            set_variable(workspace=workspace, name=name, value=value)
        except AppError as exc:
            self.stderr.write(f"failed     variable {name!r}: {exc.message}")
            return False
        self.stdout.write(f"variable   {name}")
        return True

    def _import_one(self, workspace: Workspace, found: FlowFile | ToolFile) -> Imported | None:
        try:
            if isinstance(found, ToolFile):
                imported = import_tool(workspace_id=workspace.pk, tool=found)
            else:
                imported = import_flow(workspace_id=workspace.pk, flow=found, author="import")
        except AppError as exc:
            self.stderr.write(f"failed     {exc.message}")
            return None
        kind = "tool" if isinstance(found, ToolFile) else found.kind
        self.stdout.write(f"{imported.outcome:<10} {imported.id}  {kind:<10} {found.name}")
        return imported

    def _run(self, options: dict[str, Any]) -> None:
        """The answer goes to stdout as it comes, the nodes to stderr as they end."""
        form = dict(_named(pair) for pair in options["form"])
        if bool(options["question"]) == bool(form):
            raise CommandError("Give either --question or --form NAME=VALUE")
        try:
            asyncio.run(self._ask(options, form))
        except (AppError, EngineError) as exc:
            raise CommandError(exc.message) from exc

    async def _ask(self, options: Mapping[str, Any], form: Mapping[str, str]) -> None:
        workspace = await sync_to_async(self._find_workspace)(options["workspace"]) if options["workspace"] else None
        flow_data = read_flow_file(options["path"]).flow_data
        async with AsyncExitStack() as stack:
            model_url = _model_url(options["model_url"]) if options["model_url"] else ""
            if options["stub_models"]:
                model_url = await stack.enter_async_context(stub_model())
            if model_url:
                flow_data = with_models_at(model_url, flow_data, embeddings=options["stub_models"])
            workspace_id = workspace.pk if workspace else None
            events = try_flow(
                flow_data, question=options["question"], form=form, workspace_id=workspace_id, model_url=model_url
            )
            await self._show(events, as_table=options["stub_models"])

    async def _show(self, events: AsyncIterator[Event], *, as_table: bool) -> None:
        said = ""
        rows = [("node", "status", "ms", "output")]
        try:
            async for event in events:
                if isinstance(event, TokenEmitted):
                    said += event.text
                    self.stdout.write(event.text, ending="")
                    self.stdout.flush()
                if as_table and isinstance(event, NodeFinished | NodeFailed):
                    rows.append(_row(event))
                else:
                    self._tell(event, said)
        finally:
            if len(rows) > 1:
                self.stdout.write("\n" + "\n".join(_aligned(rows)))

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


def _other_id(tool: ToolFile, tool_id: UUID, flows: Sequence[FlowFile]) -> str:
    """In words: which flows still name a tool by an id that it does not have here; "" if none does."""
    naming = [flow.name for flow in flows if tool.id is not None and str(tool.id) in flow.flow_data]
    if not naming:
        return ""
    return f"tool {tool.name!r} has the id {tool_id} here: choose it anew in {', '.join(map(repr, naming))}"


def _row(event: NodeFinished | NodeFailed) -> tuple[str, str, str, str]:
    status = str(event.entry.get("status", "FINISHED"))
    shown = event.error if isinstance(event, NodeFailed) else _summary(event.entry["data"].get("output"))
    return event.label, status, f"{event.duration_ms:.0f}", shown if len(shown) <= SUMMARY else f"{shown[:SUMMARY]}…"


def _summary(output: Any) -> str:
    """What a node put out, in one line: what it said, or which of its ways it took, or the names of what it holds."""
    if not isinstance(output, Mapping):
        return ""
    if isinstance(content := output.get("content"), str):
        return " ".join(content.split())
    ways = output.get("conditions")
    if isinstance(ways, list):
        return f"way out {next((n for n, way in enumerate(ways) if way.get('isFulfilled')), 'none')}"
    return ", ".join(f"{name}: {value}" if isinstance(value, str) else name for name, value in output.items())


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _report(one: Checked) -> dict[str, Any]:
    return {
        "file": one.file,
        "name": one.name,
        "kind": one.kind,
        "runs": one.runs,
        "state": one.state,
        "problems": [problem_entry(problem) for problem in one.problems],
    }


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
