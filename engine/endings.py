"""Where a classic flow ends: the chain or agent that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import FlowError

if TYPE_CHECKING:
    from engine.flow import Flow, Node
    from engine.registry import Registry

ENDINGS = frozenset({"Chains", "Agents", "Engine", "Multi Agents", "Sequential Agents"})
ENDING_NODE = "EndingNode"  # the selected output of a custom function or if-else that ends the flow


def endings_of(flow: Flow, registry: Registry) -> tuple[str, ...]:
    """The nodes that a classic flow may answer with: the valid endings behind its decisions, one of which is taken.

    Without a decision it is one: that of the longest path, then the last drawn. Raises MissingTypes if nothing can be
    said for want of a type, FlowError if the flow does not end as it should.
    """
    graph = flow.graph
    ends = [n for n in graph.ids if not graph.outgoing[n] and (graph.incoming[n] or len(graph.ids) == 1)]
    valid = [node_id for node_id in ends if _is_ending(flow.nodes[node_id], registry)]
    if not valid:
        registry.require(flow.nodes[node_id].name for node_id in graph.ids)
        if not ends:
            raise FlowError("Ending nodes not found: connect the nodes to a chain or an agent.")
        labels = ", ".join(f"{flow.nodes[node_id].label} ({node_id})" for node_id in ends)
        raise FlowError(f"Ending node must be either a Chain or Agent or Engine; this flow ends in {labels}.")
    decisions = [n for n in graph.ids if (found := registry.get(flow.nodes[n].name)) and found.spec.is_decision]
    behind = set().union(*map(graph.descendants, decisions))
    endings = tuple(node_id for node_id in valid if node_id in behind)
    if not endings:
        depth = {node_id: max(graph.distances(node_id).values()) for node_id in valid}
        endings = (max(reversed(valid), key=depth.__getitem__),)
    for node in map(flow.nodes.__getitem__, endings):
        if node.output not in ("", node.name, ENDING_NODE):
            raise FlowError(
                f"Output of {node.label} ({node.id}) must be {node.label}, can't be an Output Prediction: it ends the "
                "flow."
            )
    return endings


def _is_ending(node: Node, registry: Registry) -> bool:
    return category_of(node, registry) in ENDINGS or node.output == ENDING_NODE


def category_of(node: Node, registry: Registry) -> str:
    """As the exported node has it; flows that were not drawn in an editor leave it to the type."""
    node_type = registry.get(node.name)
    return node.category or (node_type.spec.category if node_type else "")
