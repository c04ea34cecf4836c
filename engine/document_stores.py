"""Document stores: knowledge that the flows of a workspace share, by where it is kept and how it is looked up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import NodeInputError
from engine.providers.base import Document, Retriever

if TYPE_CHECKING:
    from engine.context import NodeContext


@dataclass(frozen=True, slots=True)
class Component:
    """A node type, and its inputs as the editor keeps them."""

    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Collection:
    """Where embedded documents are, and which model embedded them. `records` says what was stored before."""

    vector_store: Component
    embedding: Component
    records: Component | None = None


@dataclass(frozen=True, slots=True)
class KnownStore:
    """A document store that can be asked."""

    id: str
    name: str
    collection: Collection


class DocumentStores(Protocol):
    """The document stores of the flow's workspace. Flows name them `<id>:<name>`, or by their ids alone."""

    async def find(self, reference: str) -> KnownStore:
        """Raises NodeInputError if the workspace has no such store, or nothing has been upserted to it yet."""
        ...

    async def chunks(self, reference: str) -> Sequence[Document]:
        """What its loaders have read, as it is kept before any of it is embedded. Raises NodeInputError likewise."""
        ...


class NoDocumentStores:
    """Where there are none."""

    async def find(self, reference: str) -> KnownStore:
        """See `DocumentStores.find`."""
        raise NodeInputError(
            f"It looks things up in the document store {shown(reference)}, and there are no document stores here: run "
            "the flow in a workspace that has it, or use a vector store with an embedding model."
        )

    async def chunks(self, reference: str) -> Sequence[Document]:
        """See `DocumentStores.chunks`."""
        raise NodeInputError(f"There are no document stores here, and so not {shown(reference)}: load the documents.")


def store_id(reference: str) -> str:
    """The id in a reference."""
    return reference.partition(":")[0]


def shown(reference: str) -> str:
    """What a message calls the store: its name, or its id where the flow has nothing else."""
    known, _, name = reference.partition(":")
    return repr(name or known)


async def open_store(ctx: NodeContext, reference: str) -> Retriever:
    """What finds things in a store of the workspace. Raises NodeInputError as `DocumentStores.find` does."""
    found = await ctx.world.documents.find(reference)
    return await open_collection(ctx, found.collection)


async def open_collection(ctx: NodeContext, collection: Collection) -> Retriever:
    """Build the embedding model and the vector store. Raises NodeInputError for one that is not here, or is none."""
    embedding, store = collection.embedding, collection.vector_store
    embedder = (await ctx.build(embedding.name, embedding.inputs)).value
    retriever = (await ctx.build(store.name, {**store.inputs, "embeddings": embedder})).value
    if not isinstance(retriever, Retriever):
        raise NodeInputError(f"{store.name!r} is no vector store: choose one.")
    return retriever
