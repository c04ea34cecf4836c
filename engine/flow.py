"""Reads a flow's JSON text into the graph that runs: nodes, edges, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import orjson

from engine.assistants import graph_of, is_assistant
from engine.errors import FlowError
from engine.graph import Edge, Graph
from engine.shape import check_block, check_cycles, check_start

if TYPE_CHECKING:
    from engine.plan import Plan

Kind = Literal["CHATFLOW", "AGENTFLOW", "MULTIAGENT"]

NOTES = frozenset({"stickyNote", "stickyNoteAgentflow"})
MULTI_AGENTS = frozenset({"Multi Agents", "Sequential Agents"})
FIRST_AGENTS = frozenset({"seqStart", "supervisor"})  # generated flows leave categories out
DEEPEST = 100  # levels of JSON; what walks through inputs later does so level by level
INSTANCE = re.compile(r"\{\{\s*([^{}\s.]+)\.data\.instance\b[^{}]*\}\}")


@dataclass(frozen=True, slots=True)
class Node:
    """A node type's place in a flow."""

    id: str
    label: str
    name: str  # of its type
    version: float = 0.0
    category: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""  # the selected one of several outputs of a classic node
    credential: str = ""
    parent: str = ""  # the iteration block that it stands in
    # What the exported node says of its own params; the type's spec may know better.
    variables: frozenset[str] = frozenset()  # params that accept {{ references }}
    json: frozenset[str] = frozenset()  # params that hold JSON text
    secrets: frozenset[str] = frozenset()  # params that hold passwords
    policy: Mapping[str, Any] = field(default_factory=dict)  # see `engine.retry.Policy`


@dataclass(slots=True)
class Flow:
    """A graph that is drawn correctly; whether its node types exist here is for `engine.plan.plan_for` to say."""

    kind: Kind
    nodes: Mapping[str, Node]  # in the order of the file
    graph: Graph  # of the nodes that stand in no iteration
    uses_variables: bool  # it refers to the workspace's variables
    blocks: Mapping[str, Graph] = field(default_factory=dict)  # of the nodes inside each iteration, by its id
    plan: Plan | None = None  # kept here by `plan_for`, so that a hot run plans nothing

    @property
    def start(self) -> Node | None:
        """Where an AgentFlow v2 begins."""
        return self.nodes[self.graph.roots[0]] if self.kind == "AGENTFLOW" else None

    def successors(self, node_id: str) -> tuple[str, ...]:
        return self.graph.targets[node_id]

    def predecessors(self, node_id: str) -> tuple[str, ...]:
        return self.graph.sources[node_id]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn, whether or not it makes a flow: for checks that tell all that is wrong, not the first of it."""

    nodes: Mapping[str, Node]  # in the order of the file, without notes
    edges: tuple[Edge, ...]  # those that have both ends
    loose: tuple[Edge, ...]  # those that lack one
    unasked: Mapping[str, frozenset[str]]  # params that each exported node itself lets be empty: optional or hidden


def read_drawing(text: str | bytes) -> Drawing:
    """The nodes and edges in the editor's JSON text. Raises FlowError for text that holds no such thing."""
    raw = _read(text)
    nodes = _nodes(raw)
    notes = {str(n.get("id")) for n in raw["nodes"]} - nodes.keys()
    drawn = [edge for edge in map(_edge, raw["edges"]) if not {edge.source, edge.target} & notes]
    whole = [edge for edge in drawn if {edge.source, edge.target} <= nodes.keys()]
    return Drawing(
        nodes,
        tuple(whole),
        tuple(edge for edge in drawn if not {edge.source, edge.target} <= nodes.keys()),
        {str(n["id"]): _unasked(n["data"]) for n in raw["nodes"]},
    )


