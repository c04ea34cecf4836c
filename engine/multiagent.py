"""Graphs of the first generation: which nodes take turns, what each must know of its neighbours, and its ways out.

Agents stand in a row or under a supervisor; models, tools and memories are parts of them. Loops and workers go back by
name, so the graph that is drawn has no circle.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.errors import FlowError
from engine.flow import MULTI_AGENTS, Flow, Node, instances_in
from engine.graph import Edge, Graph
from engine.tools import tool_name

if TYPE_CHECKING:
    from engine.registry import Registry

START, SUPERVISOR, WORKER = "seqStart", "supervisor", "worker"
LOOP, END, TOOLS, LLM = "seqLoop", "seqEnd", "seqToolNode", "seqLLMNode"
AGENT_MEMORY = "agentMemory"
# The param that holds what a node is called; loops go back to it, and people read it.
TITLES: Mapping[str, str] = {
    SUPERVISOR: "supervisorName",
    WORKER: "workerName",
    TOOLS: "toolNodeName",
    LLM: "llmNodeName",
    "seqAgent": "agentName",
    "seqCondition": "conditionName",
    "seqConditionAgent": "conditionAgentName",
    "seqCustomFunction": "functionName",
    "seqExecuteFlow": "seqExecuteFlowName",
}
SHARED = ("model", "state")  # anchors of the first node that the others have from it
MOST_TURNS = 100  # unless the flow says otherwise


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A multi-agent flow as the scheduler takes it."""

    nodes: Mapping[str, Node]  # those that take turns; what they must know of their neighbours is among their inputs
    graph: Graph  # of these; at a decision, an edge's output is the index of one of the node's `ways`
    first: str
    parts: Mapping[str, tuple[str, ...]]  # of each node, what has to be built before it runs, in this order
    memory_type: str
    most_turns: int


def arrange(flow: Flow, registry: Registry) -> Arrangement:
    """Work out who takes turns.

    Raises MissingTypes with all node types that it needs and this server lacks, FlowError for a graph without a start,
    an end, a worker or the target of a loop, and for one that runs in a circle.
    """
    _check_members(flow, registry)
    members = {n.id: n for n in flow.nodes.values() if _is_member(n, registry)}
    first = _first(members)
    drawn = [edge for edge in flow.graph.edges if _is_way(edge, members, registry)]
    reached = Graph.of(members, drawn)
    graph = reached.part(reached.descendants(first.id))
    if cycle := graph.cycle():
        path = " -> ".join(title_of(members[n]) for n in (*cycle, cycle[0]))
        raise FlowError(f"The flow runs in a circle: {path}; use a Loop node to go back.")
    members = {n: members[n] for n in graph.ids}
    _check_ends(first, members)
    _check_tools(members, graph)
    nodes, edges = _acquaint(first, members, graph, registry)
    return Arrangement(
        nodes,
        Graph.of(nodes, edges),
        first.id,
        _parts(flow, nodes, registry),
        _memory_of(first, flow),
        _most_turns(first),
    )


def title_of(node: Node) -> str:
    """What the node is called in front of people."""
    return str(node.inputs.get(TITLES.get(node.name, "")) or "").strip() or node.label


def key_of(title: str) -> str:
    """How titles are compared: loops name their targets in any spelling."""
    return "_".join(title.lower().split())


def handle_of(label: str) -> str:
    """How a condition's output is compared with what the editor made of it: `Code Reviewer`, `codeReviewer`."""
    plain = unicodedata.normalize("NFKD", label.casefold())
    return re.sub(r"[\W_]|[\u0300-\u036f]", "", plain)


def names_of(workers: Iterable[Node]) -> list[str]:
    """What the workers are called in front of the model: names that every vendor takes, each once."""
    names: list[str] = []
    for worker in workers:
        name, number = tool_name(key_of(title_of(worker))), 2
        base = name
        while name in names:
            name, number = f"{base}_{number}", number + 1
        names.append(name)
    return names


