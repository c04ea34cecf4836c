"""Flows drawn as text (`check[true] -> yes -> end`), on node types that do nothing unless a test says what."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import orjson

from engine.context import NodeContext, RunRequest, World
from engine.events import Event, NodeFinished, NodeSkipped, RunFailed, TokenEmitted
from engine.flow import Flow, parse_flow
from engine.registry import Registry, load_registry
from engine.runner import run_flow
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

Does = Callable[[NodeContext, Inputs], Awaitable[NodeResult]]

OPTIONS = ("limits", "commands", "resume", "is_journalled")  # of run_flow
PLACE = re.compile(r"([\w.]+)(?:\[([\w.]+)\])?")
TEXT = Param("text", "string", variables=True)
AGENTFLOW_TYPES = {
    "startAgentflow": NodeSpec("startAgentflow", "Start", 1, "Agent Flows", params=(TEXT,), role="start"),
    "stepAgentflow": NodeSpec(
        "stepAgentflow",
        "Step",
        1,
        "Agent Flows",
        params=(
            TEXT,
            Param("rows", "array", variables=True),
            Param("stepUpdateState", "array", variables=True),
            Param("stepEnableMemory", "boolean"),
            Param("secret", "password"),
            Param("plain", "string"),
        ),
    ),
    "checkAgentflow": NodeSpec("checkAgentflow", "Check", 1, "Agent Flows", params=(TEXT,), is_decision=True),
}
CLASSIC_TYPES = {
    "part": NodeSpec(
        "part", "Part", 1, "Tools", params=(TEXT, Param("json", "json", variables=True)), role="component"
    ),
    "memory": NodeSpec("memory", "Memory", 1, "Memory", role="component"),
    "chain": NodeSpec(
        "chain",
        "Chain",
        1,
        "Chains",
        params=(TEXT, Param("plain", "string"), Param("needed", "Thing", optional=True)),
        outputs=("chain", "outputPrediction"),
        role="ending",
    ),
}


@dataclass
class Board:
    """Runs drawn flows. Change `does`, `inputs` and the rest of what a node is before it is run."""

    world: World
    does: dict[str, Does] = field(default_factory=dict)  # node id -> its run function
    takes: dict[str, str | Sequence[str]] = field(default_factory=dict)  # decision -> handle(s); else the first drawn
    inputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    policies: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    independent: set[str] = field(default_factory=set)  # nodes that may run ahead of their turn
    # Node id -> type. Classic: else `part`, the last one `chain`. Agent flows: a built-in type, which then really runs.
    types: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)  # node id -> the iteration that it stands in
    components: dict[str, Any] = field(default_factory=dict)  # what nodes configure by these names
    data: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # more of a node's data
    _handles: dict[str, list[str]] = field(default_factory=dict)

    def registry(self, *more: NodeType) -> Registry:
        """A type for each role, whose nodes do what `does` says by their ids; and the built-in types that are drawn."""
        drawn = set(self.types.values()) - CLASSIC_TYPES.keys()
        return Registry(
            [
                *(node_type for node_type in built_in() if node_type.spec.name in drawn),
                *(
                    NodeType(NodeSpec(name, name, 1, "Tools", role="component"), gives(value=value))
                    for name, value in self.components.items()
                ),
                *(
                    NodeType(spec, self._run, is_independent=lambda inputs: inputs.get("plain") == "independent")
                    for spec in (*AGENTFLOW_TYPES.values(), *CLASSIC_TYPES.values())
                    if spec.name not in drawn
                ),
                *more,
            ]
        )

    def agentflow(self, picture: str) -> Flow:
        edges, handles = read(picture)
        self._handles = handles
        first = edges[0][0][0] if edges else picture.strip()
        nodes = [self._agentflow_node(node_id, first, handles) for node_id in ids_of(picture)]
        drawn = [
            {
                "source": source,
                "target": target,
                "sourceHandle": f"{source}-output-{_index(handles, source, handle)}",
                "targetHandle": target,
            }
            for (source, handle), target in edges
        ]
        return parse_flow(orjson.dumps({"nodes": nodes, "edges": drawn}))

    def classic(self, picture: str) -> Flow:
        edges, _ = read(picture)
        sources = {source for (source, _), _ in edges}
        nodes = [self._classic_node(node_id, edges, is_end=node_id not in sources) for node_id in ids_of(picture)]
        drawn = [
            {
                "source": source,
                "target": target,
                "sourceHandle": f"{source}-output-{source}-Thing",
                "targetHandle": f"{target}-input-{handle or source}-Thing",
            }
            for (source, handle), target in edges
        ]
        return parse_flow(orjson.dumps({"nodes": nodes, "edges": drawn}))

    async def run(self, drawn: str | Flow, question: str = "hi", **more: Any) -> list[Event]:
        """All events of a run. `classic=True` draws a classic graph."""
        run_options = {name: more.pop(name) for name in OPTIONS if name in more}
        if isinstance(drawn, str):
            drawn = self.classic(drawn) if more.pop("classic", False) else self.agentflow(drawn)
        request = RunRequest(question, chat_id="c1", session_id="s1", chatflow_id="f1", **more)
        events = run_flow(drawn, request, self.world, registry=self.registry(), **run_options)
        return [event async for event in events]

    async def _run(self, ctx: NodeContext, inputs: Inputs) -> NodeResult:
        does = self.does.get(ctx.node.id)
        if does is not None:
            return await does(ctx, inputs)
        handles = self._handles.get(ctx.node.id)
        if handles:
            takes = self.takes.get(ctx.node.id, handles[0])
            taken = [takes] if isinstance(takes, str) else takes
            return NodeResult(taken=frozenset(handles.index(handle) for handle in taken))
        return NodeResult(output={"content": ctx.node.id}, value=ctx.node.id)

    def _agentflow_node(self, node_id: str, first: str, handles: Mapping[str, list[str]]) -> dict[str, Any]:
        name = self.types.get(node_id) or ("checkAgentflow" if node_id in handles else "stepAgentflow")
        inputs = dict(self.inputs.get(node_id, {}))
        if node_id == first:
            name = "startAgentflow"
            inputs.setdefault("startInputType", "chatInput")
        if node_id in self.independent:
            inputs["plain"] = "independent"
        return self._node(node_id, "agentFlow", {"name": name, "inputs": inputs})

    def _classic_node(self, node_id: str, edges: Iterable[Any], *, is_end: bool) -> dict[str, Any]:
        name = self.types.get(node_id, "chain" if is_end else "part")
        wired = {
            handle or source: f"{{{{{source}.data.instance}}}}"
            for (source, handle), target in edges
            if target == node_id
        }
        category = CLASSIC_TYPES[name].category if name in CLASSIC_TYPES else ""
        inputs = {**wired, **self.inputs.get(node_id, {})}
        return self._node(node_id, "customNode", {"name": name, "category": category, "inputs": inputs})

    def _node(self, node_id: str, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        policy = {"policy": self.policies[node_id]} if node_id in self.policies else {}
        parent = {"parentNode": self.parents[node_id]} if node_id in self.parents else {}
        more = self.data.get(node_id, {})
        inner = {"id": node_id, "label": node_id, **data, **policy, **more}
        return {"id": node_id, "type": kind, **parent, "data": inner}


@cache
def built_in() -> Registry:
    return load_registry()


def read(picture: str) -> tuple[list[tuple[tuple[str, str], str]], dict[str, list[str]]]:
    """Edges as ((source, handle), target), and each node's handles in the order in which they are drawn."""
    edges = []
    handles: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, picture.splitlines())):
        places = [_place(part) for part in line.split("->")]
        for (source, handle), (target, _) in pairwise(places):
            edges.append(((source, handle), target))
            if handle not in ("", "error") and handle not in handles.setdefault(source, []):
                handles[source].append(handle)
    return edges, handles


