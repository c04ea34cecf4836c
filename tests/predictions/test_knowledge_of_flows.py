"""Flows look things up in the document stores of their workspace."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import stores
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow
from tests.predictions.drawing import classic, wire

BLACK, WHITE = "Coal is black.", "Snow is white."


@pytest.fixture
def papers(holder: Caller, model: ScriptedModel) -> str:
    return stores.filled_store(holder, model.url)


def retriever(*references: str) -> str:
    """An agent flow that looks the question up."""
    rows = [{"documentStore": reference} for reference in references]
    start = {"id": "start", "name": "startAgentflow", "label": "Start", "inputs": {"startInputType": "chatInput"}}
    look = {
        "id": "look",
        "name": "retrieverAgentflow",
        "label": "Look up",
        "inputs": {"retrieverKnowledgeDocumentStores": rows},
    }
    nodes = [{"id": data["id"], "type": "agentFlow", "data": data} for data in (start, look)]
    edge = {"source": "start", "target": "look", "sourceHandle": "start-output-0", "targetHandle": "look"}
    return json.dumps({"nodes": nodes, "edges": [edge]})


def chain(model_url: str, store_id: str) -> str:
    """A chain over a document store."""
    nodes = [
        classic("documentStoreVS_0", "Vector Stores", {"selectedStore": store_id}, "DocumentStoreVS"),
        classic("chatOpenAI_0", "Chat Models", {"modelName": "m", "basepath": model_url}, "ChatOpenAI"),
        classic(
            "conversationalRetrievalQAChain_0",
            "Chains",
            {"returnSourceDocuments": True},
            "ConversationalRetrievalQAChain",
        ),
    ]
    edges = [
        wire("documentStoreVS_0", "conversationalRetrievalQAChain_0", "vectorStoreRetriever"),
        wire("chatOpenAI_0", "conversationalRetrievalQAChain_0", "model"),
    ]
    return json.dumps({"nodes": nodes, "edges": edges})


def test_a_retriever_brings_what_all_its_stores_find(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel, papers: str
) -> None:
    more = stores.filled_store(holder, model.url, "Roses are red.", "More")
    flow = new_flow(retriever(f"{papers}:Papers", f"{more}:More"), type="AGENTFLOW")

    assert holder.answer(flow, "What is black?")["text"] == f"{BLACK}\n\nRoses are red."


def test_a_classic_chain_answers_from_a_store(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel, papers: str
) -> None:
    flow = new_flow(chain(model.url, papers))

    answered = holder.answer(flow, "What is black?")

    assert [document["pageContent"] for document in answered["sourceDocuments"]] == [BLACK]
    assert BLACK in str(model.requests[-1].messages[0]["content"])


def test_an_assistant_looks_things_up_in_its_stores(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel, papers: str
) -> None:
    settings: dict[str, Any] = {
        "chatModel": {"name": "chatOpenAI", "inputs": {"modelName": "m", "basepath": model.url}},
        "instruction": "Be kind.",
        "documentStores": [
            {"id": papers, "name": "Papers", "description": "On colours.", "returnSourceDocuments": True}
        ],
    }
    flow = new_flow(json.dumps(settings), type="ASSISTANT")
    model.script(Reply(tool_calls=[("papers", {"input": "white"})]), "White.")

    answered = holder.answer(flow, "What is snow?")

    assert answered["text"] == "White."
    assert answered["usedTools"][0]["toolOutput"] == WHITE
    assert [document["pageContent"] for document in answered["sourceDocuments"]] == [WHITE]


def test_what_a_store_keeps_can_be_upserted_elsewhere(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel, papers: str
) -> None:
    nodes = [
        classic("documentStore_0", "Document Loaders", {"selectedStore": papers}, "Document"),
        classic("openAIEmbeddings_0", "Embeddings", {"basepath": model.url}, "OpenAIEmbeddings"),
        classic("postgres_0", "Vector Stores", {"tableName": "copied"}, "Postgres"),
    ]
    edges = [wire("documentStore_0", "postgres_0", "document"), wire("openAIEmbeddings_0", "postgres_0", "embeddings")]
    flow = new_flow(json.dumps({"nodes": nodes, "edges": edges}))

    stored = holder.http.post(f"/vector/upsert/{flow}").json()

    assert [document["pageContent"] for document in stored["addedDocs"]] == [WHITE, BLACK]


def test_a_store_that_is_not_there_is_named_with_the_way_out(holder: Caller, new_flow: NewFlow) -> None:
    flow = new_flow(retriever("00000000-0000-7000-8000-000000000000:AI-Paper"), type="AGENTFLOW")

    refused = holder.predict(flow, "What rose?")

    assert refused.status_code == 422
    assert "There is no document store 'AI-Paper' in this workspace: create and fill one" in refused.json()["message"]


def test_a_neighbours_store_is_not_there(
    holder: Caller, neighbour: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    theirs = stores.filled_store(neighbour, model.url, "Secret.", "Theirs")
    flow = new_flow(retriever(f"{theirs}:Theirs"), type="AGENTFLOW")

    refused = holder.predict(flow, "What is it?")

    assert refused.status_code == 422
    assert "There is no document store 'Theirs' in this workspace" in refused.json()["message"]


def test_a_store_in_which_nothing_is_yet_is_named_with_the_way_out(holder: Caller, new_flow: NewFlow) -> None:
    store_id = stores.new_store(holder, "Empty")
    flow = new_flow(retriever(f"{store_id}:Empty"), type="AGENTFLOW")

    refused = holder.predict(flow, "What is it?")

    assert refused.status_code == 422
    assert (
        f"nothing in the document store 'Empty' yet: upsert it, with POST /api/v1/document-store/upsert/{store_id}"
        in (refused.json()["message"])
    )


def test_a_store_tells_which_flows_name_it(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel, papers: str
) -> None:
    flow = new_flow(chain(model.url, papers), name="Asks papers")

    assert holder.http.get(f"/document-store/store/{papers}").json()["whereUsed"] == [
        {"id": flow, "name": "Asks papers"}
    ]
