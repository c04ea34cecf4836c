"""Flow text to graph: what is completed, what is dropped, what is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.errors import FlowError, MissingTypes
from engine.flow import Flow, parse_flow, read_drawing
from engine.graph import Edge
from engine.plan import plan_for
from engine.registry import Registry
from engine.scheduler import complete
from tests.engine.drawing import Board, ran


def node(node_id: str, name: str = "part", **more: Any) -> dict[str, Any]:
    outside: dict[str, Any] = {key: more.pop(key) for key in ("type", "parentNode") if key in more}
    return {"id": node_id, **outside, "data": {"id": node_id, "label": node_id.upper(), "name": name, **more}}


def edge(source: str, target: str, *, output: str = "x", to: str = "") -> dict[str, Any]:
    handle = f"{target}-input-{to}-Thing" if to else target
    return {"source": source, "target": target, "sourceHandle": f"{source}-output-{output}", "targetHandle": handle}


def flow_of(nodes: list[Any], edges: list[Any]) -> Flow:
    return parse_flow(orjson.dumps({"nodes": nodes, "edges": edges, "viewport": {"zoom": 1}}))


def start(node_id: str = "start", **inputs: Any) -> dict[str, Any]:
    return node(node_id, "startAgentflow", inputs={"startInputType": "chatInput", **inputs})


def test_what_a_node_says_of_itself_is_kept() -> None:
    flow = flow_of(
        [
            node(
                "a",
                "chain",
                version=2,
                category="Chains",
                inputs={"model": ""},
                outputs={"output": "chain"},
                credential="c-1",
                inputParams=[
                    {"name": "text", "type": "string", "acceptVariable": True},
                    {"name": "values", "type": "json"},
                    {"name": "apiKey", "type": "password"},
                ],
            )
        ],
        [],
    )

    kept = flow.nodes["a"]
    assert (kept.label, kept.name, kept.version, kept.category) == ("A", "chain", 2.0, "Chains")
    assert (kept.output, kept.credential, kept.inputs) == ("chain", "c-1", {"model": ""})
    assert [*kept.variables, *kept.json, *kept.secrets] == ["text", "values", "apiKey"]


@pytest.mark.parametrize(
    ("nodes", "kind"),
    [
        ([node("a", "chain", category="Chains")], "CHATFLOW"),
        ([start()], "AGENTFLOW"),
        ([node("a", "supervisor", category="Multi Agents")], "MULTIAGENT"),
        ([node("a", "seqStart", category="Sequential Agents"), node("b", "chain")], "MULTIAGENT"),
        ([node("a", "supervisor"), node("b", "worker")], "MULTIAGENT"),
    ],
)
def test_the_kind_of_a_graph_is_told_by_its_nodes(nodes: list[Any], kind: str) -> None:
    assert flow_of(nodes, []).kind == kind


def test_sticky_notes_are_dropped_with_their_edges() -> None:
    notes = [node("n1", "stickyNote"), node("n2", "stickyNoteAgentflow"), node("n3", "anything", type="stickyNote")]

    flow = flow_of([start(), *notes, node("end", "stepAgentflow")], [edge("start", "end"), edge("n1", "end")])

    assert list(flow.nodes) == ["start", "end"]
    assert flow.successors("start") == ("end",)
    assert flow.predecessors("end") == ("start",)


def test_a_value_without_its_edge_orders_the_two_all_the_same() -> None:
    flow = flow_of([node("chain", inputs={"model": "{{model.data.instance}}"}), node("model")], [])

    assert flow.predecessors("chain") == ("model",)


def test_values_inside_of_texts_and_lists_count_too() -> None:
    inputs = {"json": '{"a":"{{ b.data.instance }} {{c.data.instance.x}}"}', "list": ["{{d.data.instance}}"]}

    flow = flow_of([node("a", inputs=inputs), node("b"), node("c"), node("d")], [])

    assert flow.predecessors("a") == ("b", "c", "d")


@pytest.mark.parametrize(
    ("held", "anchors", "completed"),
    [
        ("", [], "{{model.data.instance}}"),
        (None, [], "{{model.data.instance}}"),
        ([], [], ["{{model.data.instance}}"]),
        ("", [{"name": "input", "list": True}], ["{{model.data.instance}}"]),
        (["{{x.data.instance}}"], [], ["{{x.data.instance}}", "{{model.data.instance}}"]),
        ("its own text", [], "its own text"),
    ],
)
def test_an_edge_without_its_value_brings_it(held: Any, anchors: list[Any], completed: Any) -> None:
    chain = node("chain", inputs={"input": held}, inputAnchors=anchors)

    flow = flow_of([chain, node("model"), node("x")], [edge("model", "chain", to="input")])

    assert flow.nodes["chain"].inputs["input"] == completed


def test_an_edge_that_is_drawn_twice_is_one() -> None:
    flow = flow_of([start(), node("end", "stepAgentflow")], [edge("start", "end"), edge("start", "end")])

    assert len(flow.graph.edges) == 1


@pytest.mark.parametrize(("text", "uses"), [("{{ $vars.a }}", True), ("{{ $flow.a }}", False)])
def test_a_flow_knows_whether_it_uses_the_workspaces_variables(text: str, uses: bool) -> None:
    assert flow_of([start(text=text)], []).uses_variables is uses


def test_an_agent_flow_knows_its_start() -> None:
    flow = flow_of([node("end", "stepAgentflow"), start()], [edge("start", "end")])

    assert flow.start is not None
    assert flow.start.id == "start"


def test_nodes_in_a_block_are_no_start_and_do_not_run_with_the_others() -> None:
    inside = [node("in1", "stepAgentflow", parentNode="block"), node("in2", "stepAgentflow", parentNode="block")]
    nodes = [start(), node("block", "iterationAgentflow"), *inside]

    flow = flow_of(nodes, [edge("start", "block"), edge("in1", "in2")])

    assert flow.graph.ids == ("start", "block")
    assert flow.nodes["in1"].parent == "block"


@pytest.mark.parametrize(
    ("parents", "problem"),
    [
        ({"a": "start"}, "which is no iteration"),
        ({"a": "a"}, "stands in itself"),
        ({"a": "b", "b": "a"}, "stands in itself"),
        ({f"n{n}": f"n{n + 1}" for n in range(600)}, "in more than 20 others"),
    ],
)
def test_a_block_that_nothing_would_ever_run_is_refused(parents: dict[str, str], problem: str) -> None:
    ids = dict.fromkeys([*parents, *parents.values()])
    blocks = [
        node(n, "iterationAgentflow", **({"parentNode": parents[n]} if n in parents else {}))
        for n in ids
        if n != "start"
    ]

    with pytest.raises(FlowError, match=problem):
        flow_of([start(), *blocks], [edge("start", n) for n in ids if n not in parents and n != "start"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("not json", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ('{"nodes": {}}', "nodes must be a list"),
        ('{"nodes": [1]}', "nodes must be a list of objects"),
        ('{"nodes": [], "edges": []}', "has no nodes"),
        ('{"nodes": [{"data": {"name": "x"}}]}', "has no id"),
        ('{"nodes": [{"id": "x"}]}', "has no data"),
        ('{"nodes": ' + "[" * 900 + "]" * 900 + "}", "nodes must be a list of objects"),
        (
            '{"nodes": [{"id": "x", "data": {"name": "a", "inputs": ' + '{"a":' * 500 + "1" + "}" * 502 + "]}",
            "100 levels",
        ),
        (
            '{"nodes": [{"id": "x", "data": {"name": "a"}}, {"id": "x", "data": {"name": "b"}}]}',
            "x and x have one id, x",
        ),
        ('{"nodes": [{"id": "x", "data": {}}]}', "Node x does not say of which type it is"),
    ],
)
def test_text_that_is_no_flow_is_refused(text: str, problem: str) -> None:
    with pytest.raises(FlowError, match=problem):
        parse_flow(text)


def test_a_handle_of_thousands_of_digits_is_no_index() -> None:
    assert Edge("a", "b", "1").index == 1
    assert Edge("a", "b", "9" * 5000).index is None


@pytest.mark.timeout(10)
def test_thousands_of_edges_are_read_at_once() -> None:
    nodes = [start(), *({"id": f"n{n}", "data": {"name": "stepAgentflow"}} for n in range(10_000))]
    edges = [edge("start", f"n{n}") for n in range(10_000)]

    drawing = read_drawing(orjson.dumps({"nodes": nodes, "edges": [*edges, edge("start", "gone")]}))
    unlocked = complete(parse_flow(orjson.dumps({"nodes": nodes, "edges": edges})).graph, {}, "start")

    assert [loose.target for loose in drawing.loose] == ["gone"]
    assert len(unlocked.ready) == 10_000


def test_an_edge_that_hangs_loose_is_refused() -> None:
    with pytest.raises(FlowError, match="from start to gone hangs loose: there is no node 'gone'"):
        flow_of([start()], [edge("start", "gone")])


@pytest.mark.parametrize(
    ("edges", "problem"),
    [
        ([edge("a", "b"), edge("b", "c"), edge("c", "a")], r"in a circle: .* remove one of its edges"),
        ([edge("a", "a")], r"in a circle: A -> A"),
    ],
)
def test_a_circle_in_a_classic_graph_is_refused(edges: list[Any], problem: str) -> None:
    with pytest.raises(FlowError, match=problem):
        flow_of([node("a"), node("b"), node("c")], edges)


def test_a_circle_in_an_agent_flow_is_refused_and_names_the_way_out() -> None:
    nodes = [start(), node("a", "stepAgentflow"), node("b", "stepAgentflow")]

    with pytest.raises(
        FlowError, match=r"in a circle: A -> B -> A; use a Loop node|in a circle: B -> A -> B; use a Loop"
    ):
        flow_of(nodes, [edge("start", "a"), edge("a", "b"), edge("b", "a")])


def test_two_starts_are_refused_and_named() -> None:
    with pytest.raises(FlowError, match=r"Multiple starting nodes are not allowed: START \(start\), LOST \(lost\)"):
        flow_of([start(), node("lost", "stepAgentflow")], [])


@pytest.mark.parametrize("first", [node("start", "startAgentflow"), node("llm", "llmAgentflow")])
def test_a_start_without_an_input_type_is_refused(first: dict[str, Any]) -> None:
    with pytest.raises(FlowError, match="Start input type not found"):
        flow_of([first], [])


def test_an_agent_flow_without_a_start_outside_of_its_blocks_is_refused() -> None:
    with pytest.raises(FlowError, match="no starting node"):
        flow_of([node("in", "stepAgentflow", parentNode="block")], [])


def test_types_and_components_that_are_missing_are_all_named() -> None:
    nodes = [
        start(),
        node("a", "llmAgentflow", inputs={"llmModel": "chatNobody", "llmModelConfig": {"modelName": "x"}}),
        node(
            "b",
            "agentAgentflow",
            inputs={"agentTools": [{"tool": "nothing", "toolConfig": {}}, {"tool": "", "toolConfig": {}}]},
        ),
    ]
    flow = flow_of(nodes, [edge("start", "a"), edge("a", "b")])

    with pytest.raises(MissingTypes) as caught:
        plan_for(flow, Registry([]))

    assert caught.value.names == ("agentAgentflow", "chatNobody", "llmAgentflow", "nothing", "startAgentflow")
    assert caught.value.message == (
        "This flow needs node types that are not available here: "
        "agentAgentflow, chatNobody, llmAgentflow, nothing, startAgentflow"
    )


async def test_a_flow_is_planned_once_for_a_registry(board: Board) -> None:
    flow = board.agentflow("start -> end")
    registry = board.registry()

    assert plan_for(flow, registry) is plan_for(flow, registry)
    assert plan_for(flow, board.registry()).registry is not registry


async def test_one_flow_may_run_many_times(board: Board) -> None:
    flow = board.agentflow("start -> a -> b")

    first, second = await board.run(flow), await board.run(flow)

    assert first == second
    assert ran(second) == ["start", "a", "b"]
