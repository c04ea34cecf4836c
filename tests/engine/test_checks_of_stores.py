"""Checks of flows that name document stores."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.checks import Problem, check_flow
from engine.registry import load_registry

ROWS = [{"documentStore": "1:Papers"}]


def check(inputs: Any, stores: dict[str, bool]) -> list[Problem]:
    """A start, and a retriever that asks these stores."""
    start = {"id": "start", "name": "startAgentflow", "label": "Start", "inputs": {"startInputType": "chatInput"}}
    look = {
        "id": "look",
        "name": "retrieverAgentflow",
        "label": "Look up",
        "inputs": {"retrieverKnowledgeDocumentStores": inputs},
    }
    nodes = [{"id": data["id"], "type": "agentFlow", "data": data} for data in (start, look)]
    edge = {"source": "start", "target": "look", "sourceHandle": "start-output-0", "targetHandle": "look"}
    return check_flow(orjson.dumps({"nodes": nodes, "edges": [edge]}), load_registry(), stores=stores)


@pytest.mark.parametrize("rows", [ROWS, orjson.dumps(ROWS).decode()])
def test_a_store_that_is_not_there_is_named_with_the_way_out(rows: Any) -> None:
    [problem] = check(rows, {})

    assert problem.message == (
        "Look up (look): the document store 'Papers' is not in this workspace; an exported flow carries only its id"
    )
    assert problem.fix == "create and fill one, with POST /api/v1/document-store/store, and choose it"
    assert (problem.severity, problem.code) == ("warning", "needs_value")
    assert (problem.field, problem.subject) == ("retrieverKnowledgeDocumentStores[0].documentStore", "documentStore")


def test_a_store_in_which_nothing_is_is_to_be_upserted() -> None:
    [problem] = check(ROWS, {"1": False})

    assert problem.message.endswith("there is nothing in the document store 'Papers' yet")
    assert problem.fix == "upsert it, with POST /api/v1/document-store/upsert/1"


@pytest.mark.parametrize("rows", [ROWS, [{"documentStore": "{{ $vars.store }}"}], [None], "[", ""])
def test_a_store_that_can_be_asked_and_what_names_none_is_no_problem(rows: Any) -> None:
    assert [
        problem for problem in check(rows, {"1": True}) if problem.code == "needs_value" and "store" in problem.fix
    ] == []


@pytest.mark.parametrize("name", ["documentStoreVS", "documentStore"])
def test_a_classic_node_names_its_store(name: str) -> None:
    node = {"id": "n", "name": name, "label": "Store", "inputs": {"selectedStore": "9"}}
    flow = orjson.dumps({"nodes": [{"id": "n", "type": "customNode", "data": node}], "edges": []})

    found = [problem for problem in check_flow(flow, load_registry()) if problem.subject == "selectedStore"]

    assert [problem.field for problem in found] == ["selectedStore"]
    assert "the document store '9' is not in this workspace" in found[0].message
