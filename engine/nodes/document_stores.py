"""Document stores in classic flows: looked up as vector stores are, or read as documents."""

from __future__ import annotations

from engine.context import NodeContext
from engine.document_stores import open_store
from engine.documents import FunctionSource
from engine.errors import NodeInputError
from engine.nodes import values
from engine.providers.base import Document
from engine.retrieval import StoreRetriever
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

SELECTED = Param("selectedStore", "asyncOptions", "Select Store", help="Which document store of the workspace.")

LOOK_UP = NodeSpec(
    name="documentStoreVS",
    label="Document Store (Vector)",
    version=1,
    category="Vector Stores",
    base_classes=("DocumentStoreVS", "VectorStoreRetriever", "BaseRetriever"),
    help="Finds documents in a document store of the workspace.",
    params=(SELECTED,),
    outputs=("retriever", "vectorStore"),
    role="component",
)
LOADER = NodeSpec(
    name="documentStore",
    label="Document Store",
    version=1,
    category="Document Loaders",
    base_classes=("Document",),
    help="What the loaders of a document store have read.",
    params=(SELECTED,),
    outputs=("document", "text"),
    role="component",
)


async def run_look_up(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Open the store. Raises NodeInputError if none is chosen, it is not there, or nothing was upserted to it."""
    retriever = await open_store(ctx, _selected(inputs))
    if ctx.node.output != "vectorStore":
        return NodeResult(value=retriever)
    if not isinstance(retriever, StoreRetriever):
        raise NodeInputError("What keeps this document store's documents can be asked as a retriever only.")
    return NodeResult(value=retriever.store)


async def run_loader(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A source of the store's chunks; or, at the output `text`, all of their text."""
    reference = _selected(inputs)

    async def read() -> list[Document]:
        return list(await ctx.world.documents.chunks(reference))

    if ctx.node.output == "text":
        return NodeResult(value="\n".join(document.text for document in await read()))
    return NodeResult(value=FunctionSource(f"{LOADER.name}:{reference}", read))


def _selected(inputs: Inputs) -> str:
    reference = values.text(inputs, SELECTED.name)
    if not reference:
        raise NodeInputError("No document store is chosen: say where to look.")
    return reference


NODES = (NodeType(LOOK_UP, run_look_up), NodeType(LOADER, run_loader))
