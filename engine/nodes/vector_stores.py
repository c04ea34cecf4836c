"""Vector stores: documents in a database, found by likeness of meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.context import NodeContext
from engine.documents import Source, load_all, wire
from engine.errors import NodeInputError
from engine.nodes import values
from engine.nodes.vector_store_openers import metadata_filter
from engine.nodes.vector_store_vendors import (
    DOCUMENT,
    EMBEDDINGS,
    MMR,
    TOP_K,
    VENDORS,
    StoreVendor,
)
from engine.providers.base import ChatModel, Document, Embedder
from engine.records import RecordManager, Written, write
from engine.retrieval import BALANCE, FETCH_K, Search, StoreRetriever
from engine.retrieval import TOP_K as USUAL_TOP_K
from engine.spec import Inputs, NodeResult, NodeRun, NodeSpec, NodeType, Param
from engine.vectors import EmbeddedStore, MemoryIndex

MOST_TOP_K = 1000

MEMORY = NodeSpec(
    name="memoryVectorStore",
    label="In-Memory Vector Store",
    version=1,
    category="Vector Stores",
    base_classes=("Memory", "VectorStoreRetriever", "BaseRetriever"),
    help="Documents in the server's memory: for a few of them, and for trying things out.",
    params=(TOP_K, DOCUMENT, EMBEDDINGS),
    outputs=("retriever", "vectorStore"),
    role="component",
)
FAISS = NodeSpec(
    name="faiss",
    label="Faiss",
    version=1,
    category="Vector Stores",
    base_classes=("Faiss", "VectorStoreRetriever", "BaseRetriever"),
    help="Documents in the server's memory, as the in-memory store keeps them; no folder is read or written.",
    params=(
        Param("basePath", "string", "Base Path to load", optional=True, help="Not used: nothing is kept in files."),
        TOP_K,
        *MMR,
        DOCUMENT,
        EMBEDDINGS,
    ),
    outputs=("retriever", "vectorStore"),
    role="component",
)


@dataclass(frozen=True, slots=True)
class Upserted:
    """What an upsert changed, as its callers are told."""

    written: Written
    documents: Sequence[Document]

    def output(self) -> dict[str, Any]:
        counts = self.written
        return {
            "numAdded": counts.added,
            "numDeleted": counts.deleted,
            "numUpdated": counts.updated,
            "numSkipped": counts.skipped,
            "addedDocs": [wire(document) for document in self.documents],
        }


def run_vendor(vendor: StoreVendor) -> NodeRun:
    """The run function of one row of the table."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """Open the store on what it holds; documents connected to it are stored by an upsert alone."""
        return await _opened(ctx, inputs, vendor)

    return run


def upsert_vendor(vendor: StoreVendor) -> NodeRun:
    """What an upsert of one row of the table runs."""

    async def upsert(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """Read the documents connected to the store and keep them. Raises NodeInputError if there are none."""
        store = await _store(ctx, inputs, vendor)
        documents = await load_all(_sources(inputs))
        return _upserted(await write(store, documents, _records(inputs)), documents, store)

    return upsert


async def run_memory(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Open the store; the documents connected to it are read when no run before has read them.

    Raises NodeInputError if none are connected.
    """
    sources, embedder = _sources(inputs), _embedder(inputs)
    key = "\n".join((ctx.request.chatflow_id, ctx.node.id, embedder.model_name, *(source.key for source in sources)))
    now = ctx.world.clock.monotonic
    index = ctx.world.shelf.find(key, now=now())
    if index is None:
        index = MemoryIndex()
        await EmbeddedStore(index, embedder).add(await load_all(sources))
        ctx.world.shelf.put(key, index, now=now())
    return _result(ctx, EmbeddedStore(index, embedder), _search(inputs))


async def upsert_memory(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Read the documents and make their vectors, to see whether that works: each process reads them for itself."""
    store = EmbeddedStore(MemoryIndex(), _embedder(inputs))
    documents = await load_all(_sources(inputs))
    return _upserted(await write(store, documents, None), documents, store)


async def _opened(ctx: NodeContext, inputs: Inputs, vendor: StoreVendor) -> NodeResult:
    search = _search(inputs, vendor.filter_param)
    model = None
    if vendor.is_llama_index:
        # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
        model = values.connected(inputs, "model", ChatModel, f"{vendor.label} needs a model")  # type: ignore[type-abstract]
    return _result(ctx, await _store(ctx, inputs, vendor), search, model)


async def _store(ctx: NodeContext, inputs: Inputs, vendor: StoreVendor) -> EmbeddedStore:
    embedder = _embedder(inputs)
    secrets = await values.credential(ctx, inputs) if vendor.credentials else {}
    if vendor.key_fields and not any(secrets.get(name) for name in vendor.key_fields):
        kinds = " or ".join(map(repr, vendor.credentials))
        raise NodeInputError(f"{vendor.label} needs a credential of kind {kinds}: connect one.")
    return EmbeddedStore(vendor.open(ctx, inputs, secrets), embedder)


def _result(ctx: NodeContext, store: EmbeddedStore, search: Search, model: ChatModel | None = None) -> NodeResult:
    if ctx.node.output == "vectorStore":
        return NodeResult(value=store)
    return NodeResult(value=StoreRetriever(store, search, model))


def _upserted(written: Written, documents: Sequence[Document], store: EmbeddedStore) -> NodeResult:
    return NodeResult(output=Upserted(written, documents).output(), value=store)


def _search(inputs: Inputs, filter_param: str = "") -> Search:
    top_k = values.integer(inputs, "topK") or USUAL_TOP_K
    if not 0 < top_k <= MOST_TOP_K:
        raise NodeInputError(f"topK must be from 1 to {MOST_TOP_K}, not {top_k}.")
    balance = None
    if values.text(inputs, "searchType", "similarity") == "mmr":
        given = values.number(inputs, "lambda")
        balance = BALANCE if given is None else min(max(given, 0.0), 1.0)
    fetch_k = min(max(values.integer(inputs, "fetchK") or FETCH_K, top_k), MOST_TOP_K)
    where = metadata_filter(inputs, filter_param) if filter_param else {}
    return Search(top_k, where, balance, fetch_k)


def _embedder(inputs: Inputs) -> Embedder:
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    return values.connected(inputs, "embeddings", Embedder, "A vector store needs embeddings")  # type: ignore[type-abstract]


def _records(inputs: Inputs) -> RecordManager | None:
    given = inputs.get("recordManager")
    if given and not isinstance(given, RecordManager):
        raise NodeInputError("What is connected as a record manager is none.")
    return given or None


def _sources(inputs: Inputs) -> list[Source]:
    given = inputs.get("document") or ()
    sources = [item for item in (given if isinstance(given, list | tuple) else (given,)) if item]
    if not sources:
        raise NodeInputError("The vector store has no documents: connect a document loader to its 'document'.")
    if not all(isinstance(source, Source) for source in sources):
        raise NodeInputError("What is connected as a document is none: choose the loader's output 'document'.")
    return sources


NODES = (
    NodeType(MEMORY, run_memory, upsert=upsert_memory),
    NodeType(FAISS, run_memory, upsert=upsert_memory),
    *(NodeType(vendor.spec, run_vendor(vendor), upsert=upsert_vendor(vendor)) for vendor in VENDORS),
)
