"""What agents know beside their tools: collections of documents that they may look things up in."""

from __future__ import annotations

from engine.context import NodeContext
from engine.document_stores import Collection, Component, open_collection, open_store
from engine.documents import documents_text
from engine.errors import NodeInputError
from engine.nodes import values
from engine.providers.base import Retriever, Sourced, Tool
from engine.spec import Inputs, Param
from engine.tools import text_tool, tool_name

STORES, COLLECTIONS = "agentKnowledgeDocumentStores", "agentKnowledgeVSEmbeddings"
SHOWS_SOURCES = Param(
    "returnSourceDocuments", "boolean", "Return Source Documents", optional=True, help="Show people what was found."
)
PARAMS = (
    Param(
        STORES,
        "array",
        "Knowledge (Document Stores)",
        optional=True,
        help="What it may look things up in.",
        fields=(
            Param("documentStore", "asyncOptions", "Document Store", help="Which store."),
            Param("docStoreDescription", "string", "Describe Knowledge", optional=True, help="What it holds."),
            SHOWS_SOURCES,
        ),
    ),
    Param(
        COLLECTIONS,
        "array",
        "Knowledge (Vector Embeddings)",
        optional=True,
        help="What it may look things up in.",
        fields=(
            Param("vectorStore", "asyncOptions", "Vector Store", help="Which database."),
            Param("embeddingModel", "asyncOptions", "Embedding Model", help="What makes vectors of texts."),
            Param("knowledgeName", "string", "Knowledge Name", help="Its name for the model."),
            Param("knowledgeDescription", "string", "Describe Knowledge", optional=True, help="What it holds."),
            SHOWS_SOURCES,
        ),
    ),
)


async def tools(ctx: NodeContext, inputs: Inputs) -> list[Tool]:
    """A tool for each collection that it may look things up in. Raises NodeInputError for one that is not there."""
    made: list[Tool] = []
    for row in values.items(inputs, STORES):
        if reference := values.text(row, "documentStore"):
            retriever = await open_store(ctx, reference)
            name = reference.partition(":")[2] or reference
            made.append(_look_up(row, retriever, name, values.text(row, "docStoreDescription")))
    for row in values.items(inputs, COLLECTIONS):
        if store := values.text(row, "vectorStore"):
            name = values.text(row, "knowledgeName", "knowledge")
            retriever = await _collection(ctx, row, store)
            made.append(_look_up(row, retriever, name, values.text(row, "knowledgeDescription")))
    return made


def _look_up(row: Inputs, retriever: Retriever, name: str, description: str) -> Tool:
    shows_sources = values.flag(row, SHOWS_SOURCES.name)

    async def look_up(query: str) -> str:
        documents = await retriever.retrieve(query)
        return Sourced(documents_text(documents), documents if shows_sources else ())

    return text_tool(tool_name(name), description or f"Looks things up in {name}.", look_up)


async def _collection(ctx: NodeContext, row: Inputs, store: str) -> Retriever:
    model = values.text(row, "embeddingModel")
    if not model:
        raise NodeInputError(
            f"The knowledge in {store!r} has no embedding model: choose the one that it was stored by."
        )
    collection = Collection(
        Component(store, values.mapping(row, "vectorStoreConfig")),
        Component(model, values.mapping(row, "embeddingModelConfig")),
    )
    return await open_collection(ctx, collection)
