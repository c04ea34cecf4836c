"""Chains and agents that answer from documents."""

from __future__ import annotations

from collections.abc import Sequence

from engine.answering import Answered, Ask, RetrievalChain, silently
from engine.context import NodeContext
from engine.documents import documents_text
from engine.errors import NodeInputError
from engine.memories import Memory
from engine.moderation import MODERATION, moderated
from engine.nodes import values
from engine.nodes.agent_loop import FunctionCalling, named_tools, run_agent
from engine.nodes.asking import ask
from engine.nodes.questions import transcript, with_images
from engine.parsers import read_choice
from engine.prompts import Prompt
from engine.providers.base import ChatModel, Completion, Message, Retriever, Usage, VectorStore
from engine.retrieval import StoreRetriever
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

MAX_ROUNDS = 15
RESPONSE = (
    "You are a helpful assistant. Using the provided context, answer the user's question to the best of your ability "
    "using the resources provided.\nIf there is nothing in the context relevant to the question at hand, just say "
    "\"Hmm, I'm not sure.\" Don't try to make up an answer.\n------------\n{context}\n------------\nREMEMBER: If there "
    "is no relevant information within the context, just say \"Hmm, I'm not sure.\" Don't try to make up an answer."
)
REPHRASE = (
    "Given the following conversation and a follow up question, rephrase the follow up question to be a standalone "
    "question.\n\nChat History:\n{chat_history}\nFollow Up Input: {question}\nStandalone Question:"
)
STUFF = (
    "Use the following pieces of context to answer the users question. \nIf you don't know the answer, just say that "
    "you don't know, don't try to make up an answer.\n----------------\n{context}"
)
ROUTE = (
    "Given a question, choose what it is best looked up in. Answer with a JSON object and nothing else: "
    '{{"destination": "the name of one of the candidates, or DEFAULT if none fits", "next_inputs": "the question, '
    'reworded if that makes it easier to look up"}}.\n\nCandidates:\n{candidates}\n\nQuestion:\n{question}'
)
NOTHING_FITS = "You are a helpful assistant. Nothing was found to answer the question from."

MODEL = Param("model", "BaseChatModel", "Chat Model", help="Which model is asked.")
ANY_MODEL = Param("model", "BaseLanguageModel", "Language Model", help="Which model is asked.")
RETRIEVER = Param("vectorStoreRetriever", "BaseRetriever", "Vector Store Retriever", help="What finds the documents.")
SOURCES = Param(
    "returnSourceDocuments", "boolean", "Return Source Documents", optional=True, help="Show what was found."
)
REPHRASING = Param(
    "rephrasePrompt",
    "string",
    "Rephrase Prompt",
    default=REPHRASE,
    optional=True,
    help="How a question that needs the conversation becomes one that does not; with {chat_history} and {question}.",
)


def _chain(name: str, label: str, version: float, kind: str, help: str, *params: Param) -> NodeSpec:
    return NodeSpec(
        name=name,
        label=label,
        version=version,
        category="Chains",
        base_classes=(kind, "BaseChain", "Runnable"),
        help=help,
        params=(*params, MODERATION),
        role="ending",
    )