def _is_member(node: Node, registry: Registry) -> bool:
    node_type = registry.get(node.name)
    return node_type is not None and node_type.spec.role == "member"


def _check_members(flow: Flow, registry: Registry) -> None:
    registry.require(node.name for node in flow.nodes.values() if node.category in MULTI_AGENTS)


def _is_way(edge: Edge, members: Mapping[str, Node], registry: Registry) -> bool:
    """Whether the run goes along this edge: it joins two that take turns, and brings no value."""
    if not {edge.source, edge.target} <= members.keys():
        return False
    node_type = registry.get(members[edge.target].name)
    param = node_type.spec.param(edge.input) if node_type else None
    return not edge.input or (param is not None and param.is_anchor)


def _first(members: Mapping[str, Node]) -> Node:
    starts = [node for node in members.values() if node.name == START]
    starts = starts or [node for node in members.values() if node.name == SUPERVISOR]
    if not starts:
        raise FlowError("Start node not found: place a Start node, or a Supervisor, and connect the agents to it.")
    if len(starts) > 1:
        labels = ", ".join(f"{title_of(node)} ({node.id})" for node in starts)
        raise FlowError(f"The flow should have only one start node, but has {labels}: delete all but one.")
    return starts[0]


def _check_ends(first: Node, members: Mapping[str, Node]) -> None:
    names = {node.name for node in members.values()}
    if first.name == SUPERVISOR and WORKER not in names:
        raise FlowError(f"{title_of(first)} ({first.id}) has nobody to work for it: connect a Worker to it.")
    if first.name == START and not names & {LOOP, END}:
        raise FlowError("The flow should have at least one End or Loop node: let each of its paths lead to one.")


def _check_tools(members: Mapping[str, Node], graph: Graph) -> None:
    for node in members.values():
        if node.name == TOOLS and any(members[source].name != LLM for source in graph.sources[node.id]):
            raise FlowError(f"{title_of(node)} ({node.id}) runs what an LLM Node calls: connect it behind one.")


def _acquaint(
    first: Node, members: Mapping[str, Node], graph: Graph, registry: Registry
) -> tuple[dict[str, Node], list[Edge]]:
    """The members with what they must know of each other, and the edges with the indexes of their ways."""
    shared = {name: first.inputs[name] for name in SHARED if first.inputs.get(name)}
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for node in members.values():
        node_type = registry.get(node.name)
        assert node_type is not None, "members have types"
        own = {name: value for name, value in node.inputs.items() if value or name not in SHARED}
        inputs = {**shared, **own, **_sources(node, graph), **_neighbours(node, members, graph)}
        ways = [graph.edges[index] for index in graph.outgoing[node.id]]
        if node_type.spec.is_decision:
            inputs["ways"], ways = _ways(node, ways, members)
        # Traces tell agents apart by what they are called: their labels are often all the same.
        nodes[node.id] = replace(node, label=title_of(node), inputs=inputs)
        edges += ways
    return nodes, edges


def _sources(node: Node, graph: Graph) -> dict[str, list[str]]:
    """Instead of what an edge from another member would carry: its id."""
    sources: dict[str, list[str]] = {}
    for index in graph.incoming[node.id]:
        edge = graph.edges[index]
        if edge.input:
            sources.setdefault(edge.input, []).append(edge.source)
    return sources


def _neighbours(node: Node, members: Mapping[str, Node], graph: Graph) -> dict[str, Any]:
    if node.name == LOOP:
        return {"target": _target(node, members)}
    if node.name == WORKER:
        supervisor = graph.sources[node.id][0]
        team = graph.targets[supervisor]
        names = names_of(members[n] for n in team)
        return {"target": supervisor, "team": names, "name": names[team.index(node.id)]}
    if node.name == LLM:
        # Vendors want to know the tools of a conversation in which tools have spoken.
        beside = [members[n] for n in (*graph.targets[node.id], *graph.sources[node.id])]
        return {"tools": [tool for other in beside if other.name == TOOLS for tool in _tools(other)]}
    return {}


