"""Flows and tools in files: what the canvas exports, published templates, and exports of whole workspaces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import orjson

from chatflows.flowdata import FlowDataInvalid, kind_of, read_graph
from chatflows.tools import MAX_TEXT, check_schema
from forjinn.core.errors import BadRequest
from forjinn.core.jsontext import LONGEST_SETTINGS, is_too_deep
from forjinn.core.texts import UNSTORABLE, one_line

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
LONGEST = 255  # characters of a name

Held = TypeVar("Held", "FlowFile", "ToolFile")


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


def kind_in_words(held: FlowFile | ToolFile) -> str:
    return "flow" if isinstance(held, FlowFile) else "tool"


def _flow(path: Path, text: str, document: Mapping[str, Any]) -> FlowFile:
    try:
        graph = read_graph(text)
    except FlowDataInvalid as exc:
        raise FileInvalid(f"{path.name}: {exc.message}") from exc
    # A canvas export is the flow's text as it is; a template's words about itself are left out of it.
    own = {key: value for key, value in document.items() if key not in TEMPLATE_KEYS}
    flow_data = text if len(own) == len(document) else orjson.dumps(own).decode()
    return FlowFile(
        name=_name({"name": path.stem}),
        description=_words(document, "description"),
        kind=kind_of(graph),
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
        name=_name(entry),
        description=texts["description"],
        color=texts["color"][:LONGEST],
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
        left_out += [
            f"{name} of flow {_name(entry)!r}: expected an object as JSON text, {LONGEST_SETTINGS} characters at most"
            for name in ("chatbotConfig", "apiConfig")
            if entry.get(name) and not _object_text(entry[name])
        ]
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
    values = {_name(entry): _value(entry) for entry in variables if _name(entry) not in runtime}
    return WorkspaceFile(_apart(flows, left_out), _apart(tools, left_out), values, left_out)


def _apart(found: Sequence[Held], left_out: list[str]) -> Sequence[Held]:
    """Those that nothing else in the file would be taken for: of two that are known by one id or name, the first."""
    names = Counter(held.name for held in found)
    known: dict[UUID | str, Held] = {}
    for held in found:
        key = held.id or held.name
        if key in known or (held.id is None and names[held.name] > 1):
            shared = "id" if held.id else "name"
            left_out.append(f"{kind_in_words(held)} {held.name!r}: the file holds another of this {shared}")
        else:
            known[key] = held
    return list(known.values())


def _exported_flow(entry: Mapping[str, Any]) -> FlowFile:
    text = entry.get("flowData")
    if not isinstance(text, str):
        raise FlowDataInvalid("flowData: expected JSON text of an object with nodes and edges")
    return FlowFile(
        name=_name(entry),
        description="",
        kind=kind_of(read_graph(text)),
        flow_data=text,
        id=_id(entry),
        category=one_line(str(entry.get("category") or ""))[:LONGEST],
        chatbot_config=_object_text(entry.get("chatbotConfig")),
        api_config=_object_text(entry.get("apiConfig")),
    )


def _entries(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    held = document.get(name)
    return [entry for entry in held if isinstance(entry, dict)] if isinstance(held, list) else []


def _examples(things: Sequence[Mapping[str, Any]]) -> str:
    names = [_name(thing) for thing in things if thing.get("name")]
    more = ", …" if len(names) > NAMED else ""
    return f": {', '.join(names[:NAMED])}{more}" if names else ""


def _name(entry: Mapping[str, Any]) -> str:
    return one_line(str(entry.get("name") or ""))[:LONGEST] or "Untitled"


def _value(entry: Mapping[str, Any]) -> str:
    value = entry.get("value")
    return value if isinstance(value, str) else "" if value is None else orjson.dumps(value).decode()


def _id(entry: Mapping[str, Any]) -> UUID | None:
    try:
        return UUID(str(entry.get("id")))
    except ValueError:
        return None


def _words(document: Mapping[str, Any], name: str) -> str:
    held = document.get(name)
    return UNSTORABLE.sub("", held)[:500] if isinstance(held, str) else ""


def _object_text(text: Any) -> str:
    """JSON text of an object, "" for anything else, and for what the API would not take either."""
    try:
        value = orjson.loads(text) if isinstance(text, str) and len(text) <= LONGEST_SETTINGS else None
    except orjson.JSONDecodeError:
        return ""
    return text if isinstance(value, dict) and not is_too_deep(value) else ""


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
