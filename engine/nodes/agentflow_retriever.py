"""Retriever nodes of agent flows: look something up in document stores."""

from __future__ import annotations

import orjson

from engine.context import NodeContext
from engine.document_stores import open_store
from engine.documents import documents_text, wire
from engine.errors import NodeInputError
from engine.nodes import conversations, values
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

PREFIX = "retriever"

RETRIEVER = NodeSpec(
    name="retrieverAgentflow",
    label="Retriever",
    version=1.1,
    category="Agent Flows",
    base_classes=("Retriever",),
    help="Looks something up in document stores.",
    params=(
        Param(
            "retrieverKnowledgeDocumentStores",
            "array",
            "Knowledge (Document Stores)",
            help="Where it is looked up.",
            fields=(Param("documentStore", "asyncOptions", "Document Store", help="Which store."),),
        ),
        Param("retrieverQuery", "string", "Query", optional=True, variables=True, help="What is looked up."),
        Param(
            "outputFormat",
            "options",
            "Output Format",
            default="text",
            optional=True,
            options=("text", "textWithMetadata"),
            help="Texts alone, or JSON with what is known of them.",
        ),
        conversations.state_param(PREFIX),
    ),
)


async def run_retriever(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """What the stores find, store by store. Raises NodeInputError for one that is not there, or if none is chosen."""
    rows = values.items(inputs, "retrieverKnowledgeDocumentStores")
    references = [reference for row in rows if (reference := values.text(row, "documentStore"))]
    if not references:
        raise NodeInputError("No document store is chosen: say where to look.")
    query = values.text(inputs, "retrieverQuery", ctx.request.question)
    found = [
        document for reference in references for document in await (await open_store(ctx, reference)).retrieve(query)
    ]
    with_metadata = values.text(inputs, "outputFormat") == "textWithMetadata"
    content = orjson.dumps([wire(document) for document in found]).decode() if with_metadata else documents_text(found)
    if content and ctx.streams:
        ctx.emit_token(content)
    return NodeResult(output={"content": content}, state=conversations.state_updates(inputs, PREFIX))


NODES = (NodeType(RETRIEVER, run_retriever),)