def _target(loop: Node, members: Mapping[str, Node]) -> str:
    wanted = str(loop.inputs.get("loopToName") or "")
    called: dict[str, Node] = {}
    for node in members.values():
        if node.name not in (LOOP, END):
            called.setdefault(key_of(title_of(node)), node)
    if key_of(wanted) not in called:
        known = ", ".join(sorted(map(title_of, called.values())))
        raise FlowError(f"{loop.label} ({loop.id}) goes back to {wanted!r}, which no node is called; known: {known}.")
    return called[key_of(wanted)].id


def _ways(node: Node, edges: Sequence[Edge], members: Mapping[str, Node]) -> tuple[list[dict[str, Any]], list[Edge]]:
    """What a decision chooses among, and its edges with the index of the way that each belongs to."""
    targets = [members[edge.target] for edge in edges]
    if node.name == LLM:
        tools = [index for index, target in enumerate(targets) if target.name == TOOLS]
        ways = [{"next": title_of(targets[index]), "tools": _tools(targets[index])} for index in tools]
        outputs = [str(tools.index(index)) if index in tools else "" for index in range(len(edges))]
    elif node.name == SUPERVISOR:
        ways = [{"name": n, "next": title_of(t)} for n, t in zip(names_of(targets), targets, strict=True)]
        outputs = [str(index) for index in range(len(edges))]
    else:
        handles = list(dict.fromkeys(edge.output for edge in edges))
        ways = [{"name": handle, "next": _next(handle, edges, members)} for handle in handles]
        outputs = [str(handles.index(edge.output)) for edge in edges]
    return ways, [replace(edge, output=output) for edge, output in zip(edges, outputs, strict=True)]


def _next(handle: str, edges: Sequence[Edge], members: Mapping[str, Node]) -> str:
    """Titles of the nodes behind a handle; empty if it only ends the flow."""
    targets = [members[edge.target] for edge in edges if edge.output == handle]
    return ", ".join(title_of(target) for target in targets if target.name not in (END, LOOP))


def _tools(node: Node) -> list[Any]:
    given = node.inputs.get("tools") or []
    return list(given) if isinstance(given, list | tuple) else [given]


def _parts(flow: Flow, nodes: Mapping[str, Node], registry: Registry) -> dict[str, tuple[str, ...]]:
    """Of each member the nodes whose values it takes, and those that they take in turn, in the order of building."""
    users = list(nodes.values())
    uses: list[Edge] = []
    ids = dict.fromkeys(nodes)
    for user in users:
        for source in dict.fromkeys(instances_in(user.inputs)):
            if source in nodes or source not in flow.nodes:
                continue
            uses.append(Edge(source, user.id))
            if source not in ids:
                ids[source] = None
                users.append(flow.nodes[source])
    registry.require(flow.nodes[n].name for n in ids)
    web = Graph.of(ids, uses)
    if cycle := web.cycle():
        path = " -> ".join(flow.nodes[n].label for n in (*cycle, cycle[0]))
        raise FlowError(f"The flow runs in a circle: {path}; remove one of its edges.")
    return {n: tuple(part for part in web.order(web.ancestors(n)) if part != n) for n in nodes}


def _memory_of(first: Node, flow: Flow) -> str:
    return next((flow.nodes[n].label for n in instances_in(first.inputs.get(AGENT_MEMORY)) if n in flow.nodes), "")


def _most_turns(first: Node) -> int:
    try:
        return max(1, int(float(first.inputs.get("recursionLimit") or MOST_TURNS)))
    except (TypeError, ValueError, OverflowError) as exc:
        raise FlowError(
            f"The recursion limit of {title_of(first)} ({first.id}) must be a number, "
            f"not {first.inputs['recursionLimit']!r}."
        ) from exc