CONVERSATIONAL = _chain(
    "conversationalRetrievalQAChain",
    "Conversational Retrieval QA Chain",
    3,
    "ConversationalRetrievalQAChain",
    "Answers from documents, and remembers what was said.",
    MODEL,
    RETRIEVER,
    Param("memory", "BaseMemory", "Memory", optional=True, help="What it remembers; all unless connected."),
    SOURCES,
    REPHRASING,
    Param(
        "responsePrompt",
        "string",
        "Response Prompt",
        default=RESPONSE,
        optional=True,
        help="Who it is; with {context}.",
    ),
)
RETRIEVAL = _chain(
    "retrievalQAChain",
    "Retrieval QA Chain",
    2,
    "RetrievalQAChain",
    "Answers a question from documents.",
    ANY_MODEL,
    RETRIEVER,
)
VECTOR_DB = _chain(
    "vectorDBQAChain",
    "VectorDB QA Chain",
    2,
    "VectorDBQAChain",
    "Answers a question from a vector store.",
    ANY_MODEL,
    Param("vectorStore", "VectorStore", "Vector Store", help="Where the documents are."),
)
MULTI = _chain(
    "multiRetrievalQAChain",
    "Multi Retrieval QA Chain",
    2,
    "MultiRetrievalQAChain",
    "Chooses among several vector stores, and answers from it.",
    ANY_MODEL,
    Param("vectorStoreRetriever", "VectorStoreRetriever", "Vector Store Retriever", is_list=True, help="The choice."),
    SOURCES,
)
AGENT = NodeSpec(
    name="conversationalRetrievalToolAgent",
    label="Conversational Retrieval Tool Agent",
    version=1,
    category="Agents",
    base_classes=("AgentExecutor", "BaseChain", "Runnable"),
    help="Answers from documents, and lets a model that can call tools use them.",
    params=(
        Param("tools", "Tool", "Tools", is_list=True, help="What it may use."),
        Param("memory", "BaseChatMemory", "Memory", help="What it remembers."),
        Param("model", "BaseChatModel", "Tool Calling Chat Model", help="Which model is asked."),
        Param(
            "systemMessage",
            "string",
            "System Message",
            default=RESPONSE,
            optional=True,
            help="Who it is; with {context}.",
        ),
        REPHRASING,
        Param("rephraseModel", "BaseChatModel", "Rephrase Model", optional=True, help="Which model rephrases."),
        MODERATION,
        Param("maxIterations", "number", "Max Iterations", optional=True, help="How often the model is asked at most."),
        RETRIEVER,
    ),
    role="ending",
)


