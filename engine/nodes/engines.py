"""Engines: chats and queries over documents, as flows have them that were drawn with LlamaIndex's nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from engine.answering import (
    REFINE,
    SUMMARY,
    TEXT_QA,
    Answered,
    Answerer,
    Ask,
    QueryEngine,
    Refining,
    RetrievalChain,
    Stuffing,
    Summarizing,
    Synthesizer,
    silently,
)
from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.memories import Memory
from engine.nodes import values
from engine.nodes.asking import aloud, ask
from engine.nodes.questions import question_messages
from engine.prompts import Prompt
from engine.providers.base import ChatModel, Document, Message, Retriever, Sourced, ToolSpec
from engine.retrieval import StoreRetriever, distinct
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.tools import tool_name

MOST_QUESTIONS = 10
ONE_TEXT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
CONTEXT = "Context information is below.\n---------------------\n{context}\n---------------------"
DIVIDE = (
    "Given a user question and a list of tools, output a list of relevant sub-questions that, when answered, answer "
    "the user question together; each is put to one of the tools. Answer with a JSON list and nothing else: "
    '[{{"subQuestion": "the question", "toolName": "the tool"}}].\n\nTools:\n{tools}\n\nUser question: {question}'
)

MODEL = Param("model", "BaseChatModel_LlamaIndex", "Chat Model", help="Which model is asked.")
MEMORY = Param("memory", "BaseChatMemory", "Memory", help="What it remembers.")
RETRIEVER = Param(
    "vectorStoreRetriever", "VectorIndexRetriever", "Vector Store Retriever", help="What finds documents."
)
SOURCES = Param(
    "returnSourceDocuments", "boolean", "Return Source Documents", optional=True, help="Show what was found."
)
SYSTEM = Param("systemMessagePrompt", "string", "System Message", optional=True, help="Who it is to be.")
SYNTHESIZER = Param(
    "responseSynthesizer",
    "ResponseSynthesizer",
    "Response Synthesizer",
    optional=True,
    help="How one answer is made of several documents.",
)
QA_PROMPT = Param(
    "textQAPrompt", "string", "Text QA Prompt", default=TEXT_QA, optional=True, help="With {context}, {query}."
)
REFINE_PROMPT = Param(
    "refinePrompt", "string", "Refine Prompt", default=REFINE, optional=True, help="With {existingAnswer} as well."
)


def _engine(name: str, label: str, version: float, help: str, *params: Param, is_query: bool = False) -> NodeSpec:
    kind = f"{name[0].upper()}{name[1:]}"
    return NodeSpec(
        name=name,
        label=label,
        version=version,
        category="Engine",
        base_classes=(kind, "BaseQueryEngine") if is_query else (kind,),
        help=help,
        params=params,
        role="ending",
    )


def _synthesizer(name: str, label: str, help: str, *params: Param) -> NodeSpec:
    return NodeSpec(
        name=name,
        label=label,
        version=1,
        category="Response Synthesizer",
        base_classes=(label.replace(" ", ""), "ResponseSynthesizer"),
        help=help,
        params=params,
        role="component",
    )


SIMPLE_CHAT = _engine(
    "simpleChatEngine",
    "Simple Chat Engine",
    1,
    "Talks with somebody and remembers what was said.",
    MODEL,
    MEMORY,
    SYSTEM,
)
CONTEXT_CHAT = _engine(
    "contextChatEngine",
    "Context Chat Engine",
    1,
    "Answers from documents, and remembers what was said.",
    MODEL,
    RETRIEVER,
    MEMORY,
    SOURCES,
    SYSTEM,
)
QUERY = _engine(
    "queryEngine", "Query Engine", 2, "Answers from documents.", RETRIEVER, SYNTHESIZER, SOURCES, is_query=True
)
SUB_QUESTION = _engine(
    "subQuestionQueryEngine",
    "Sub Question Query Engine",
    2,
    "Divides a question into several, has tools answer them, and makes one answer of theirs.",
    Param("queryEngineTools", "QueryEngineTool", "QueryEngine Tools", is_list=True, help="What answers the parts."),
    MODEL,
    Param("embeddings", "BaseEmbedding_LlamaIndex", "Embeddings", optional=True, help="Not used here."),
    SYNTHESIZER,
    SOURCES,
    is_query=True,
)
TOOL = NodeSpec(
    name="queryEngineToolLlamaIndex",
    label="QueryEngine Tool",
    version=2,
    category="Tools",
    base_classes=("QueryEngineTool", "Tool"),
    help="Lets an agent or another engine ask an engine.",
    params=(
        Param("baseQueryEngine", "BaseQueryEngine", "Base QueryEngine", help="Which engine is asked."),
        Param("toolName", "string", "Tool Name", help="Its name for the model."),
        Param("toolDesc", "string", "Tool Description", help="When the model is to use it."),
    ),
    role="component",
)
COMPACT_REFINE = _synthesizer(
    "compactrefineLlamaIndex",
    "Compact and Refine",
    "Answers from as many documents as fit, then refines the answer with the next.",
    REFINE_PROMPT,
    QA_PROMPT,
)
REFINING = _synthesizer(
    "refineLlamaIndex",
    "Refine",
    "Answers from the first document, then refines it with each next.",
    REFINE_PROMPT,
    QA_PROMPT,
)
TREE = _synthesizer(
    "treeSummarizeLlamaIndex",
    "TreeSummarize",
    "Answers from each part, then makes one answer of the answers.",
    Param("prompt", "string", "Prompt", default=SUMMARY, optional=True, help="With {context} and {query}."),
)
SIMPLE = _synthesizer("simpleResponseBuilderLlamaIndex", "Simple Response Builder", "Answers once, from what fits.")


@dataclass(slots=True)
class EngineTool:
    """An engine with a name and a description: what other engines divide questions among. Implements `Tool` as well."""

    spec: ToolSpec
    engine: Answerer
    return_direct: bool = False

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """See `Tool.call`."""
        answered = await self.engine.answer(str(arguments.get("input", "")))
        return Sourced(answered.text, answered.documents)


@dataclass(frozen=True, slots=True)
class SubQuestions:
    """Divides a question among tools and makes one answer of theirs; implements `Answerer`."""

    model: ChatModel
    tools: dict[str, EngineTool]
    synthesizer: Synthesizer

    async def answer(self, question: str, ask: Ask = silently) -> Answered:
        """See `Answerer.answer`."""
        told = await silently(self.model, self._asked(question))
        usage, texts, documents = told.usage, [], list[Document]()
        for part, tool in _parts(told.text, self.tools) or [(question, tool) for tool in self.tools.values()]:
            answered = await tool.engine.answer(part)
            usage += answered.usage
            texts.append(f"Sub question: {part}\nResponse: {answered.text}")
            documents += answered.documents
        last = await self.synthesizer.synthesize(self.model, question, texts, ask)
        return Answered(last.text, distinct(documents), usage + last.usage)

    def _asked(self, question: str) -> list[Message]:
        known = orjson.dumps({name: tool.spec.description for name, tool in self.tools.items()}).decode()
        return Prompt((("user", DIVIDE),), {"question": question, "tools": known}).fill(question)


async def run_simple_chat(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Ask the model with the conversation so far between the system message and the question."""
    memory = values.connected(inputs, "memory", Memory, "A chat engine needs a memory")
    messages = await question_messages(ctx, system=values.text(inputs, "systemMessagePrompt"), memory=memory)
    told = await ask(ctx, _model(inputs), messages)
    return Answered(told.text, (), told.usage).result(shows_sources=False)