def ids_of(picture: str) -> list[str]:
    """Each node once, in the order in which they are drawn."""
    return list(dict.fromkeys(_place(part)[0] for part in re.split(r"->|\n", picture) if part.strip()))


def ran(events: Iterable[Event]) -> list[str]:
    return [event.node_id for event in events if isinstance(event, NodeFinished)]


def skipped(events: Iterable[Event]) -> list[str]:
    return [event.node_id for event in events if isinstance(event, NodeSkipped)]


def tokens(events: Iterable[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, TokenEmitted)]


def entry_of(events: Iterable[Event], node_id: str) -> Mapping[str, Any]:
    """The trace entry of the node's last run."""
    return [e.entry for e in events if isinstance(e, NodeFinished) and e.node_id == node_id][-1]


def error_of(events: Sequence[Event]) -> RunFailed:
    assert isinstance(events[-1], RunFailed), events[-1]
    return events[-1]


def gives(**result: Any) -> Does:
    """A node that gives this result."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return NodeResult(**result)

    return run


def says(content: Any, **output: Any) -> Does:
    """A node whose output has this content."""
    return gives(output={"content": content, **output}, value=content)


async def echoes(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A node that gives its resolved text."""
    return NodeResult(output={"content": inputs.get("text")}, value=inputs.get("text"))


def _place(text: str) -> tuple[str, str]:
    found = PLACE.fullmatch(text.strip())
    assert found, f"no node: {text!r}"
    return found[1], found[2] or ""


def _index(handles: Mapping[str, list[str]], source: str, handle: str) -> str:
    if handle == "error":
        return handle
    return str(handles[source].index(handle)) if handle else source
