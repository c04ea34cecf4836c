"""The shape that a graph must have to run at all: no circles, one beginning, blocks that belong to the flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.errors import FlowError
from engine.graph import Graph

if TYPE_CHECKING:
    from engine.flow import Kind, Node

ITERATION = "iterationAgentflow"
DEEPEST = 20  # iterations in iterations


def check_block(parent: str, block: Graph, nodes: Mapping[str, Node]) -> None:
    """Raises FlowError unless the nodes inside the iteration `parent`, which must be in the flow, begin with one."""
    first = nodes[block.ids[0]]
    if parent not in nodes:
        raise FlowError(f"{first.label} ({first.id}) stands in the iteration {parent!r}, which is not in the flow.")
    if nodes[parent].name != ITERATION:
        raise FlowError(
            f"{first.label} ({first.id}) stands in {nodes[parent].label} ({parent}), which is no iteration and would "
            "never run it: place it outside."
        )
    if _is_too_deep(parent, nodes):
        raise FlowError(
            f"The iteration {nodes[parent].label} ({parent}) stands in itself, or in more than {DEEPEST} others: place "
            "it outside."
        )
    if len(block.roots) > 1:
        labels = ", ".join(f"{nodes[node_id].label} ({node_id})" for node_id in block.roots)
        raise FlowError(
            f"Multiple starting nodes are not allowed: inside {nodes[parent].label} ({parent}), {labels} have no "
            "incoming edge; connect or delete all but one."
        )


def _is_too_deep(parent: str, nodes: Mapping[str, Node]) -> bool:
    for _ in range(DEEPEST):
        if parent not in nodes:  # at the top; what stands in nothing is told of by its own block
            return False
        parent = nodes[parent].parent
    return True


def check_cycles(graph: Graph, nodes: Mapping[str, Node], kind: Kind) -> None:
    """Raises FlowError that names the circle, if there is one."""
    cycle = graph.cycle()
    if not cycle:
        return
    path = " -> ".join(nodes[node_id].label for node_id in (*cycle, cycle[0]))
    advice = "use a Loop node to go back" if kind == "AGENTFLOW" else "remove one of its edges"
    raise FlowError(f"The flow runs in a circle: {path}; {advice}.")


def check_start(graph: Graph, nodes: Mapping[str, Node]) -> None:
    """Raises FlowError unless an AgentFlow v2 begins with one node that says what its input is."""
    if not graph.roots:
        raise FlowError("The flow has no starting node: place a Start node outside its iteration blocks.")
    if len(graph.roots) > 1:
        labels = ", ".join(f"{nodes[node_id].label} ({node_id})" for node_id in graph.roots)
        raise FlowError(
            f"Multiple starting nodes are not allowed: {labels} have no incoming edge; connect or delete all but one."
        )
    start = nodes[graph.roots[0]]
    if not start.inputs.get("startInputType"):
        raise FlowError(
            f"Start input type not found: the flow begins with {start.label} ({start.id}), which says nothing of its "
            "input; begin with a Start node and choose its input type."
        )
