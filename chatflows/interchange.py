"""Flows and tools in files: what the canvas exports, published templates, and exports of whole workspaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import UUID

import orjson

from chatflows.flowdata import FlowDataInvalid, kind_of, read_graph
from chatflows.models import Chatflow, Tool
from chatflows.services import Changes, create_chatflow, update_chatflow
from chatflows.tools import MAX_TEXT, check_schema, create_tool, update_tool
from forjinn.core.errors import BadRequest
from forjinn.core.ids import uuid7

# What a template says of itself, beside the graph.
TEMPLATE_KEYS = frozenset({"description", "usecases", "framework", "badge"})
FLOW_LISTS = ("ChatFlow", "AgentFlow", "AgentFlowV2")
VARIABLES = "Variable"
TOOLS = "Tool"
# What else a workspace's export holds, by the words in which it is told that it stays behind.
LEFT_BEHIND: Mapping[str, str] = {
    "AssistantCustom": "assistants",
    "AssistantFlow": "assistants",
    "AssistantOpenAI": "OpenAI assistants",
    "AssistantAzure": "Azure assistants",
    "CustomTemplate": "templates",
    "DocumentStore": "document stores",
    "DocumentStoreFileChunk": "chunks of document stores",
    "ChatMessage": "messages",
    "ChatMessageFeedback": "feedback on messages",
    "Execution": "executions",
}
EXPORT_KEYS = frozenset({*FLOW_LISTS, VARIABLES, TOOLS, *LEFT_BEHIND})
NAMED = 5  # how many of the things that stay behind are named


class FileInvalid(BadRequest):
    """The file holds something other than it should."""

    code = "file_invalid"


@dataclass(frozen=True, slots=True)
class FlowFile:
    """One flow as a file holds it. `id` and the settings below it come with the export of a workspace."""

    name: str
    description: str
    kind: str
    flow_data: str
    id: UUID | None = None
    category: str = ""
    chatbot_config: str = ""
    api_config: str = ""


@dataclass(frozen=True, slots=True)
class ToolFile:
    """A tool whose function is JavaScript. `id` comes with the export of a workspace: flows name it."""

    name: str
    description: str
    color: str
    icon_src: str
    schema: str
    func: str
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceFile:
    """The export of a whole workspace: what of it can be taken, and in words what cannot."""

    flows: Sequence[FlowFile]
    tools: Sequence[ToolFile]
    variables: Mapping[str, str]
    left_out: Sequence[str]


class Imported(NamedTuple):
    """Which flow or tool it is here, and what became of it."""

    id: UUID
    outcome: Literal["created", "updated", "unchanged"]


def read_file(path: Path) -> FlowFile | ToolFile | WorkspaceFile:
    """Whatever the file holds. Raises FileInvalid if that is none of the three.

    Node types are not looked at: one that is unknown here is kept, and refused only when the flow is run.
    """
    text = _read(path)
    document = _parse(path, text)
    if {"nodes", "edges"} <= document.keys():
        return _flow(path, text, document)
    if {"schema", "func"} <= document.keys():
        return _tool_file(path, document)
    if document.keys() & EXPORT_KEYS:
        return _workspace(path, document)
    if isinstance(document.get("flowData"), str):
        raise FileInvalid(
            f"{path.name}: this is a flow as the API answers it; save the text in its flowData as a file of its own"
        )
    raise FileInvalid(f"{path.name}: expected an object with nodes and edges")


def read_flow_file(path: Path) -> FlowFile:
    """The one flow in a canvas export or a template, named like the file. Raises FileInvalid, saying what it is."""
    match read_file(path):
        case FlowFile() as flow:
            return flow
        case ToolFile():
            raise FileInvalid(f"{path.name}: this is a tool, not a flow")
        case WorkspaceFile(flows=flows):
            raise FileInvalid(
                f"{path.name}: this is the export of a whole workspace, with {len(flows)} flows; import it, or export "
                "the one flow from its canvas"
            )


def import_flow(*, workspace_id: UUID, flow: FlowFile, author: str) -> Imported:
    """Save the flow under its name: created, or a new version of the one that has it already.

    A flow from another server keeps its id, by which pages and programs call it, unless somebody has that id here.
    Importing the same file again changes nothing. Raises BadRequest if several flows have the name, or one of another
    kind: the file would mean something else there.
    """
    present = _present(workspace_id, flow)
    if present is None:
        chatflow = create_chatflow(
            workspace_id=workspace_id,
            author=author,
            id=_free_id(flow),
            name=flow.name,
            description=flow.description,
            kind=flow.kind,
            flow_data=flow.flow_data,
            category=flow.category,
            chatbot_config=flow.chatbot_config,
            api_config=flow.api_config,
        )
        return Imported(chatflow.pk, "created")
    if present.kind != flow.kind:
        raise BadRequest(f"'{flow.name}': the flow of this name is of type {present.kind}, the file of {flow.kind}")
    settings: Changes = {}
    if flow.id is not None:  # a file of the flow alone says nothing of these
        settings = {
            "category": flow.category,
            "chatbot_config": flow.chatbot_config,
            "api_config": flow.api_config,
        }
    updated = update_chatflow(
        workspace_id=workspace_id, chatflow_id=present.pk, author=author, flow_data=flow.flow_data, **settings
    )
    return Imported(present.pk, "unchanged" if updated.revision == present.revision else "updated")


def import_tool(*, workspace_id: UUID, tool: ToolFile) -> Imported:
    """Keep the tool under its name: created, or changed where one has it already.

    A tool from another server keeps its id, by which flows name it, unless somebody has that id here.
    Importing the same file again changes nothing. Raises BadRequest if several tools have the name.
    """
    fields = {
        "name": tool.name,
        "description": tool.description,
        "color": tool.color,
        "icon_src": tool.icon_src,
        "schema": tool.schema,
        "func": tool.func,
    }
    is_free = tool.id is not None and not Tool.objects.filter(pk=tool.id).exists()
    # One of the same name is another tool then, as two of an export may be, and flows name them by their ids.
    present = None if is_free else _present_tool(workspace_id, tool)
    if present is None:
        tool_id = tool.id if tool.id is not None and is_free else uuid7()
        return Imported(create_tool(workspace_id=workspace_id, id=tool_id, **fields).pk, "created")
    updated = update_tool(workspace_id=workspace_id, tool_id=present.pk, **fields)
    return Imported(present.pk, "unchanged" if updated.updated_at == present.updated_at else "updated")


def _present_tool(workspace_id: UUID, tool: ToolFile) -> Tool | None:
    own = Tool.objects.of(workspace_id)
    if tool.id is not None and (same := own.filter(pk=tool.id).first()):
        return same
    namesakes = list(own.filter(name=tool.name)[:2])
    if len(namesakes) > 1:
        raise BadRequest(f"'{tool.name}': several tools have this name; rename all but one")
    return namesakes[0] if namesakes else None


def _present(workspace_id: UUID, flow: FlowFile) -> Chatflow | None:
    own = Chatflow.objects.of(workspace_id)
    if flow.id is not None and (same := own.filter(pk=flow.id).first()):
        return same
    namesakes = list(own.filter(name=flow.name)[:2])
    if len(namesakes) > 1:
        raise BadRequest(f"'{flow.name}': several flows have this name; rename all but one")
    return namesakes[0] if namesakes else None


def _free_id(flow: FlowFile) -> UUID:
    return uuid7() if flow.id is None or Chatflow.objects.filter(pk=flow.id).exists() else flow.id


def _flow(path: Path, text: str, document: Mapping[str, Any]) -> FlowFile:
    # A canvas export is the flow's text as it is; a template's words about itself are left out of it.
    own = {key: value for key, value in document.items() if key not in TEMPLATE_KEYS}
    flow_data = text if len(own) == len(document) else orjson.dumps(own).decode()
    return FlowFile(
        name=path.stem[:255],
        description=_words(document, "description"),
        kind=kind_of(read_graph(flow_data)),
        flow_data=flow_data,
    )


def _tool_file(path: Path, document: Mapping[str, Any]) -> ToolFile:
    try:
        return _tool({"name": path.stem, **document})
    except BadRequest as exc:
        raise FileInvalid(f"{path.name}: the tool's {exc.message}") from exc


def _tool(entry: Mapping[str, Any]) -> ToolFile:
    """Raises BadRequest, naming the field."""
    texts = {name: entry.get(name) or "" for name in ("description", "color", "iconSrc", "func")}
    schema = entry.get("schema") or "[]"
    texts["schema"] = schema if isinstance(schema, str) else orjson.dumps(schema).decode()
    for name, text in texts.items():
        if not isinstance(text, str) or len(text) > MAX_TEXT or "\0" in text:
            raise BadRequest(f"{name}: expected text of at most {MAX_TEXT} characters")
    if not texts["func"].strip():
        raise BadRequest("func: missing; it is what the tool does, in JavaScript")
    check_schema(texts["schema"])
    return ToolFile(
        name=_name(entry)[:255],
        description=texts["description"],
        color=texts["color"][:255],
        icon_src=texts["iconSrc"],
        schema=texts["schema"],
        func=texts["func"],
    )


def _workspace(path: Path, document: Mapping[str, Any]) -> WorkspaceFile:
    entries = [entry for name in FLOW_LISTS for entry in _entries(document, name)]
    flows: list[FlowFile] = []
    left_out: list[str] = []
    for entry in entries:
        try:
            flows.append(_exported_flow(entry))
        except FlowDataInvalid as exc:
            left_out.append(f"flow {_name(entry)!r}: {exc.message}")
    tools: list[ToolFile] = []
    for entry in _entries(document, TOOLS):
        try:
            tools.append(replace(_tool(entry), id=_id(entry)))
        except BadRequest as exc:
            left_out.append(f"tool {_name(entry)!r}: {exc.message}")
    variables = _entries(document, VARIABLES)
    runtime = [_name(entry) for entry in variables if entry.get("type") == "runtime"]
    if runtime:
        left_out.append(f"variables from the other server's environment, to be set here: {', '.join(runtime)}")
    for name, words in LEFT_BEHIND.items():
        if things := _entries(document, name):
            left_out.append(f"{len(things)} {words}{_examples(things)}")
    values = {_name(entry): str(entry.get("value") or "") for entry in variables if _name(entry) not in runtime}
    return WorkspaceFile(flows, tools, values, left_out)


def _exported_flow(entry: Mapping[str, Any]) -> FlowFile:
    text = entry.get("flowData")
    if not isinstance(text, str):
        raise FlowDataInvalid("flowData: expected JSON text of an object with nodes and edges")
    return FlowFile(
        name=_name(entry)[:255],
        description="",
        kind=kind_of(read_graph(text)),
        flow_data=text,
        id=_id(entry),
        category=str(entry.get("category") or "")[:255],
        chatbot_config=_object_text(entry.get("chatbotConfig")),
        api_config=_object_text(entry.get("apiConfig")),
    )


def _entries(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    held = document.get(name)
    return [entry for entry in held if isinstance(entry, dict)] if isinstance(held, list) else []


def _examples(things: Sequence[Mapping[str, Any]]) -> str:
    names = [str(thing["name"]) for thing in things if thing.get("name")]
    more = ", …" if len(names) > NAMED else ""
    return f": {', '.join(names[:NAMED])}{more}" if names else ""


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or "Untitled")


def _id(entry: Mapping[str, Any]) -> UUID | None:
    try:
        return UUID(str(entry.get("id")))
    except ValueError:
        return None


def _words(document: Mapping[str, Any], name: str) -> str:
    held = document.get(name)
    return held[:500] if isinstance(held, str) else ""


def _object_text(text: Any) -> str:
    """JSON text of an object, "" for anything else."""
    try:
        return text if isinstance(text, str) and isinstance(orjson.loads(text), dict) else ""
    except orjson.JSONDecodeError:
        return ""


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