def parse_flow(text: str | bytes) -> Flow:
    """The flow in the editor's JSON text, or that of an assistant's settings.

    Sticky notes are dropped, connections that lack one side are completed.

    Raises FlowError for text that is no graph, dangling edges, cycles, a start that is missing or not unique, and
    edges across the border of an iteration.
    """
    raw = _read(text)
    nodes = _nodes(raw)
    if not nodes:
        raise FlowError("The flow has no nodes: place some and save it again.")
    kind = _kind(nodes.values())
    edges = _edges(raw["edges"], nodes, notes={str(n.get("id")) for n in raw["nodes"]} - nodes.keys())
    if kind == "CHATFLOW":
        edges = _add_missing_edges(edges, nodes)
    if kind != "AGENTFLOW":
        nodes = _add_missing_inputs(edges, nodes, _lists(raw["nodes"]))
    graphs = _graphs(edges, nodes)
    graph = graphs.pop("")
    if kind != "MULTIAGENT":
        for part in (graph, *graphs.values()):
            check_cycles(part, nodes, kind)
    if kind == "AGENTFLOW":
        check_start(graph, nodes)
        for parent, block in graphs.items():
            check_block(parent, block, nodes)
    uses_variables = "$vars" in (text if isinstance(text, str) else text.decode())
    return Flow(kind, nodes, graph, uses_variables, graphs)


