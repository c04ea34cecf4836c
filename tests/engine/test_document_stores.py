"""What is done with a document store: documents read, stored, found and taken away, by the nodes that flows have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.document_stores import Collection, Component
from engine.documents import storable
from engine.errors import FlowError, NodeError, NodeInputError
from engine.nodes.document_stores import run_loader, run_look_up
from engine.providers.base import Document, Embedder
from engine.providers.fake import FakeEmbedder
from engine.registry import Registry, load_registry
from engine.retrieval import StoreRetriever
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType
from engine.storing import (
    candidates,
    check_role,
    find_documents,
    read_documents,
    remove_documents,
    searched_for,
    store_documents,
)
from engine.vectors import EmbeddedStore, MemoryIndex
from tests.engine.node_world import MemoryStores, NodeWorld

SNOW, COAL = Document("snow is white", {"docId": "a"}), Document("coal is black", {"docId": "b"})
COLLECTION = Collection(
    Component("postgres", {"tableName": "t"}),
    Component("fakeEmbeddings"),
    Component("postgresRecordManager", {"namespace": "n", "cleanup": "incremental", "sourceIdKey": "docId"}),
)


def of_fakes() -> Registry:
    async def run(ctx: object, inputs: Inputs) -> NodeResult:
        embedder: Embedder = FakeEmbedder()
        return NodeResult(value=embedder)

    return Registry(
        [*load_registry(), NodeType(NodeSpec("fakeEmbeddings", "Fake", 1, "Embeddings", ("Embeddings",), "Fake."), run)]
    )


REGISTRY = of_fakes()


async def store(nodes: NodeWorld, *documents: Document, collection: Collection = COLLECTION) -> dict[str, Any]:
    counts = await store_documents(collection, documents, nodes.world, registry=REGISTRY, store_id="s")
    return {name: counts[name] for name in ("numAdded", "numSkipped", "numDeleted")}


async def find(nodes: NodeWorld, query: str, collection: Collection = COLLECTION) -> list[str]:
    found = await find_documents(collection, query, nodes.world, registry=REGISTRY, store_id="s")
    return [document.text for document in found]


async def test_a_loader_and_a_splitter_read_as_they_do_in_a_flow(nodes: NodeWorld) -> None:
    loader = Component("plainText", {"text": "Snow is white.\n\nCoal is black.", "metadata": '{"shelf": "a"}'})
    splitter = Component("recursiveCharacterTextSplitter", {"chunkSize": 20, "chunkOverlap": 0})

    read = await read_documents(loader, splitter, nodes.world, registry=REGISTRY, store_id="s")

    assert [document.text for document in read] == ["Snow is white.", "Coal is black."]
    assert read[0].metadata["shelf"] == "a"


async def test_what_cannot_be_read_is_told(nodes: NodeWorld) -> None:
    with pytest.raises(NodeError, match="There is no text"):
        await read_documents(Component("plainText"), None, nodes.world, registry=REGISTRY, store_id="s")


async def test_what_is_stored_is_found_and_stored_once(nodes: NodeWorld) -> None:
    first, second = await store(nodes, SNOW, COAL), await store(nodes, SNOW, COAL)

    assert first == {"numAdded": 2, "numSkipped": 0, "numDeleted": 0}
    assert second == {"numAdded": 0, "numSkipped": 2, "numDeleted": 0}
    assert (await find(nodes, "what is black coal"))[0] == COAL.text
    assert await find(nodes, "what is black coal", searched_for(COLLECTION, 1)) == [COAL.text]


async def test_documents_that_a_source_no_longer_brings_go_and_those_of_others_stay(nodes: NodeWorld) -> None:
    await store(nodes, SNOW, COAL)

    await store(nodes, Document("snow is cold", {"docId": "a"}))

    assert sorted(await find(nodes, "snow")) == [COAL.text, "snow is cold"]


async def test_documents_are_taken_away_by_their_source(nodes: NodeWorld) -> None:
    await store(nodes, SNOW, COAL)

    removed = await remove_documents(
        COLLECTION, lambda _, source: source == "a", nodes.world, registry=REGISTRY, store_id="s"
    )

    assert removed == 1
    assert await find(nodes, "snow") == [COAL.text]
    assert list(nodes.records.kept["/n"].values()) == ["b"]


def test_what_no_database_holds_is_taken_out_of_a_document() -> None:
    class Page:
        def __str__(self) -> str:
            return "page 1"

    found = Document("a\0b\ud800", {"n\0": float("nan"), "big": 2**64, "at": Page(), "deep": [("x", True, None, 1.5)]})

    kept = storable(found)

    assert kept == Document("ab?", {"n": None, "big": str(2**64), "at": "page 1", "deep": [["x", True, None, 1.5]]})


@pytest.mark.parametrize("name", ["memoryVectorStore", "faiss", "documentStoreVS", "plainText", "ghost"])
def test_what_cannot_hold_a_document_store_is_refused_by_name(name: str) -> None:
    with pytest.raises(FlowError, match=f"no vector store '{name}' for document stores here; known: .*postgres"):
        check_role(REGISTRY, "vector_store", name)


def test_a_store_reads_no_store() -> None:
    assert "plainText" in candidates(REGISTRY, "loader")
    assert "documentStore" not in candidates(REGISTRY, "loader")


async def test_a_store_is_no_place_for_what_cannot_hold_it(nodes: NodeWorld) -> None:
    collection = replace(COLLECTION, vector_store=Component("faiss"))

    with pytest.raises(FlowError, match="'faiss' is no vector store for document stores"):
        await store(nodes, SNOW, collection=collection)


@pytest.fixture
def papers(nodes: NodeWorld) -> StoreRetriever:
    made = StoreRetriever(EmbeddedStore(MemoryIndex(), FakeEmbedder()))
    nodes.documents = MemoryStores({"1:Papers": made}, {"1:Papers": [SNOW, COAL]})
    return made


async def test_a_classic_flow_looks_things_up_in_a_document_store(nodes: NodeWorld, papers: StoreRetriever) -> None:
    as_retriever = await run_look_up(nodes.context(), {"selectedStore": "1:Papers"})
    as_store = await run_look_up(nodes.context(output="vectorStore"), {"selectedStore": "1:Papers"})

    assert (as_retriever.value, as_store.value) == (papers, papers.store)


async def test_a_flow_reads_what_a_document_store_keeps(nodes: NodeWorld, papers: StoreRetriever) -> None:
    source = await run_loader(nodes.context(), {"selectedStore": "1:Papers"})
    text = await run_loader(nodes.context(output="text"), {"selectedStore": "1:Papers"})

    assert await source.value.load() == [SNOW, COAL]
    assert text.value == "snow is white\ncoal is black"


@pytest.mark.parametrize("run", [run_look_up, run_loader])
async def test_a_store_has_to_be_chosen(nodes: NodeWorld, run: Any) -> None:
    with pytest.raises(NodeInputError, match="No document store is chosen"):
        await run(nodes.context(), {"selectedStore": ""})
