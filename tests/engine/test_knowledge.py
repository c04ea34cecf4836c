"""Agents look things up, and Retriever nodes do: in vector stores, and in document stores where there are any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from engine.document_stores import NoDocumentStores
from engine.errors import NodeInputError
from engine.nodes.agentflow_agent import run_agent_node
from engine.nodes.agentflow_retriever import run_retriever
from engine.providers.base import Document
from engine.providers.fake import FakeChatModel, FakeEmbedder, calling
from tests.engine.drawing import Board, entry_of
from tests.engine.node_world import EMBEDDING, MemoryStores, NodeWorld


class Shelf:
    """Finds the same documents, whatever is asked, and notes what was."""

    def __init__(self, *texts: str) -> None:
        self.documents = [Document(text, {"page": number}) for number, text in enumerate(texts)]
        self.asked: list[str] = []

    async def retrieve(self, query: str) -> list[Document]:
        self.asked.append(query)
        return self.documents


@pytest.fixture
def papers(nodes: NodeWorld) -> Shelf:
    nodes.documents = MemoryStores({"1:AI Papers": (shelf := Shelf("Snow is white.", "Grass is green."))})
    return shelf


def agent(**inputs: Any) -> dict[str, Any]:
    return {"agentModel": "fakeChat", **inputs}


async def test_an_agent_looks_things_up_in_a_document_store(nodes: NodeWorld, papers: Shelf) -> None:
    nodes.components["fakeChat"] = model = FakeChatModel([calling("AI_Papers", {"input": "snow?"}), "White."])
    rows = [{"documentStore": "1:AI Papers", "docStoreDescription": "About AI", "returnSourceDocuments": True}]

    result = await run_agent_node(nodes.context("snow?"), agent(agentKnowledgeDocumentStores=rows))

    (tool,) = model.calls[0].tools
    assert (tool.name, tool.description) == ("AI_Papers", "About AI")
    assert papers.asked == ["snow?"]
    assert model.calls[1].messages[-1].content == "Snow is white.\n\nGrass is green."
    assert result.output["content"] == "White."
    assert result.output["sourceDocuments"][0] == {"pageContent": "Snow is white.", "metadata": {"page": 0}}


async def test_an_agent_looks_things_up_in_a_vector_store(nodes: NodeWorld) -> None:
    nodes.components |= {"store": (shelf := Shelf("Snow is white.")), "embeddings": (embedder := FakeEmbedder())}
    nodes.components["fakeChat"] = FakeChatModel([calling("snow_facts", {"input": "snow?"}), "White."])
    row = {
        "vectorStore": "store",
        "vectorStoreConfig": {"topK": 3},
        "embeddingModel": "embeddings",
        "embeddingModelConfig": {"modelName": "e-1"},
        "knowledgeName": "snow facts",
    }

    result = await run_agent_node(nodes.context("snow?"), agent(agentKnowledgeVSEmbeddings=[row]))

    assert shelf.asked == ["snow?"]
    assert nodes.built[1:] == [
        ("embeddings", {"modelName": "e-1"}),
        ("store", {"topK": 3, "embeddings": embedder}),
    ]
    assert "sourceDocuments" not in result.output


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"vectorStore": "store"}, "has no embedding model"),
        ({"vectorStore": "embeddings", "embeddingModel": "embeddings"}, "'embeddings' is no vector store"),
        ({"vectorStore": "gone", "embeddingModel": "embeddings"}, "'gone' is not installed"),
    ],
)
async def test_knowledge_that_is_not_filled_in_is_refused(nodes: NodeWorld, row: dict[str, str], told: str) -> None:
    nodes.components |= {"store": Shelf(), "embeddings": FakeEmbedder(), "fakeChat": FakeChatModel()}

    with pytest.raises(NodeInputError, match=told):
        await run_agent_node(nodes.context("x"), agent(agentKnowledgeVSEmbeddings=[row]))


async def test_where_there_are_no_document_stores_the_missing_one_is_named(board: Board) -> None:
    board.world = replace(board.world, documents=NoDocumentStores())
    board.types["look"] = "retrieverAgentflow"
    board.inputs["look"] = {"retrieverKnowledgeDocumentStores": [{"documentStore": "25429b8f:AI-Paper"}]}

    events = await board.run("start -> look")

    assert "document store 'AI-Paper', and there are no document stores here" in repr(events[-1])


async def test_a_retriever_gives_what_all_its_stores_find(nodes: NodeWorld, papers: Shelf) -> None:
    nodes.documents.kept["2:More"] = Shelf("Coal is black.")
    rows = [{"documentStore": "1:AI Papers"}, {"documentStore": "2:More"}]

    result = await run_retriever(nodes.context("snow?", streams=True), {"retrieverKnowledgeDocumentStores": rows})

    assert result.output["content"] == "Snow is white.\n\nGrass is green.\n\nCoal is black."
    assert nodes.seen.tokens == [result.output["content"]]
    assert papers.asked == ["snow?"]


async def test_a_retriever_may_give_what_is_known_of_its_documents(nodes: NodeWorld, papers: Shelf) -> None:
    inputs = {
        "retrieverKnowledgeDocumentStores": [{"documentStore": "1:AI Papers"}],
        "retrieverQuery": "grass?",
        "outputFormat": "textWithMetadata",
    }

    result = await run_retriever(nodes.context("hi"), inputs)

    assert orjson.loads(result.output["content"])[1] == {"pageContent": "Grass is green.", "metadata": {"page": 1}}
    assert papers.asked == ["grass?"]


async def test_what_was_found_can_go_into_the_state(board: Board, nodes: NodeWorld, papers: Shelf) -> None:
    board.world = nodes.world
    board.components = {EMBEDDING: None, "1:AI Papers": papers}
    board.types["look"] = "retrieverAgentflow"
    board.inputs["look"] = {
        "retrieverKnowledgeDocumentStores": [{"documentStore": "1:AI Papers"}],
        "retrieverUpdateState": [{"key": "facts", "value": "{{ output }}"}],
    }

    events = await board.run("start -> look -> end")

    assert entry_of(events, "end")["data"]["state"] == {"facts": "Snow is white.\n\nGrass is green."}


async def test_a_retriever_without_a_store_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="No document store is chosen"):
        await run_retriever(nodes.context("x"), {"retrieverKnowledgeDocumentStores": ""})
