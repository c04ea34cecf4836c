"""Which flows can hand on their answer as it comes."""

from __future__ import annotations

from typing import Any

import pytest

from chatflows.flowdata import facts_of, read_graph
from chatflows.records import find_flow
from tests.factories import graph_text, make_chatflow
from workspaces.models import Workspace

MODEL = {"id": "chatOpenAI_0", "name": "chatOpenAI", "category": "Chat Models", "inputs": {"streaming": True}}
CHAIN = {"id": "chain_0", "name": "conversationChain", "category": "Chains"}
PARSER = {"id": "parser_0", "name": "structuredOutputParser", "category": "Output Parsers"}


def is_streamable(ending: dict[str, Any], *others: dict[str, Any]) -> bool:
    edges = [{"source": other["id"], "target": ending["id"]} for other in others]
    return facts_of(read_graph(graph_text(ending, *others, edges=edges))).is_streamable


@pytest.mark.parametrize("streaming", [True, "true", "", None])
def test_a_chain_with_a_model_streams(streaming: object) -> None:
    assert is_streamable(CHAIN, {**MODEL, "inputs": {"streaming": streaming}})


@pytest.mark.parametrize("streaming", [False, "false"])
def test_a_model_that_may_not_stream_ends_it(streaming: object) -> None:
    assert not is_streamable(CHAIN, {**MODEL, "inputs": {"streaming": streaming}})


@pytest.mark.parametrize("name", [["chain"], {"a": 1}, None, 7])
def test_a_node_whose_name_is_no_text_is_read_all_the_same(workspace: Workspace, name: object) -> None:
    flow = find_flow(make_chatflow(workspace, flow_data=graph_text({**CHAIN, "name": name}, MODEL)).pk)

    assert flow is not None
    assert not flow.asks_users


def test_an_output_parser_anywhere_ends_it() -> None:
    assert not is_streamable(CHAIN, MODEL, PARSER)


@pytest.mark.parametrize(
    ("name", "category", "expected"),
    [
        ("openApiChain", "Chains", False),
        ("vectaraQAChain", "Chains", False),
        ("toolAgent", "Agents", True),
        ("conversationalAgent", "Agents", False),
        ("queryEngine", "Engine", True),
        ("somethingElse", "Utilities", False),
    ],
)
def test_the_ending_decides(name: str, category: str, expected: bool) -> None:
    assert is_streamable({"id": "end_0", "name": name, "category": category}, MODEL) is expected


def test_without_a_model_only_an_assistant_streams() -> None:
    assert not is_streamable(CHAIN)
    assert is_streamable({"id": "a_0", "name": "openAIAssistant", "category": "Agents"})


def test_an_ending_node_does_not_stream() -> None:
    assert not is_streamable({**CHAIN, "outputs": {"output": "EndingNode"}}, MODEL)


def test_generated_nodes_without_categories_are_known_by_name() -> None:
    model = {"id": "m_0", "name": "chatOpenAI", "inputs": {}}

    assert is_streamable({"id": "c_0", "name": "conversationChain"}, model)
    assert not is_streamable({"id": "c_0", "name": "conversationChain"}, model, {"id": "p", "name": "csvOutputParser"})


def test_agent_graphs_always_stream() -> None:
    start = {"id": "s_0", "name": "startAgentflow", "inputs": {"startInputType": "formInput"}}

    facts = facts_of(read_graph(graph_text(start)))

    assert (facts.is_streamable, facts.start_input_type) == (True, "formInput")
    assert is_streamable({"id": "w_0", "name": "worker", "category": "Multi Agents"})


@pytest.mark.parametrize("config", ["", '{"postProcessing":{"enabled":false}}'])
def test_a_record_of_an_agent_flow_is_streamable(workspace: Workspace, config: str) -> None:
    flow = find_flow(make_chatflow(workspace, kind="CREWAI", chatbot_config=config).pk)

    assert flow is not None
    assert flow.is_streamable


def test_post_processing_needs_the_whole_answer(workspace: Workspace) -> None:
    config = '{"postProcessing":{"enabled":true,"customFunction":"return 1"}}'

    flow = find_flow(make_chatflow(workspace, kind="AGENTFLOW", chatbot_config=config).pk)

    assert flow is not None
    assert not flow.is_streamable


@pytest.mark.parametrize(
    "text",
    [
        '{"nodes":[{}],"edges":[{}]}',
        '{"nodes":[{"id":1,"data":5},{"data":{"name":7,"inputs":[],"outputs":"x","category":[]}}],"edges":[{"source":[]}]}',
    ],
)
def test_odd_graphs_are_read_without_failing(text: str) -> None:
    assert facts_of(read_graph(text)).is_streamable is False