def _read(text: str | bytes) -> Mapping[str, Any]:
    try:
        raw = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise FlowError(f"The flow is not valid JSON: {exc}.") from exc
    if not isinstance(raw, dict):
        raise FlowError("The flow must be a JSON object with nodes and edges.")
    graph: dict[str, Any] = graph_of(raw) if is_assistant(raw) else raw
    for name in ("nodes", "edges"):
        items = graph.setdefault(name, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise FlowError(f"The flow's {name} must be a list of objects.")
    if is_deeper(graph, DEEPEST):
        raise FlowError(f"The flow is nested more than {DEEPEST} levels deep: flatten the inputs of its nodes.")
    return graph


def is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects of JSON are nested in it more than so many levels deep."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_deeper(held, levels - 1) for held in inner)


def _nodes(graph: Mapping[str, Any]) -> dict[str, Node]:
    """By id, in the order of the file. Raises FlowError if one id is that of two nodes."""
    nodes: dict[str, Node] = {}
    for node in map(_node, graph["nodes"]):
        if node.name in NOTES:
            continue
        if node.id in nodes:
            raise FlowError(
                f"{nodes[node.id].label} and {node.label} have one id, {node.id}: edges and references could mean "
                "either. Give one of them another."
            )
        nodes[node.id] = node
    return nodes


def _node(raw: Mapping[str, Any]) -> Node:
    data = raw.get("data")
    if not isinstance(data, dict) or not raw.get("id"):
        raise FlowError(f"A node of the flow has no {'id' if isinstance(data, dict) else 'data'}.")
    node_id, name = str(raw["id"]), str(data.get("name") or "")
    if str(raw.get("type")) in NOTES:
        name = "stickyNote"
    elif not name:
        raise FlowError(f"Node {node_id} does not say of which type it is: its data has no name.")
    params = [param for param in _items(data, "inputParams") if isinstance(param.get("name"), str)]
    return Node(
        id=node_id,
        label=str(data.get("label") or node_id),
        name=name,
        version=_number(data.get("version")),
        category=str(data.get("category") or ""),
        inputs=_object(data, "inputs"),
        output=str(_object(data, "outputs").get("output") or ""),
        credential=str(data.get("credential") or ""),
        parent=str(raw.get("parentNode") or ""),
        variables=frozenset(param["name"] for param in params if param.get("acceptVariable")),
        json=frozenset(param["name"] for param in params if param.get("type") == "json"),
        secrets=frozenset(param["name"] for param in params if param.get("type") == "password"),
        policy=_object(data, "policy"),
    )


def _unasked(data: Mapping[str, Any]) -> frozenset[str]:
    inputs = _object(data, "inputs")
    return frozenset(
        str(param.get("name"))
        for param in (*_items(data, "inputParams"), *_items(data, "inputAnchors"))
        if param.get("optional") or not _is_shown(param, inputs)
    )


def _is_shown(param: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
    """`show` and `hide` name values of other inputs; `display` is what the editor made of them when it saved."""
    shown, hidden = _object(param, "show"), _object(param, "hide")
    return (
        param.get("display") is not False
        and all(_is_one_of(inputs.get(name), values) for name, values in shown.items())
        and not any(_is_one_of(inputs.get(name), values) for name, values in hidden.items())
    )


def _is_one_of(value: Any, values: Any) -> bool:
    return value in (values if isinstance(values, list) else [values])


def _kind(nodes: Iterable[Node]) -> Kind:
    if any(node.name.endswith("Agentflow") for node in nodes):
        return "AGENTFLOW"
    is_multiagent = any(node.category in MULTI_AGENTS or node.name in FIRST_AGENTS for node in nodes)
    return "MULTIAGENT" if is_multiagent else "CHATFLOW"


def _edges(raw: Sequence[Mapping[str, Any]], nodes: Mapping[str, Node], notes: set[str]) -> list[Edge]:
    edges: list[Edge] = []
    for edge in map(_edge, raw):
        source, target = edge.source, edge.target
        if source in notes or target in notes:
            continue
        for end in (source, target):
            if end not in nodes:
                raise FlowError(
                    f"An edge from {source or 'nowhere'} to {target or 'nowhere'} hangs loose: there is no node "
                    f"{end!r}. Delete the edge or draw it again."
                )
        edges.append(edge)
    return list(dict.fromkeys(edges))


def _edge(raw: Mapping[str, Any]) -> Edge:
    source, target = str(raw.get("source") or ""), str(raw.get("target") or "")
    return Edge(source, target, _output_of(raw.get("sourceHandle")), _input_of(raw.get("targetHandle"), target))


def _output_of(handle: Any) -> str:
    """`llmAgentflow_0-output-0` -> `0`; `chatOpenAI_0-output-chatOpenAI-ChatOpenAI|…` -> `chatOpenAI`."""
    return str(handle or "").rpartition("-output-")[2].partition("-")[0]


def _input_of(handle: Any, target: str) -> str:
    """`llmChain_0-input-model-BaseChatModel` -> `model`; AgentFlow v2 has one input, which is the node itself."""
    prefix = f"{target}-input-"
    text = str(handle or "")
    return text.removeprefix(prefix).partition("-")[0] if text.startswith(prefix) else ""


def _add_missing_edges(edges: list[Edge], nodes: Mapping[str, Node]) -> list[Edge]:
    """An input that holds `{{x.data.instance}}` needs x before it, whether an edge was drawn or not."""
    known = {(edge.source, edge.target) for edge in edges}
    added = [
        Edge(source, node.id, "", name)
        for node in nodes.values()
        for name, value in node.inputs.items()
        for source in instances_in(value)
        if source in nodes and (source, node.id) not in known
    ]
    return [*edges, *dict.fromkeys(added)]


def _add_missing_inputs(
    edges: Iterable[Edge], nodes: Mapping[str, Node], lists: Mapping[str, frozenset[str]]
) -> dict[str, Node]:
    """An edge whose input holds nothing brings its source's value."""
    completed = dict(nodes)
    for edge in edges:
        node = completed[edge.target]
        held = node.inputs.get(edge.input)
        is_list = isinstance(held, list) or edge.input in lists.get(node.id, ())
        if not edge.input or edge.source in instances_in(held) or (held and not is_list):
            continue
        reference = f"{{{{{edge.source}.data.instance}}}}"
        present = held if isinstance(held, list) else [held] if held else []
        value = [*present, reference] if is_list else reference
        completed[node.id] = replace(node, inputs={**node.inputs, edge.input: value})
    return completed


def instances_in(value: Any) -> list[str]:
    """Ids of the nodes whose instances a classic input takes."""
    if isinstance(value, str):
        return INSTANCE.findall(value) if "{{" in value else []
    if isinstance(value, Mapping):
        value = list(value.values())
    return [found for item in value for found in instances_in(item)] if isinstance(value, list) else []


def _lists(raw: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """Of each node, the anchors that take several edges."""
    return {
        str(node["id"]): frozenset(
            str(anchor.get("name")) for anchor in _items(node["data"], "inputAnchors") if anchor.get("list")
        )
        for node in raw
    }


def _graphs(edges: Iterable[Edge], nodes: Mapping[str, Node]) -> dict[str, Graph]:
    """The graph of the nodes that stand in no iteration, by "", and that of each iteration, by its id."""
    inside: dict[str, list[Edge]] = {"": [], **{node.parent: [] for node in nodes.values()}}
    ids: dict[str, list[str]] = {parent: [] for parent in inside}
    for node in nodes.values():
        ids[node.parent].append(node.id)
    for edge in edges:
        source, target = nodes[edge.source], nodes[edge.target]
        if source.parent != target.parent:
            raise FlowError(
                f"The edge from {source.label} ({source.id}) to {target.label} ({target.id}) crosses the border of an "
                "iteration: connect the iteration itself instead."
            )
        inside[source.parent].append(edge)
    return {parent: Graph.of(ids[parent], within) for parent, within in inside.items()}


def _items(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = data.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _object(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
