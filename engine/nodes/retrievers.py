"""Retrievers: other ways to find documents than by likeness to the question alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.context import NodeContext
from engine.documents import documents_text
from engine.errors import NodeInputError
from engine.nodes import values
from engine.nodes.finding import BASE, OUTPUTS, QUERY, at_output
from engine.nodes.flow_values import flow_view, value_of
from engine.providers.base import ChatModel, Embedder, Retriever, Sourced, VectorStore
from engine.retrieval import (
    Extractor,
    FusedRetriever,
    HypotheticalRetriever,
    LikenessFilter,
    MultiQueryRetriever,
    Search,
    StoreRetriever,
    ThresholdRetriever,
)
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.tools import text_tool, tool_name

FILTERED = (StoreRetriever, ThresholdRetriever)  # those that search a store themselves, so that it can filter
FILTER_BY = "retrieverToolMetadataFilter"
REWORD = (
    "You are an AI language model assistant. Your task is to generate {queryCount} different versions of the given "
    "user question to retrieve relevant documents from a vector database. By generating multiple perspectives on the "
    "user question, your goal is to help the user overcome some of the limitations of distance-based similarity "
    "search. Provide these alternative questions separated by newlines.\n\nOriginal question: {question}"
)
ANSWER = "Please write a passage to answer the question.\nQuestion: {question}\nPassage:"
EXTRACT = (
    "Given the following question and context, extract any part of the context AS IS that is relevant to answer the "
    "question. If none of the context is relevant return NO_OUTPUT.\n\nRemember, DO NOT edit the extracted parts of "
    "the context.\n\n> Question: {question}\n> Context:\n>>>\n{context}\n>>>\nExtracted relevant parts:"
)
HYPOTHESES = {
    "websearch": ANSWER,
    "scifact": "Please write a scientific paper passage to support/refute the claim\nClaim: {question}\nPassage:",
    "arguana": "Please write a counter argument for the passage\nPassage: {question}\nCounter Argument:",
    "trec-covid": "Please write a scientific paper passage to answer the question\nQuestion: {question}\nPassage:",
    "fiqa": "Please write a financial article passage to answer the question\nQuestion: {question}\nPassage:",
    "dbpedia-entity": "Please write a passage to answer the question.\nQuestion: {question}\nPassage:",
    "trec-news": "Please write a news passage about the topic.\nTopic: {question}\nPassage:",
}

STORE = Param("vectorStore", "VectorStore", "Vector Store", help="Where the documents are.")
MODEL = Param("model", "BaseLanguageModel", "Language Model", help="Which model is asked.")


def _spec(name: str, label: str, version: float, help: str, *params: Param) -> NodeSpec:
    return NodeSpec(
        name=name,
        label=label,
        version=version,
        category="Retrievers",
        base_classes=(label.replace(" ", ""), "BaseRetriever"),
        help=help,
        params=params,
        outputs=OUTPUTS,
        role="component",
    )


STORE_RETRIEVER = NodeSpec(
    name="vectorStoreRetriever",
    label="Vector Store Retriever",
    version=1,
    category="Retrievers",
    base_classes=("VectorStoreRetriever", "BaseRetriever"),
    help="A vector store with a name and a description, among which a chain chooses.",
    params=(
        STORE,
        Param("name", "string", "Retriever Name", help="What the documents are."),
        Param("description", "string", "Retriever Description", help="When they are to be looked at."),
    ),
    role="component",
)
THRESHOLD = _spec(
    "similarityThresholdRetriever",
    "Similarity Score Threshold Retriever",
    2,
    "Finds only what is alike enough.",
    STORE,
    QUERY,
    Param("minSimilarityScore", "number", "Minimum Similarity Score (%)", default=80, help="From 0 to 100."),
    Param("maxK", "number", "Max K", default=20, optional=True, help="How many documents are found at most."),
    Param("kIncrement", "number", "K Increment", default=2, optional=True, help="Not used: all are found at once."),
)
MULTI_QUERY = _spec(
    "multiQueryRetriever",
    "Multi Query Retriever",
    1,
    "Has a model put the question in other words, and finds documents for each.",
    Param("vectorStore", "VectorStore", "Vector Store", help="Where the documents are."),
    MODEL,
    Param("modelPrompt", "string", "Prompt", default=REWORD, optional=True, help="With {question} and {queryCount}."),
    Param("queryCount", "number", "Query count", default=3, optional=True, help="In how many other words."),
)
FILTER = _spec(
    "embeddingsFilterRetriever",
    "Embeddings Filter Retriever",
    1,
    "Leaves out what is not alike enough by another model.",
    BASE,
    Param("embeddings", "Embeddings", "Embeddings", help="Which model compares."),
    QUERY,
    Param("similarityThreshold", "number", "Similarity Threshold", default=0.8, optional=True, help="From 0 to 1."),
    Param("k", "number", "K", default=20, optional=True, help="How many documents are kept at most."),
)
EXTRACTOR = _spec(
    "llmFilterRetriever",
    "LLM Filter Retriever",
    1,
    "Has a model keep only what bears on the question.",
    BASE,
    MODEL,
    QUERY,
)
HYDE = _spec(
    "HydeRetriever",
    "HyDE Retriever",
    3,
    "Has a model answer first, and finds documents like that answer.",
    MODEL,
    STORE,
    QUERY,
    Param(
        "promptKey",
        "options",
        "Select Defined Prompt",
        default="websearch",
        options=tuple(HYPOTHESES),
        help="How the model is asked.",
    ),
    Param("customPrompt", "string", "Custom Prompt", optional=True, help="Instead; with {question}."),
    Param("topK", "number", "Top K", optional=True, help="How many documents are found."),
)
FUSION = _spec(
    "RRFRetriever",
    "Reciprocal Rank Fusion Retriever",
    1,
    "Puts the question in other words and ranks what all of them find together.",
    BASE,
    MODEL,
    QUERY,
    Param("queryCount", "number", "Query Count", default=4, optional=True, help="In how many other words."),
    Param("topK", "number", "Top K", optional=True, help="How many documents are kept."),
    Param("c", "number", "Constant", default=60, optional=True, help="Higher: lower ranks count for more."),
)
TOOL = NodeSpec(
    name="retrieverTool",
    label="Retriever Tool",
    version=3,
    category="Tools",
    base_classes=("RetrieverTool", "DynamicTool", "Tool", "StructuredTool", "Runnable"),
    help="Lets an agent look something up.",
    params=(
        Param("name", "string", "Retriever Name", help="Its name for the model."),
        Param("description", "string", "Retriever Description", help="When the model is to use it."),
        Param("retriever", "BaseRetriever", "Retriever", help="What finds the documents."),
        Param(
            "returnSourceDocuments", "boolean", "Return Source Documents", optional=True, help="Show what was found."
        ),
        Param(
            FILTER_BY,
            "json",
            "Additional Metadata Filter",
            optional=True,
            help='What the documents\' metadata must hold as well: {"owner": "$flow.sessionId"}.',
        ),
    ),
    role="component",
)


async def run_store_retriever(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A retriever that a chain can choose by its description."""
    name, description = values.text(inputs, "name"), values.text(inputs, "description")
    return NodeResult(value=StoreRetriever(_store(inputs), name=name, description=description))


