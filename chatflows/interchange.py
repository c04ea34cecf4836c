"""Flows in files: what the canvas exports, and published templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import orjson

from chatflows.flowdata import kind_of, read_graph
from chatflows.models import Chatflow
from chatflows.services import create_chatflow, update_chatflow
from forjinn.core.errors import BadRequest

# What a template says of itself, beside the graph.
TEMPLATE_KEYS = frozenset({"description", "usecases", "framework", "badge"})
WORKSPACE_EXPORT_KEYS = frozenset({"ChatFlow", "AgentFlow", "AgentFlowV2", "ChatMessage", "DocumentStore"})


class FileInvalid(BadRequest):
    """The file holds something other than one flow."""

    code = "file_invalid"


@dataclass(frozen=True, slots=True)
class FlowFile:
    """One flow as a file holds it."""

    name: str
    description: str
    kind: str
    flow_data: str


@dataclass(frozen=True, slots=True)
class Imported:
    chatflow_id: UUID
    outcome: Literal["created", "updated", "unchanged"]


def read_flow_file(path: Path) -> FlowFile:
    """The flow in a canvas export or a template, named like the file. Raises FileInvalid, saying what it is instead.

    Node types are not looked at: one that is unknown here is kept, and refused only when the flow is run.
    """
    text = _read(path)
    document = _parse(path, text)
    if not {"nodes", "edges"} <= document.keys():
        raise FileInvalid(f"{path.name}: {_what_else(document)}")
    # A canvas export is the flow's text as it is; a template's words about itself are left out of it.
    own = {key: value for key, value in document.items() if key not in TEMPLATE_KEYS}
    flow_data = text if len(own) == len(document) else orjson.dumps(own).decode()
    graph = read_graph(flow_data)
    description = document.get("description")
    return FlowFile(
        name=path.stem[:255],
        description=description[:500] if isinstance(description, str) else "",
        kind=kind_of(graph),
        flow_data=flow_data,
    )


def import_flow(*, workspace_id: UUID, flow: FlowFile, author: str) -> Imported:
    """Save the flow under its name: created, or a new version of the one that has it already.

    Importing the same file again changes nothing. Raises BadRequest if several flows have the name, or one of another
    kind: the file would mean something else there.
    """
    namesakes = list(Chatflow.objects.of(workspace_id).filter(name=flow.name)[:2])
    if not namesakes:
        chatflow = create_chatflow(
            workspace_id=workspace_id,
            author=author,
            flow_data=flow.flow_data,
            name=flow.name,
            description=flow.description,
            kind=flow.kind,
        )
        return Imported(chatflow.pk, "created")
    if len(namesakes) > 1:
        raise BadRequest(f"'{flow.name}': several flows have this name; rename all but one")
    present = namesakes[0]
    if present.kind != flow.kind:
        raise BadRequest(f"'{flow.name}': the flow of this name is of type {present.kind}, the file of {flow.kind}")
    updated = update_chatflow(
        workspace_id=workspace_id, chatflow_id=present.pk, author=author, flow_data=flow.flow_data
    )
    return Imported(present.pk, "unchanged" if updated.version_id == present.version_id else "updated")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise FileInvalid(f"{path}: cannot be read: {exc}") from exc


def _parse(path: Path, text: str) -> Mapping[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise FileInvalid(f"{path.name}: not valid JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise FileInvalid(f"{path.name}: expected an object with nodes and edges")
    return document


def _what_else(document: Mapping[str, Any]) -> str:
    if document.keys() & WORKSPACE_EXPORT_KEYS:
        return "this is the export of a whole workspace; export the flow itself from its canvas"
    if {"schema", "func"} <= document.keys():
        return "this is a tool, not a flow"
    return "expected an object with nodes and edges"
