"""References: do they name something that will have run."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checks.nodes import configured
from engine.checks.problem import Problem
from engine.checks.wiring import LOOP_TARGET, loop_target
from engine.flow import Drawing, Node, instances_in
from engine.graph import Edge, Graph
from engine.registry import Registry
from engine.scope import READERS, STATE
from engine.spec import NodeSpec
from engine.templating import UPDATES, agentflow_text, compile_value, references_in

OWN = "output"  # in "Update Flow State": the node's own output


def reference_problems(drawing: Drawing, registry: Registry) -> Iterator[Problem]:
    """Nodes that are named and are not there; in agent flows also those that cannot have run."""
    if not any(node.name.endswith("Agentflow") for node in drawing.nodes.values()):
        yield from _classic_problems(drawing)
        return
    graph = _with_jumps(drawing)
    for node in drawing.nodes.values():
        upstream = graph.ancestors(node.id) - ({node.id} if not _is_in_circle(graph, node.id) else set())
        for field, root, text in _references(node, registry):
            if root == STATE and root not in drawing.nodes:
                continue
            if root not in drawing.nodes:
                message = f"{text} stands for nothing: there is no node {root!r} in the flow"
            elif root not in upstream:
                message = f"{text} names {drawing.nodes[root].label}, which does not run before this node"
            else:
                continue
            fix = "name a node before this one; as it is, the reference stays in the text"
            yield Problem(f"{node.label} ({node.id}): {message}", fix, node.id, field, "warning", "doubtful", root)


def _classic_problems(drawing: Drawing) -> Iterator[Problem]:
    for node in drawing.nodes.values():
        for field, value in node.inputs.items():
            for source in instances_in(value):
                if source not in drawing.nodes:
                    yield Problem(
                        f"{node.label} ({node.id}) takes {field!r} from {source}, which is not in the flow",
                        "connect it again",
                        node.id,
                        field,
                        subject=source,
                    )


def _with_jumps(drawing: Drawing) -> Graph:
    """The graph with what edges do not draw: jumps back, and the way into an iteration's block."""
    nodes = drawing.nodes
    jumps = [
        Edge(node.id, target)
        for node in nodes.values()
        if node.inputs.get(LOOP_TARGET) and (target := loop_target(node, nodes))
    ]
    entries = [Edge(node.parent, node.id) for node in nodes.values() if node.parent in nodes]
    return Graph.of(nodes, [*drawing.edges, *jumps, *entries])


def _is_in_circle(graph: Graph, node_id: str) -> bool:
    return any(node_id in graph.ancestors(source) for source in graph.sources[node_id])


def _references(node: Node, registry: Registry) -> Iterator[tuple[str, str, str]]:
    """Of every reference to a node: the field it stands in, the node it names, and how it is written."""
    node_type = registry.get(node.name)
    places = [("", node.inputs, _accepted(node_type.spec if node_type else None) | node.variables)]
    for field, name, config in configured(node.inputs):
        component = registry.get(name)
        places.append((f"{field}Config.", config, _accepted(component.spec if component else None)))
    for path, inputs, accepted in places:
        for name in accepted & inputs.keys():
            for reference in references_in(compile_value(inputs[name], agentflow_text)):
                is_own = reference.root == OWN and name.endswith(UPDATES)
                if reference.root not in READERS and not is_own:
                    yield f"{path}{name}", reference.root, reference.text


def _accepted(spec: NodeSpec | None) -> set[str]:
    return {param.name for param in spec.params if param.variables} if spec else set()
