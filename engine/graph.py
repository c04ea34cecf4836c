"""Nodes and edges as the scheduler sees them: ids and indexes, with what follows from them worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MOST_DIGITS = 9  # of an output's index; int() refuses some thousands of them


@dataclass(frozen=True, slots=True)
class Edge:
    """`output` is the name or index of the source's output handle, `input` the target's param (classic graphs)."""

    source: str
    target: str
    output: str = ""
    input: str = ""

    @property
    def index(self) -> int | None:
        """Which of a decision's ways out this is; None for the edges of other nodes."""
        return int(self.output) if self.output.isdecimal() and len(self.output) <= MOST_DIGITS else None


@dataclass(frozen=True, slots=True)
class Graph:
    """Edges are known by their place in `edges`; node ids keep the order in which they were given."""

    ids: tuple[str, ...]
    edges: tuple[Edge, ...]
    outgoing: Mapping[str, tuple[int, ...]]
    incoming: Mapping[str, tuple[int, ...]]
    targets: Mapping[str, tuple[str, ...]]  # each once, in the order of the edges
    sources: Mapping[str, tuple[str, ...]]
    roots: tuple[str, ...]  # nodes without incoming edges

    @classmethod
    def of(cls, ids: Iterable[str], edges: Sequence[Edge]) -> Graph:
        """Every end of every edge must be among `ids`."""
        kept = tuple(ids)
        outgoing: dict[str, list[int]] = {node_id: [] for node_id in kept}
        incoming: dict[str, list[int]] = {node_id: [] for node_id in kept}
        for index, edge in enumerate(edges):
            outgoing[edge.source].append(index)
            incoming[edge.target].append(index)
        return cls(
            kept,
            tuple(edges),
            {node_id: tuple(indexes) for node_id, indexes in outgoing.items()},
            {node_id: tuple(indexes) for node_id, indexes in incoming.items()},
            {node_id: tuple(dict.fromkeys(edges[i].target for i in indexes)) for node_id, indexes in outgoing.items()},
            {node_id: tuple(dict.fromkeys(edges[i].source for i in indexes)) for node_id, indexes in incoming.items()},
            tuple(node_id for node_id in kept if not incoming[node_id]),
        )

    def descendants(self, node_id: str) -> set[str]:
        """The nodes that can be reached from this one, which is one of them."""
        return _walk(node_id, self.targets)

    def ancestors(self, node_id: str) -> set[str]:
        """The nodes from which this one can be reached, which is one of them."""
        return _walk(node_id, self.sources)

    def distances(self, node_id: str) -> dict[str, int]:
        """Edges of the longest path from each ancestor to this node. The graph must have no cycle."""
        longest = {node_id: 0}
        for current in reversed(self.order(self.ancestors(node_id))):
            for source in self.sources[current]:
                longest[source] = max(longest.get(source, 0), longest[current] + 1)
        return longest

    def order(self, among: Iterable[str]) -> list[str]:
        """Those nodes, each after all of them that it depends on; nodes on a cycle, and behind one, are left out."""
        wanted = set(among)
        waits = {n: sum(source in wanted for source in self.sources[n]) for n in self.ids if n in wanted}
        done = [n for n, count in waits.items() if not count]
        for current in done:
            for target in self.targets[current]:
                if target in wanted:
                    waits[target] -= 1
                    if not waits[target]:
                        done.append(target)
        return done

    def part(self, ids: Iterable[str]) -> Graph:
        """The graph of these nodes and the edges between them."""
        wanted = set(ids)
        edges = [edge for edge in self.edges if edge.source in wanted and edge.target in wanted]
        return Graph.of([n for n in self.ids if n in wanted], edges)

    def cycle(self) -> tuple[str, ...]:
        """The nodes of one cycle in order; empty if there is none."""
        stuck = set(self.ids) - set(self.order(self.ids))
        if not stuck:
            return ()
        # Every stuck node waits for another one, so going backwards must come round.
        path = [min(stuck, key=self.ids.index)]
        while path[-1] not in path[:-1]:
            path.append(next(source for source in self.sources[path[-1]] if source in stuck))
        return tuple(reversed(path[path.index(path[-1]) + 1 :]))


def _walk(start: str, neighbours: Mapping[str, tuple[str, ...]]) -> set[str]:
    found, frontier = {start}, [start]
    while frontier:
        new = [n for n in neighbours[frontier.pop()] if n not in found]
        found.update(new)
        frontier += new
    return found
