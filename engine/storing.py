"""What is done with a document store, as small flows: read documents, store them, find them, take them away.

A loader and a splitter, an embedding model, a vector store and a record manager are the nodes that a flow would have;
so they run by the same code, with the same credentials and under the same rules.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Literal
from uuid import uuid4

from engine.context import NodeContext, RunRequest, World
from engine.document_stores import Collection, Component
from engine.documents import FunctionSource, Source, load_all
from engine.errors import FlowError, NodeInputError
from engine.flow import Flow, parse_flow
from engine.parts import run_part
from engine.providers.base import Document, Retriever
from engine.records import RecordManager
from engine.registry import Registry
from engine.spec import Inputs, NodeResult, NodeRun, NodeType
from engine.vectors import EmbeddedStore

Role = Literal["loader", "splitter", "embedding", "vector_store", "record_manager"]

LOADER, SPLITTER = "loader_0", "splitter_0"
STORE, EMBEDDING, RECORDS = "vectorStore_0", "embeddings_0", "recordManager_0"
OF_SEARCHES = frozenset({"topK", "searchType", "fetchK", "lambda"})
CATEGORIES: Mapping[Role, str] = {
    "loader": "Document Loaders",
    "splitter": "Text Splitters",
    "embedding": "Embeddings",
    "vector_store": "Vector Stores",
    "record_manager": "Record Manager",
}
WORDS: Mapping[Role, str] = {
    "loader": "document loader",
    "splitter": "text splitter",
    "embedding": "embedding model",
    "vector_store": "vector store",
    "record_manager": "record manager",
}


def place_of(collection: Collection) -> str:
    """A short text that changes with where documents are and what embeds them, not with how they are searched."""
    store, embedding = collection.vector_store, collection.embedding
    kept = {name: value for name, value in store.inputs.items() if not _is_of_searches(name)}
    said = json.dumps([store.name, kept, embedding.name, embedding.inputs], sort_keys=True, default=str)
    return sha256(said.encode()).hexdigest()[:16]


def _is_of_searches(name: str) -> bool:
    return name in OF_SEARCHES or name.lower().endswith("filter")


def candidates(registry: Registry, role: Role) -> dict[str, NodeType]:
    """The node types that can play a role in a document store, by name."""
    found = {t.spec.name: t for t in registry if t.spec.category == CATEGORIES[role]}
    if role == "loader":
        found.pop("documentStore", None)  # a store that reads a store would be filled by what it is to fill
    if role == "vector_store":
        # One in memory would be empty in every other process; one without a record manager could not be emptied.
        found = {name: t for name, t in found.items() if t.upsert is not None and t.spec.param("recordManager")}
    return found


def check_role(registry: Registry, role: Role, name: str) -> None:
    """Raises FlowError, naming those that can, if no node type of this name can play the role."""
    known = candidates(registry, role)
    if name not in known:
        raise FlowError(f"There is no {WORDS[role]} {name[:80]!r} for document stores here; known: {', '.join(known)}.")


async def read_documents(
    loader: Component, splitter: Component | None, world: World, *, registry: Registry, store_id: str
) -> list[Document]:
    """What the loader reads, cut up by the splitter. Raises FlowError, NodeError if something cannot be read."""
    parts = [_node(LOADER, loader, **({"textSplitter": SPLITTER} if splitter else {}))]
    if splitter:
        parts.append(_node(SPLITTER, splitter))
    read: list[Document] = []

    def ending(run: NodeRun) -> NodeRun:
        async def load(ctx: NodeContext, inputs: Inputs) -> NodeResult:
            source = (await run(ctx, inputs)).value
            if not isinstance(source, Source):
                raise NodeInputError("What it gives are no documents.")
            read.extend(await load_all([source]))
            return NodeResult()

        return load

    await _run(_flow(parts), world, registry, LOADER, store_id, ending)
    return read


async def store_documents(
    collection: Collection, documents: Sequence[Document], world: World, *, registry: Registry, store_id: str
) -> Mapping[str, Any]:
    """Embed the documents and keep them; returns what `run_upsert` does. Raises FlowError, NodeError."""
    node_type = candidates(registry, "vector_store").get(collection.vector_store.name)
    if node_type is None or node_type.upsert is None:
        raise FlowError(f"{collection.vector_store.name!r} is no vector store for document stores: choose another one.")
    upsert = node_type.upsert

    async def given() -> list[Document]:
        return list(documents)

    async def store(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return await upsert(ctx, {**inputs, "document": FunctionSource(store_id, given)})

    return await _run(_flow(_nodes(collection)), world, registry, STORE, store_id, lambda _: store)


async def find_documents(
    collection: Collection, query: str, world: World, *, registry: Registry, store_id: str
) -> list[Document]:
    """What a flow would find for the query, in its order. Raises FlowError, NodeError."""
    found: list[Document] = []

    def ending(run: NodeRun) -> NodeRun:
        async def find(ctx: NodeContext, inputs: Inputs) -> NodeResult:
            retriever = (await run(ctx, inputs)).value
            assert isinstance(retriever, Retriever), "a vector store was chosen"
            found.extend(await retriever.retrieve(query))
            return NodeResult()

        return find

    await _run(_flow(_nodes(collection)), world, registry, STORE, store_id, ending)
    return found


async def remove_documents(
    collection: Collection,
    is_gone: Callable[[str, str], bool],
    world: World,
    *,
    registry: Registry,
    store_id: str,
) -> int:
    """Take away the documents of whose id and source `is_gone` is true; returns how many there were.

    Only what the record manager remembers is there to be taken away. Raises FlowError, NodeError.
    """
    removed = 0

    def ending(run: NodeRun) -> NodeRun:
        async def remove(ctx: NodeContext, inputs: Inputs) -> NodeResult:
            nonlocal removed
            store, manager = (await run(ctx, inputs)).value, inputs.get("recordManager")
            assert isinstance(store, EmbeddedStore), "a vector store was chosen"
            assert isinstance(manager, RecordManager), "a document store has one"
            known = await manager.records.known(manager.namespace)
            gone = [record for record, source in known.items() if is_gone(record, source)]
            if gone:
                await store.delete(gone)
                await manager.records.forget(manager.namespace, gone)
            removed = len(gone)
            return NodeResult()

        return remove

    await _run(_flow(_nodes(collection, output="vectorStore")), world, registry, STORE, store_id, ending)
    return removed


def searched_for(collection: Collection, top_k: int) -> Collection:
    """The same, with another number of documents to be found."""
    store = collection.vector_store
    return replace(collection, vector_store=replace(store, inputs={**store.inputs, "topK": top_k}))


async def _run(
    flow: Flow, world: World, registry: Registry, node_id: str, store_id: str, ending: Callable[[NodeRun], NodeRun]
) -> Mapping[str, Any]:
    node_type = registry.get(flow.nodes[node_id].name)
    if node_type is None:
        raise FlowError(f"{flow.nodes[node_id].name!r} is not installed here: choose another one.")
    chat_id = str(uuid4())
    request = RunRequest("", chat_id=chat_id, session_id=chat_id, chatflow_id=store_id)
    return await run_part(flow, request, world, registry=registry, node_id=node_id, ending=ending(node_type.run))


def _nodes(collection: Collection, *, output: str = "retriever") -> list[dict[str, Any]]:
    wires = {"embeddings": EMBEDDING, **({"recordManager": RECORDS} if collection.records else {})}
    store = _node(STORE, collection.vector_store, **wires)
    store["data"]["outputs"] = {"output": output}
    nodes = [store, _node(EMBEDDING, collection.embedding)]
    return [*nodes, _node(RECORDS, collection.records)] if collection.records else nodes


def _node(node_id: str, component: Component, **wires: str) -> dict[str, Any]:
    """As the editor keeps a node; `wires` leads from its anchors to other nodes."""
    inputs = {**component.inputs, **{anchor: f"{{{{{source}.data.instance}}}}" for anchor, source in wires.items()}}
    credential = inputs.get("credential") or inputs.get("FLOWISE_CREDENTIAL_ID") or ""
    own = {"id": node_id, "name": component.name, "label": component.name, "inputs": inputs, "credential": credential}
    return {"id": node_id, "type": "customNode", "data": own}


def _flow(nodes: list[dict[str, Any]]) -> Flow:
    return parse_flow(json.dumps({"nodes": nodes, "edges": []}))