async def run_context_chat(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Look the question up, and answer within the conversation."""
    memory = values.connected(inputs, "memory", Memory, "A chat engine needs a memory")
    system = "\n\n".join(filter(None, (values.text(inputs, "systemMessagePrompt"), CONTEXT)))
    chain = RetrievalChain(_retriever(inputs), _model(inputs), system)
    question = ctx.request.question
    answered = await chain.answer_within(await memory.load(), question, question, aloud(ctx))
    return answered.result(shows_sources=values.flag(inputs, "returnSourceDocuments"))


async def run_query(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Answer from what the question finds; or hand on the engine, if this is not where the flow ends.

    Raises NodeInputError for a retriever without a model.
    """
    retriever = _retriever(inputs)
    model = retriever.model if isinstance(retriever, StoreRetriever) else None
    if model is None:
        raise NodeInputError("A Query Engine needs a retriever with a chat model: a LlamaIndex vector store has one.")
    return await _run(ctx, inputs, QueryEngine(retriever, model, _chosen(inputs)))


async def run_sub_question(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Divide the question and answer it; or hand on the engine. Raises NodeInputError without tools."""
    given = inputs.get("queryEngineTools") or ()
    tools = [tool for tool in (given if isinstance(given, list | tuple) else (given,)) if tool]
    if not tools or not all(isinstance(tool, EngineTool) for tool in tools):
        raise NodeInputError("A Sub Question Query Engine needs QueryEngine Tools: connect them to 'queryEngineTools'.")
    engine = SubQuestions(_model(inputs), {tool.spec.name: tool for tool in tools}, _chosen(inputs))
    return await _run(ctx, inputs, engine)


async def run_tool(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Name an engine for those that are to choose it."""
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    engine = values.connected(inputs, "baseQueryEngine", Answerer, "A tool needs an engine")  # type: ignore[type-abstract]
    name = tool_name(values.text(inputs, "toolName", "query_engine"))
    return NodeResult(value=EngineTool(ToolSpec(name, values.text(inputs, "toolDesc"), ONE_TEXT), engine))


async def run_refine(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """One document after the other, or as many at once as fit."""
    is_compact = ctx.node.name != REFINING.name
    prompts = values.text(inputs, "textQAPrompt", TEXT_QA), values.text(inputs, "refinePrompt", REFINE)
    return NodeResult(value=Refining(*prompts, is_compact))


async def run_tree(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """In parts, then the answers to the parts."""
    return NodeResult(value=Summarizing(values.text(inputs, "prompt", SUMMARY)))


async def run_simple(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Once."""
    return NodeResult(value=Stuffing())


async def _run(ctx: NodeContext, inputs: Inputs, engine: Answerer) -> NodeResult:
    if not ctx.is_last:
        return NodeResult(value=engine)
    answered = await engine.answer(ctx.request.question, aloud(ctx))
    return answered.result(shows_sources=values.flag(inputs, "returnSourceDocuments"))


def _parts(said: str, tools: dict[str, EngineTool]) -> list[tuple[str, EngineTool]]:
    """What to ask of which tool; empty if the model did not keep to the form."""
    try:
        items = orjson.loads(said[said.find("[") : said.rfind("]") + 1])
    except ValueError:
        return []
    pairs = ((item.get("subQuestion"), item.get("toolName")) for item in items if isinstance(item, dict))
    named = ((part, str(name)) for part, name in pairs if part)
    return [(str(part), tools[name]) for part, name in named if name in tools][:MOST_QUESTIONS]


def _chosen(inputs: Inputs) -> Synthesizer:
    given = inputs.get("responseSynthesizer")
    if given and not isinstance(given, Synthesizer):
        raise NodeInputError("What is connected as a response synthesizer is none.")
    return given or Refining()


def _retriever(inputs: Inputs) -> Retriever:
    return values.connected(inputs, "vectorStoreRetriever", Retriever, "An engine needs a retriever")  # type: ignore[type-abstract]


def _model(inputs: Inputs) -> ChatModel:
    return values.connected(inputs, "model", ChatModel, "An engine needs a chat model")  # type: ignore[type-abstract]


NODES = (
    NodeType(SIMPLE_CHAT, run_simple_chat),
    NodeType(CONTEXT_CHAT, run_context_chat),
    NodeType(QUERY, run_query),
    NodeType(SUB_QUESTION, run_sub_question),
    NodeType(TOOL, run_tool),
    NodeType(COMPACT_REFINE, run_refine),
    NodeType(REFINING, run_refine),
    NodeType(TREE, run_tree),
    NodeType(SIMPLE, run_simple),
)
