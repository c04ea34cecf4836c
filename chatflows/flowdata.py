"""What a flow's text says of itself, without running it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from engine.assistants import graph_of, is_assistant
from engine.errors import FlowError
from engine.flow import FIRST_AGENTS, MULTI_AGENTS
from forjinn.core.errors import BadRequest
from forjinn.core.jsontext import DEEPEST, is_too_deep

Graph = Mapping[str, Any]
Node = Mapping[str, Any]
GraphKind = Literal["CHATFLOW", "MULTIAGENT", "AGENTFLOW"]

MODELS = ("Chat Models", "LLMs")
# Which endings of a classic graph can hand on tokens as they come (chains: all but these two).
SILENT_CHAINS = frozenset({"openApiChain", "vectaraQAChain"})
STREAMING_AGENTS = frozenset(
    {
        "csvAgent",
        "airtableAgent",
        "toolAgent",
        "conversationalRetrievalToolAgent",
        "openAIToolAgentLlamaIndex",
        "openAIAssistant",
    }
)
STREAMING_ENGINES = frozenset({"contextChatEngine", "simpleChatEngine", "queryEngine", "subQuestionQueryEngine"})


# The second runs other flows, which may have the first.
ASKING = frozenset({"askUserAgentflow", "executeFlowAgentflow"})


class FlowDataInvalid(BadRequest):
    """The text is not a flow."""

    code = "flow_data_invalid"


@dataclass(frozen=True, slots=True)
class DeclaredInput:
    """A field of the form that a flow begins with. `options`: what may be chosen; empty: anything of its kind."""

    name: str
    kind: str  # string, number, boolean, options
    is_required: bool
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """`start_input_type` is that of an AgentFlow v2's start node, "" for other graphs.

    `asks_users`: it may ask the user something and take their next message for the answer. `inputs`: the fields of the
    form that it begins with.
    """

    start_input_type: str
    is_streamable: bool
    asks_users: bool = False
    inputs: tuple[DeclaredInput, ...] = ()


def is_open_webhook(text: str) -> bool:
    """Whether the flow begins with calls that nobody has to sign. Raises FlowDataInvalid."""
    for node in read_graph(text)["nodes"] if text else ():
        fields = node.get("data")
        if isinstance(fields, dict) and fields.get("name") == "startAgentflow":
            inputs = fields.get("inputs")
            return isinstance(inputs, dict) and inputs.get("webhookEnableAuth") in (False, "false")
    return False


def read_graph(text: str) -> Graph:
    """The graph in a flow's JSON text, or that of an assistant's settings.

    Raises FlowDataInvalid, naming what is wrong; node types are not looked at.
    """
    try:
        raw = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise FlowDataInvalid(f"flowData: not valid JSON: {exc}") from exc
    if not isinstance(raw, dict):
        raise FlowDataInvalid("flowData: expected JSON text of an object with nodes and edges")
    if is_too_deep(raw):
        raise FlowDataInvalid(f"flowData: nested deeper than {DEEPEST} levels")
    try:
        graph: Graph = graph_of(raw) if is_assistant(raw) else raw
    except FlowError as exc:
        raise FlowDataInvalid(f"flowData: {exc.message}") from exc
    for name in ("nodes", "edges"):
        items = graph.get(name)
        if not isinstance(items, list):
            raise FlowDataInvalid(f"flowData: {name} must be an array")
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                raise FlowDataInvalid(f"flowData: {name}[{index}] must be an object")
    return graph


def digest_of(graph: Graph) -> str:
    """SHA-256 of the canonical JSON: the same for texts that differ in spaces and the order of keys only."""
    return hashlib.sha256(orjson.dumps(graph, option=orjson.OPT_SORT_KEYS)).hexdigest()


def facts_of(graph: Graph) -> FlowFacts:
    nodes = _nodes(graph)
    start = next((node for node in nodes if node.get("name") == "startAgentflow"), None)
    input_type = _inputs(start).get("startInputType") if start else ""
    return FlowFacts(
        start_input_type=input_type if isinstance(input_type, str) else "",
        is_streamable=kind_of(graph) != "CHATFLOW" or _is_classic_streamable(graph, nodes),
        asks_users=any(str(node.get("name")) in ASKING for node in nodes),
        inputs=tuple(_declared(start)) if start and input_type == "formInput" else (),
    )


def kind_of(graph: Graph) -> GraphKind:
    """Which of the canvas's three kinds of graph this is."""
    nodes = _nodes(graph)
    if any(str(node.get("name", "")).endswith("Agentflow") for node in nodes):
        return "AGENTFLOW"
    is_multiagent = any(
        str(node.get("category")) in MULTI_AGENTS or str(node.get("name")) in FIRST_AGENTS for node in nodes
    )
    return "MULTIAGENT" if is_multiagent else "CHATFLOW"


def _is_classic_streamable(graph: Graph, nodes: Sequence[Node]) -> bool:
    if any(_category(node) == "Output Parsers" for node in nodes):
        return False
    models = [node for node in nodes if _category(node) in MODELS]
    if any(_inputs(node).get("streaming") in (False, "false") for node in models):
        return False
    sources = {str(edge.get("source")) for edge in graph["edges"]}
    endings = [node for node in nodes if str(node.get("id")) not in sources]
    if any(_outputs(node).get("output") == "EndingNode" for node in endings):
        return False
    if any(node.get("name") == "openAIAssistant" for node in endings):
        return True
    return bool(models) and any(_ends_in_tokens(node) for node in endings)


def _ends_in_tokens(node: Node) -> bool:
    name = str(node.get("name", ""))
    match _category(node):
        case "Chains":
            return name not in SILENT_CHAINS
        case "Agents":
            return name in STREAMING_AGENTS
        case "Engine":
            return name in STREAMING_ENGINES
    return False


def _declared(start: Node) -> Iterator[DeclaredInput]:
    """A field is required unless it says that it is not: `required: false`."""
    for row in _rows(_inputs(start).get("formInputTypes")):
        if name := row.get("name"):
            options = tuple(str(one["option"]) for one in _rows(row.get("addOptions")) if one.get("option"))
            kind = str(row.get("type") or "string")
            yield DeclaredInput(str(name), kind, row.get("required") not in (False, "false"), options)


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _category(node: Node) -> str:
    """The node's category; generated flows leave it out, and then the name tells."""
    if category := node.get("category"):
        return str(category)
    name = str(node.get("name", ""))
    if name.startswith("chat"):
        return "Chat Models"
    if name.endswith("OutputParser"):
        return "Output Parsers"
    endings = {"Chain": "Chains", "Agent": "Agents", "Engine": "Engine"}
    return next((category for ending, category in endings.items() if name.endswith(ending)), "")


def _nodes(graph: Graph) -> list[Node]:
    """The nodes' own data, each with its id; notes on the canvas are no nodes."""
    found: list[Node] = []
    for node in graph["nodes"]:
        data = node.get("data")
        if isinstance(data, dict) and node.get("type") != "stickyNote":
            found.append({**data, "id": node.get("id")})
    return found


def _inputs(node: Node) -> Mapping[str, Any]:
    inputs = node.get("inputs")
    return inputs if isinstance(inputs, dict) else {}


def _outputs(node: Node) -> Mapping[str, Any]:
    outputs = node.get("outputs")
    return outputs if isinstance(outputs, dict) else {}