async def run_conversational(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Answer within the conversation. Only if there is one, the question is made to stand alone before it is looked up.

    Raises NodeInputError if a prompt lacks values.
    """
    chain = RetrievalChain(_retriever(inputs), _model(inputs), _response(inputs))
    if not ctx.is_last:
        return NodeResult(value=chain)
    past = await _memory(ctx, inputs).load()
    query, usage = await _standalone(inputs, chain.model, past, ctx.request.question)
    answered = await chain.answer_within(past, ctx.request.question, query, _aloud(ctx))
    told = Answered(answered.text, answered.documents, answered.usage + usage)
    return told.result(shows_sources=values.flag(inputs, "returnSourceDocuments"))


async def run_retrieval(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Answer the question; or hand on the chain, if this is not where the flow ends."""
    return await _run(ctx, RetrievalChain(_retriever(inputs), _model(inputs), STUFF))


async def run_vector_db(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Answer the question; or hand on the chain, if this is not where the flow ends."""
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    store = values.connected(inputs, "vectorStore", VectorStore, "A chain needs a vector store")  # type: ignore[type-abstract]
    return await _run(ctx, RetrievalChain(StoreRetriever(store), _model(inputs), STUFF))


async def run_multi(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Have the model choose where to look, and answer from there. Raises NodeInputError for nameless retrievers."""
    choices, model, question = _choices(inputs), _model(inputs), ctx.request.question
    chosen, query, usage = await _route(choices, model, question)
    if chosen is None:
        told = await _aloud(ctx)(model, [Message("system", NOTHING_FITS), Message("user", question)])
        return Answered(told.text, (), told.usage + usage).result(shows_sources=False)
    chain = RetrievalChain(chosen, model, STUFF)
    answered = await chain.answer_within((), question, query, _aloud(ctx))
    told_all = Answered(answered.text, answered.documents, answered.usage + usage)
    return told_all.result(shows_sources=values.flag(inputs, "returnSourceDocuments"))


async def run_tool_agent(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Look the question up, show the model what was found, and let it use its tools.

    Raises NodeInputError if a prompt lacks values, or for anything that is no tool.
    """
    model, question = _model(inputs), ctx.request.question
    given = inputs.get("tools") or ()
    tools = named_tools(given if isinstance(given, list | tuple) else (given,))
    past = await values.connected(inputs, "memory", Memory, "This agent needs a memory").load()
    rephrasing = _model(inputs, "rephraseModel") if inputs.get("rephraseModel") else model
    query, usage = await _standalone(inputs, rephrasing, past, question)
    context = documents_text(await _retriever(inputs).retrieve(query))
    system = Prompt((("system", values.text(inputs, "systemMessage", RESPONSE)),)).fill(question, context=context)
    messages = with_images(ctx, [*system, *past, Message("user", question)])
    rounds = values.integer(inputs, "maxIterations") or MAX_ROUNDS
    run = await run_agent(ctx, FunctionCalling(model, tools), tools, messages, max_rounds=rounds)
    output = {"content": run.answer, "usedTools": run.used, **({"sourceDocuments": run.sources} if run.sources else {})}
    return NodeResult(output=output, value=run.answer, usage=run.usage + usage)


def _memory(ctx: NodeContext, inputs: Inputs) -> Memory:
    if not inputs.get("memory"):
        return Memory(ctx.world.history, ctx.request.history)
    return values.connected(inputs, "memory", Memory, "A chain remembers by a memory")


async def _run(ctx: NodeContext, chain: RetrievalChain) -> NodeResult:
    if not ctx.is_last:
        return NodeResult(value=chain)
    return (await chain.answer(ctx.request.question, _aloud(ctx))).result(shows_sources=False)


def _aloud(ctx: NodeContext) -> Ask:
    async def put(model: ChatModel, messages: Sequence[Message]) -> Completion:
        return await ask(ctx, model, with_images(ctx, messages))

    return put


async def _standalone(inputs: Inputs, model: ChatModel, past: Sequence[Message], question: str) -> tuple[str, Usage]:
    """The question as it is understood without the conversation, and what it took to find that out."""
    if not past:
        return question, Usage()
    prompt = Prompt((("user", values.text(inputs, "rephrasePrompt", REPHRASE)),), {"question": question})
    told = await silently(model, prompt.fill(question, chat_history=transcript(past)))
    return told.text.strip() or question, told.usage


def _response(inputs: Inputs) -> str:
    """Older exports have a system message in front of a fixed prompt."""
    older = values.text(inputs, "systemMessagePrompt")
    prompt = values.text(inputs, "responsePrompt", RESPONSE)
    return f"{older}\n{prompt}" if older else prompt


def _choices(inputs: Inputs) -> dict[str, StoreRetriever]:
    given = inputs.get("vectorStoreRetriever") or ()
    retrievers = given if isinstance(given, list | tuple) else (given,)
    if not retrievers or not all(isinstance(one, StoreRetriever) and one.name for one in retrievers):
        raise NodeInputError("Connect Vector Store Retriever nodes, each with a name, to 'vectorStoreRetriever'.")
    return {one.name: one for one in retrievers}


async def _route(
    choices: dict[str, StoreRetriever], model: ChatModel, question: str
) -> tuple[StoreRetriever | None, str, Usage]:
    if len(choices) == 1:
        return next(iter(choices.values())), question, Usage()
    candidates = "\n".join(f"{name}: {one.description}" for name, one in choices.items())
    prompt = Prompt((("user", ROUTE),), {"question": question, "candidates": candidates})
    told = await silently(model, prompt.fill(question))
    destination, query = read_choice(told.text, question)
    return choices.get(destination), query, told.usage


def _retriever(inputs: Inputs) -> Retriever:
    return values.connected(inputs, "vectorStoreRetriever", Retriever, "A chain needs a retriever")  # type: ignore[type-abstract]


def _model(inputs: Inputs, name: str = "model") -> ChatModel:
    return values.connected(inputs, name, ChatModel, "A chain needs a chat model")  # type: ignore[type-abstract]


NODES = (
    NodeType(CONVERSATIONAL, moderated(run_conversational)),
    NodeType(RETRIEVAL, moderated(run_retrieval)),
    NodeType(VECTOR_DB, moderated(run_vector_db)),
    NodeType(MULTI, moderated(run_multi)),
    NodeType(AGENT, moderated(run_tool_agent)),
)