async def run_threshold(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError for a score that is no percentage."""
    percent = values.number(inputs, "minSimilarityScore")
    percent = 80.0 if percent is None else percent
    if not 0 <= percent <= 100:
        raise NodeInputError(f"minSimilarityScore must be from 0 to 100, not {percent:g}.")
    return await at_output(
        ctx, inputs, ThresholdRetriever(_store(inputs), percent / 100, Search(_count(inputs, "maxK", 20)))
    )


async def run_multi_query(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is asked until something is looked for."""
    prompt = values.text(inputs, "modelPrompt", REWORD)
    retriever = StoreRetriever(_store(inputs))
    return await at_output(
        ctx, inputs, MultiQueryRetriever(_model(inputs), retriever, prompt, _count(inputs, "queryCount", 3))
    )


async def run_filter(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is asked until something is looked for."""
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    embedder = values.connected(inputs, "embeddings", Embedder, "A filter needs embeddings")  # type: ignore[type-abstract]
    least = values.number(inputs, "similarityThreshold")
    found = LikenessFilter(_base(inputs), embedder, 0.0 if least is None else least, _count(inputs, "k", 20))
    return await at_output(ctx, inputs, found)


async def run_extractor(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is asked until something is looked for."""
    return await at_output(ctx, inputs, Extractor(_base(inputs), _model(inputs), EXTRACT))


async def run_hyde(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is asked until something is looked for. Raises NodeInputError for a prompt that is not known."""
    key = values.text(inputs, "promptKey", "websearch")
    if key not in HYPOTHESES:
        raise NodeInputError(f"There is no prompt {key!r} under 'promptKey': choose one of {', '.join(HYPOTHESES)}.")
    prompt = values.text(inputs, "customPrompt") or HYPOTHESES[key]
    retriever = StoreRetriever(_store(inputs), Search(_count(inputs, "topK", 4)))
    return await at_output(ctx, inputs, HypotheticalRetriever(_model(inputs), retriever, prompt))


async def run_fusion(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is asked until something is looked for."""
    smoothing = values.number(inputs, "c")
    retriever = FusedRetriever(
        _model(inputs),
        _base(inputs),
        REWORD,
        count=_count(inputs, "queryCount", 4),
        most=_count(inputs, "topK", 4),
        smoothing=60.0 if smoothing is None or smoothing <= 0 else smoothing,
    )
    return await at_output(ctx, inputs, retriever)


async def run_tool(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A tool that looks its input up. What it found is shown to people if the author wants that.

    Raises NodeInputError for a filter that is no JSON object, or that the retriever cannot heed.
    """
    retriever = values.connected(inputs, "retriever", Retriever, "A Retriever Tool needs a retriever")  # type: ignore[type-abstract]
    shows, required = values.flag(inputs, "returnSourceDocuments"), values.mapping(inputs, FILTER_BY)
    if required and not isinstance(retriever, FILTERED):
        raise NodeInputError(
            f"What is connected to the Retriever Tool cannot be filtered: clear {FILTER_BY!r}, and filter in "
            "the vector store itself."
        )

    async def look_up(query: str) -> str:
        documents = await _narrowed(ctx, retriever, required).retrieve(query)
        return Sourced(documents_text(documents), documents if shows else ())

    name = tool_name(values.text(inputs, "name", "retriever"))
    return NodeResult(value=text_tool(name, values.text(inputs, "description"), look_up))


def _narrowed(ctx: NodeContext, retriever: Retriever, required: Mapping[str, Any]) -> Retriever:
    """The retriever with a filter more. Its values are read at each call: agents change the state in between."""
    if not required or not isinstance(retriever, FILTERED):
        return retriever
    view = flow_view(ctx)
    where = {name: value_of(ctx, value, view) for name, value in required.items()}
    # A filter that is left out shows the documents of others.
    if missing := [name for name, value in where.items() if value is None]:
        raise NodeInputError(f"The metadata filter has no value for {', '.join(missing)} in this run.")
    return replace(retriever, search=replace(retriever.search, where={**retriever.search.where, **where}))


def _store(inputs: Inputs) -> VectorStore:
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    return values.connected(
        inputs,
        "vectorStore",
        VectorStore,  # type: ignore[type-abstract]
        "A retriever needs a vector store, at its output 'Vector Store'",
    )


def _base(inputs: Inputs) -> Retriever:
    return values.connected(inputs, "baseRetriever", Retriever, "A retriever needs another one")  # type: ignore[type-abstract]


def _model(inputs: Inputs) -> ChatModel:
    return values.connected(inputs, "model", ChatModel, "A retriever needs a model")  # type: ignore[type-abstract]


def _count(inputs: Inputs, name: str, usual: int) -> int:
    count = values.integer(inputs, name)
    if count is None:
        return usual
    if not 0 < count <= 1000:
        raise NodeInputError(f"{name} must be from 1 to 1000, not {count}.")
    return count


NODES = (
    NodeType(STORE_RETRIEVER, run_store_retriever),
    NodeType(THRESHOLD, run_threshold),
    NodeType(MULTI_QUERY, run_multi_query),
    NodeType(FILTER, run_filter),
    NodeType(EXTRACTOR, run_extractor),
    NodeType(HYDE, run_hyde),
    NodeType(FUSION, run_fusion),
    NodeType(TOOL, run_tool),
)
