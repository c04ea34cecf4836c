"""Custom assistants: their settings, as an assistant is stored, made into the chatflow that they stand for.

    {"chatModel": {"name": "chatOpenAI", "inputs": {...}, "credential": "..."}, "instruction": "Be kind.",
     "tools": [{"name": "calculator", "inputs": {...}}],
     "documentStores": [{"id": "...", "name": "Manual", "description": "...", "returnSourceDocuments": true}]}

Only `chatModel` must be there. `instructions` is read like `instruction`, and settings may stand beside `name` instead
of under `inputs`. With `flowData` the graph in it runs, and nothing else is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from engine.errors import FlowError
from engine.tools import tool_name

AGENT, MEMORY = "toolAgent_0", "bufferMemory_0"
STORE, LOOK_UP = "documentStoreVS", "retrieverTool"
# What stands in a component beside its settings.
OF_NODES = frozenset(
    ("id", "name", "label", "version", "type", "category", "icon", "description", "baseClasses", "filePath", "inputs")
) | frozenset(("inputParams", "inputAnchors", "outputs", "outputAnchors", "credential", "selected", "tags", "badge"))


def is_assistant(raw: Mapping[str, Any]) -> bool:
    """Whether this is an assistant's settings, not a graph."""
    return "nodes" not in raw and ("chatModel" in raw or "flowData" in raw)


def graph_of(details: Mapping[str, Any]) -> dict[str, Any]:
    """Nodes and edges as the editor draws such an assistant: an agent with a memory, a model, tools and stores.

    Raises FlowError for settings without a model, and for tools or stores that are not described.
    """
    if drawn := details.get("flowData"):
        return _drawn(drawn)
    model = _component(details.get("chatModel"), "The assistant has no chat model: choose one.")
    tools = [
        _component(tool, "A tool of the assistant has no name: choose it again.") for tool in _list(details, "tools")
    ]
    found = [part for store in _list(details, "documentStores") for part in _look_up(store)]
    parts = _numbered([model, {"name": "bufferMemory", "category": "Memory"}, *tools, *found])
    carried = [part["id"] for part in parts if part["name"] != STORE]
    agent = {
        "id": AGENT,
        "name": "toolAgent",
        "label": "Tool Agent",
        "category": "Agents",
        "inputs": {
            "model": _instance(carried[0]),
            "memory": _instance(carried[1]),
            "tools": [_instance(part) for part in carried[2:]],
            "systemMessage": str(details.get("instruction") or details.get("instructions") or ""),
        },
    }
    return {"nodes": [_node(data) for data in (*parts, agent)], "edges": []}


def _drawn(drawn: Any) -> dict[str, Any]:
    try:
        graph = orjson.loads(drawn) if isinstance(drawn, str) else drawn
    except orjson.JSONDecodeError as exc:
        raise FlowError(f"The assistant's flowData is not valid JSON: {exc}.") from exc
    if not isinstance(graph, dict) or "nodes" not in graph:
        raise FlowError("The assistant's flowData must be a graph: an object with nodes and edges.")
    return graph


def _list(details: Mapping[str, Any], name: str) -> list[Any]:
    given = details.get(name) or []
    if not isinstance(given, list):
        raise FlowError(f"The assistant's {name} must be a list.")
    return given


def _component(given: Any, missing: str) -> dict[str, Any]:
    """A component's data as a node has it."""
    if not isinstance(given, Mapping) or not given.get("name"):
        raise FlowError(missing)
    beside = {name: value for name, value in given.items() if name not in OF_NODES}
    inputs = given.get("inputs")
    settings = {**beside, **(inputs if isinstance(inputs, Mapping) else {})}
    credential = given.get("credential") or settings.get("credential") or settings.get("FLOWISE_CREDENTIAL_ID")
    return {**{n: v for n, v in given.items() if n in OF_NODES}, "inputs": settings, "credential": credential or ""}


def _look_up(store: Any) -> list[dict[str, Any]]:
    """A store, and the tool that finds something in it; the tool comes behind its store."""
    if not isinstance(store, Mapping) or not store.get("id"):
        raise FlowError("A document store of the assistant has no id: choose it again.")
    name = str(store.get("name") or store["id"])
    return [
        {"name": STORE, "inputs": {"selectedStore": str(store["id"])}, "outputs": {"output": "retriever"}},
        {
            "name": LOOK_UP,
            "inputs": {
                "name": tool_name(name.lower()),
                "description": str(store.get("description") or f"Looks something up in {name}."),
                "returnSourceDocuments": store.get("returnSourceDocuments", False),
                "retriever": STORE,  # until its id is known
            },
        },
    ]


def _numbered(parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The parts with ids of their own; a look-up is connected to the store before it."""
    counts: dict[str, int] = {}
    numbered: list[dict[str, Any]] = []
    for part in parts:
        name = str(part["name"])
        node_id = f"{name}_{counts.get(name, 0)}"
        counts[name] = counts.get(name, 0) + 1
        inputs = dict(part.get("inputs") or {})
        if inputs.get("retriever") == STORE:
            inputs["retriever"] = _instance(numbered[-1]["id"])
        numbered.append({"label": name, **part, "id": node_id, "inputs": inputs})
    return numbered


def _instance(node_id: str) -> str:
    return f"{{{{{node_id}.data.instance}}}}"


def _node(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": data["id"], "type": "customNode", "data": data}
