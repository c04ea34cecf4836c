"""What all retrievers share: their params, and what they give at each of their outputs."""

from __future__ import annotations

from engine.context import NodeContext
from engine.documents import documents_text, wire
from engine.nodes import values
from engine.providers.base import Retriever
from engine.spec import Inputs, NodeResult, Param

RETRIEVER = "retriever"
OUTPUTS = (RETRIEVER, "document", "text")
BASE = Param("baseRetriever", "VectorStoreRetriever", "Vector Store Retriever", help="What finds the documents.")
QUERY = Param(
    "query", "string", "Query", optional=True, variables=True, help="What is looked for; the question unless given."
)


async def at_output(ctx: NodeContext, inputs: Inputs, retriever: Retriever) -> NodeResult:
    """The retriever; or, at another output, what it finds for the query."""
    if ctx.node.output in ("", RETRIEVER):
        return NodeResult(value=retriever)
    documents = await retriever.retrieve(values.text(inputs, "query", ctx.request.question))
    if ctx.node.output == "text":
        return NodeResult(value=documents_text(documents))
    return NodeResult(value=[wire(document) for document in documents])
