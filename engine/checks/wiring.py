"""How nodes are connected: one start, whole edges, ways out that exist, blocks that are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.checks.problem import Problem
from engine.flow import Drawing, Node
from engine.graph import Graph
from engine.retry import ERROR_HANDLE

LOOP_TARGET = "loopBackToNode"
ITERATION = "iterationAgentflow"


def _rows(inputs: Mapping[str, Any], name: str) -> int:
    held = inputs.get(name)
    return len(held) if isinstance(held, list) else 0


# How many ways out a decision has. The format of flows names these types; others are not looked at.
WAYS_OUT: Mapping[str, Callable[[Mapping[str, Any]], int]] = {
    "conditionAgentflow": lambda inputs: _rows(inputs, "conditions") + 1,  # the last one: else
    "conditionAgentAgentflow": lambda inputs: _rows(inputs, "conditionAgentScenarios"),
    "humanInputAgentflow": lambda inputs: 2,  # proceed, reject
    "waitForEventAgentflow": lambda inputs: 2,  # the event, the timeout
    "askUserAgentflow": lambda inputs: 2,  # the reply, the timeout
}


def wiring_problems(drawing: Drawing) -> Iterator[Problem]:
    """Errors in the edges: each of them keeps the flow from running."""
    for edge in drawing.loose:
        gone = next(end for end in (edge.source, edge.target) if end not in drawing.nodes)
        yield Problem(
            f"An edge from {edge.source or 'nowhere'} to {edge.target or 'nowhere'} hangs loose: there is no node "
            f"{gone!r}",
            "delete the edge or draw it again",
            subject=gone,
        )
    if any(node.name.endswith("Agentflow") for node in drawing.nodes.values()):
        yield from _start_problems(drawing)
        yield from _block_problems(drawing)
        yield from _loop_problems(drawing)
        yield from _way_out_problems(drawing)


def label_problems(drawing: Drawing, api_config: Mapping[str, Any]) -> Iterator[Problem]:
    """Override rules name nodes by their labels, so a label has to be one node's."""
    rules = _mapping(_mapping(api_config, "overrideConfig"), "nodes")
    labels = [node.label for node in drawing.nodes.values()]
    for label, rows in rules.items():
        if not isinstance(rows, list) or not any(isinstance(row, Mapping) and row.get("enabled") for row in rows):
            continue
        sharing = [node.id for node in drawing.nodes.values() if node.label == label]
        if label not in labels:
            message, fix = f"The override rules name a node {label!r}, which is not in the flow", "set them again"
        elif len(sharing) > 1:
            message = f"The override rules of {label!r} hold for {', '.join(sharing)}, which all have this label"
            fix = "give each of them a label of its own"
        else:
            continue
        yield Problem(message, fix, sharing[0] if sharing else "", severity="warning", code="doubtful", subject=label)


def loop_target(node: Node, nodes: Mapping[str, Node]) -> str:
    """The node that a loop goes back to, "" if it is not there. Exports write `<id>-<label>`."""
    chosen = str(node.inputs.get(LOOP_TARGET) or "")
    fitting = [node_id for node_id in nodes if chosen == node_id or chosen.startswith(f"{node_id}-")]
    return max(fitting, key=len, default="")


def _start_problems(drawing: Drawing) -> Iterator[Problem]:
    """Exactly one node outside blocks has no incoming edge. Without nodes before them, others are never reached."""
    outside = {node.id for node in drawing.nodes.values() if not node.parent}
    edges = [edge for edge in drawing.edges if {edge.source, edge.target} <= outside]
    roots = [drawing.nodes[node_id] for node_id in Graph.of([n for n in drawing.nodes if n in outside], edges).roots]
    starts = [node for node in roots if node.name == "startAgentflow"]
    if len(roots) < 2:
        return  # none at all is for the parser to tell
    for node in roots:
        if node not in starts[:1]:
            what = "is a second start" if node in starts else "has no incoming edge, so it would be a second start"
            yield Problem(f"{node.label} ({node.id}) {what}", "connect it or delete it", node.id)


def _block_problems(drawing: Drawing) -> Iterator[Problem]:
    nodes = drawing.nodes
    for edge in drawing.edges:
        source, target = nodes[edge.source], nodes[edge.target]
        if source.parent != target.parent:
            yield Problem(
                f"The edge from {source.label} ({source.id}) to {target.label} ({target.id}) crosses the border of an "
                "iteration",
                "connect nodes inside the block with each other, and the block itself with the others",
                source.id,
            )
    for parent in dict.fromkeys(node.parent for node in nodes.values() if node.parent):
        children = [node.id for node in nodes.values() if node.parent == parent]
        inner = [edge for edge in drawing.edges if {edge.source, edge.target} <= set(children)]
        roots = Graph.of(children, inner).roots
        if parent not in nodes:
            yield Problem(
                f"{', '.join(children)} stand in a block {parent!r} that is not in the flow", "draw them again"
            )
        elif len(roots) != 1:
            found = ", ".join(f"{nodes[root].label} ({root})" for root in roots) or "none"
            yield Problem(
                f"The iteration {nodes[parent].label} ({parent}) needs exactly one first node; it has: {found}",
                "connect the nodes inside it to one chain",
                parent,
            )


def _loop_problems(drawing: Drawing) -> Iterator[Problem]:
    for node in drawing.nodes.values():
        if node.name != "loopAgentflow" or not node.inputs.get(LOOP_TARGET):
            continue  # an empty one is a missing input
        target = loop_target(node, drawing.nodes)
        if not target:
            message = f"goes back to {node.inputs[LOOP_TARGET]!r}, which is not in the flow"
        elif drawing.nodes[target].parent != node.parent:
            message = f"goes back to {drawing.nodes[target].label} ({target}), across the border of an iteration"
        else:
            continue
        yield Problem(f"{node.label} ({node.id}) {message}", "choose a node before it", node.id, LOOP_TARGET)


def _way_out_problems(drawing: Drawing) -> Iterator[Problem]:
    for edge in drawing.edges:
        node = drawing.nodes[edge.source]
        count = WAYS_OUT.get(node.name)
        if count is None or edge.output == ERROR_HANDLE:
            continue
        has = count(node.inputs)
        if edge.index is None or edge.index >= has:
            yield Problem(
                f"{node.label} ({node.id}) has {has} ways out, numbered from 0; the edge to {edge.target} leaves by "
                f"{edge.output or 'none'!r}",
                "delete the edge, or add what it stands for",
                node.id,
            )


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    held = value.get(name)
    return held if isinstance(held, Mapping) else {}
