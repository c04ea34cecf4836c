"""The step algorithm on graphs that nobody would draw."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.graph import Edge, Graph
from engine.scheduler import arrivals, complete, jump

MOST_NODES = 9


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, dict[str, set[int]]]:
    """A graph without cycles in which every node can be reached from n0, and what each node decides."""
    count = draw(st.integers(1, MOST_NODES))
    edges = []
    for target in range(1, count):
        sources = draw(st.lists(st.integers(0, target - 1), min_size=1, max_size=3))
        edges += [Edge(f"n{source}", f"n{target}", str(draw(st.integers(0, 2)))) for source in sources]
    taken = {f"n{n}": draw(st.sets(st.integers(0, 2))) for n in range(count)}
    return Graph.of([f"n{n}" for n in range(count)], draw(st.permutations(edges))), taken


def walk(graph: Graph, taken: dict[str, set[int]]) -> tuple[list[str], list[str]]:
    decisions: dict[int, bool] = {}
    queue = list(graph.roots)
    ran: list[str] = []
    skipped: list[str] = []
    while queue:
        current = queue.pop(0)
        ran.append(current)
        unlocked = complete(graph, decisions, current, lambda edge, n=current: edge.index in taken[n])  # type: ignore[misc]
        queue += unlocked.ready
        skipped += unlocked.skipped
    return ran, skipped


@given(graphs())
def test_each_node_runs_or_is_skipped_exactly_once(drawn: tuple[Graph, dict[str, set[int]]]) -> None:
    graph, taken = drawn

    ran, skipped = walk(graph, taken)

    assert sorted([*ran, *skipped]) == sorted(graph.ids)


@given(graphs())
def test_a_node_runs_if_and_only_if_an_edge_from_a_node_that_ran_was_taken(
    drawn: tuple[Graph, dict[str, set[int]]],
) -> None:
    graph, taken = drawn

    ran, _ = walk(graph, taken)

    for node_id in set(graph.ids) - set(graph.roots):
        reached = any(
            graph.edges[i].source in ran and graph.edges[i].index in taken[graph.edges[i].source]
            for i in graph.incoming[node_id]
        )
        assert (node_id in ran) == reached


@given(graphs())
def test_a_node_runs_after_all_nodes_before_it_that_run(drawn: tuple[Graph, dict[str, set[int]]]) -> None:
    graph, taken = drawn

    ran, _ = walk(graph, taken)

    for node_id in ran:
        before = [source for source in graph.sources[node_id] if source in ran]
        assert all(ran.index(source) < ran.index(node_id) for source in before)


@given(graphs(), st.data())
def test_after_a_jump_just_what_is_reached_from_its_target_runs_again(
    drawn: tuple[Graph, dict[str, set[int]]], data: st.DataObject
) -> None:
    graph, taken = drawn
    decisions: dict[int, bool] = {}
    first = walk_on(graph, decisions, [*graph.roots], taken)
    target = data.draw(st.sampled_from(first))

    jump(graph, decisions, target)
    again = walk_on(graph, decisions, [target], taken)

    assert sorted(again) == sorted(reached_from(graph, target, taken))


def walk_on(graph: Graph, decisions: dict[int, bool], queue: list[str], taken: dict[str, set[int]]) -> list[str]:
    ran = []
    while queue:
        ran.append(queue.pop(0))
        chosen = taken[ran[-1]]
        queue += complete(graph, decisions, ran[-1], lambda edge, chosen=chosen: edge.index in chosen).ready  # type: ignore[misc]
    return ran


def reached_from(graph: Graph, start: str, taken: dict[str, set[int]]) -> set[str]:
    found, frontier = {start}, [start]
    while frontier:
        current = frontier.pop()
        new = {graph.edges[i].target for i in graph.outgoing[current] if graph.edges[i].index in taken[current]} - found
        found |= new
        frontier += new
    return found


@given(graphs())
def test_the_longest_way_back_is_as_long_as_the_longest_path(drawn: tuple[Graph, dict[str, set[int]]]) -> None:
    graph, _ = drawn
    last = graph.ids[-1]

    distances = graph.distances(last)

    assert set(distances) == graph.ancestors(last)
    assert all(
        distances[n] == 1 + max(distances[t] for t in graph.targets[n] if t in distances)
        for n in distances
        if n != last
    )


@pytest.mark.parametrize(
    ("edges", "cycle"),
    [("ab bc ca", {"a", "b", "c"}), ("ab bb", {"b"}), ("ab bc cb cd", {"b", "c"}), ("ab ac bd cd", set())],
)
def test_a_cycle_is_found_and_what_lies_behind_it_is_not_part_of_it(edges: str, cycle: set[str]) -> None:
    graph = Graph.of("abcd", [Edge(pair[0], pair[1]) for pair in edges.split()])

    assert set(graph.cycle()) == cycle


def test_a_node_was_reached_from_the_sources_of_its_taken_edges() -> None:
    graph = Graph.of("abc", [Edge("a", "c", "0"), Edge("a", "c", "1"), Edge("b", "c", "0")])
    decisions = {0: True, 1: True, 2: False}

    assert arrivals(graph, decisions, "c") == ("a",)
