"""The step algorithm: what a node's result unlocks and what it rules out. Pure functions over graph and state.

An edge is open until its source has run or was ruled out; then it is taken or dead. A node whose edges are all decided
is ready if one of them is taken, and skipped if none is, which rules its own edges out in turn. So a join waits for
every edge that can still be taken, and for none that cannot. Source: "dead-path elimination", F. Leymann and
D. Roller, "Production Workflow", 2000.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, MutableMapping
from dataclasses import dataclass

from engine.graph import Edge, Graph

Decisions = MutableMapping[int, bool]  # edge index -> taken; an edge without an entry is open
Choice = Callable[[Edge], bool]
Need = Callable[[Iterable[bool]], bool]


@dataclass(frozen=True, slots=True)
class Unlocked:
    """What follows from one result, in the order of the edges."""

    ready: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


NOTHING = Unlocked()


def always(edge: Edge) -> bool:
    """The choice of a node that decides nothing: every edge is taken."""
    return True


def complete(
    graph: Graph, decisions: Decisions, node_id: str, choice: Choice = always, *, needs: Need = any
) -> Unlocked:
    """Decide the edges of a node that has run. A node that runs once more decides them anew.

    A node needs `any` of its edges to be taken, or `all`: then it is a component that cannot do without a part.
    """
    outgoing = graph.outgoing[node_id]
    if not outgoing:
        return NOTHING
    for index in outgoing:
        decisions[index] = choice(graph.edges[index])
    # Dictionaries, as sets with an order: a node may lead to a thousand others.
    ready: dict[str, None] = {}
    skipped: dict[str, None] = {}
    frontier = deque(graph.targets[node_id])
    while frontier:
        current = frontier.popleft()
        incoming = graph.incoming[current]
        if current in ready or current in skipped or not all(index in decisions for index in incoming):
            continue
        if needs(decisions[index] for index in incoming):
            ready[current] = None
            continue
        skipped[current] = None
        for index in graph.outgoing[current]:
            decisions[index] = False
        frontier.extend(graph.targets[current])
    return Unlocked(tuple(ready), tuple(skipped))


def due(graph: Graph, waiting: Iterable[str], queue: Collection[str]) -> str | None:
    """The first target that a loop waits to go back to, and behind which nothing is left to run.

    So a pass is over before the next one begins: what one pass left behind would else be taken for the other's.
    """
    return next((target for target in waiting if graph.descendants(target).isdisjoint(queue)), None)


def jump(graph: Graph, decisions: Decisions, target: str) -> None:
    """Go back to a node, which is then ready whatever its own edges say: what lies behind it is open again.

    An edge from elsewhere that has already set a node off does not do so a second time.
    """
    behind = graph.descendants(target)
    done = [n for n in behind - {target} if all(index in decisions for index in graph.incoming[n])]
    for index in [index for node_id in done for index in graph.incoming[node_id]]:
        decisions[index] = False
    for node_id in behind:
        for index in graph.outgoing[node_id]:
            decisions.pop(index, None)


def arrivals(graph: Graph, decisions: Decisions, node_id: str) -> tuple[str, ...]:
    """The nodes from which this one was reached."""
    taken = (graph.edges[i].source for i in graph.incoming[node_id] if decisions.get(i))
    return tuple(dict.fromkeys(taken))
