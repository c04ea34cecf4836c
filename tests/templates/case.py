"""What a template is put to: what its new owner fills in, what is said to it, and what must come of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatflows.interchange import read_flow_file
from chatflows.trial import with_models_at
from tests.model_wire import Reply

FLOWS = Path(__file__).resolve().parents[1] / "flows"

# What stands for the servers' addresses and the credentials' ids, which are known only when the test runs.
VENDORS, MODEL, PINECONE_KEY = "{vendors}", "{model}", "{pineconeApi}"
ANY_PINECONE: Mapping[str, Any] = {"credential": PINECONE_KEY, "pineconeApiUrl": VENDORS}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message to the flow, and what comes back."""

    question: str
    replies: Sequence[Reply | str]
    answer: str
    visited: str  # ids of the nodes that ran, in order
    frames: str  # names, without those that tell of the nodes, equal neighbours as one; empty: it does not stream
    form: Mapping[str, str] = field(default_factory=dict)
    said: str = ""  # what is kept as the person's message, if not the question
    kept: str = ""  # what is kept as the answer, if not the answer
    fails: str = ""  # why it cannot end: what nobody can have in a test
    by: Mapping[str, Any] = field(default_factory=dict)  # what else the call carries
    calls: Sequence[str] = ()  # what the vendors are asked
    heard: str = ""  # a text that the model was told last, or a vendor


@dataclass(frozen=True, slots=True)
class Case:
    """`fill` holds, by node, what exports leave out; a path leads into lists and objects.

    `tools` are those of the template's own workspace, by the nodes that name them: exports carry their ids alone. So do
    they of document stores: `stores` holds, by node, what the one that a path leads to holds.
    """

    file: str
    turns: Sequence[Turn]
    fill: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tools: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    stores: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def flow_data(
        self,
        places: Mapping[str, str],
        tool_ids: Mapping[str, str],
        store_ids: Mapping[str, Mapping[str, str]] | None = None,
    ) -> str:
        """The template as its new owner saves it: filled in, and its models are the scripted one."""
        graph = json.loads(read_flow_file(FLOWS / f"{self.file}.json").flow_data)
        chosen = {node_id: {"selectedTool": tool_id} for node_id, tool_id in tool_ids.items()}
        parts = (self.fill, chosen, store_ids or {})
        for node in graph["nodes"]:
            for path, value in [item for part in parts for item in part.get(node["id"], {}).items()]:
                _put(node["data"], path, value)
        text = json.dumps(graph)
        # As a part of JSON: no place holds what would have to be escaped.
        for name, place in places.items():
            text = text.replace(name, place)
        return with_models_at(places[MODEL], text, embeddings=True)


def call(name: str, **arguments: Any) -> Reply:
    """The model asks for a tool."""
    return Reply(tool_calls=[(name, arguments)])


def route(worker: str, instructions: str = "Go.") -> Reply:
    """The supervisor's choice."""
    return call("route", reasoning="so", next=worker, instructions=instructions)


def data_uri(name: str, text: str) -> str:
    """A file as the editor keeps one."""
    return f"data:text/plain;base64,{base64.b64encode(text.encode()).decode()},filename:{name}"


def _put(data: dict[str, Any], path: str, value: Any) -> None:
    if path == "credential":
        data[path] = value
        return
    held: Any = data["inputs"]
    *way, last = path.split(".")
    for step in way:
        held = held[int(step)] if isinstance(held, list) else held[step]
    held[last] = value
