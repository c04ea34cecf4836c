"""Memory nodes: give a chain or an agent the conversation so far."""

from __future__ import annotations

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.memories import Memory, SummaryMemory
from engine.nodes import values
from engine.providers.base import ChatModel
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

# More does not fit into what models read, and would make every turn of a long conversation slower than the last.
MOST_MESSAGES = 200
TOKEN_LIMIT = 2000

SESSION = Param(
    "sessionId", "string", "Session Id", default="", optional=True, help="Another session than that of the request."
)
KEY = Param(
    "memoryKey", "string", "Memory Key", default="chat_history", optional=True, help="The prompt variable it fills."
)

BUFFER = NodeSpec(
    name="bufferMemory",
    label="Buffer Memory",
    version=2,
    category="Memory",
    base_classes=("BufferMemory", "BaseChatMemory", "BaseMemory"),
    help=f"The conversation so far, up to the newest {MOST_MESSAGES} messages.",
    params=(SESSION, KEY),
    role="component",
)
WINDOW = NodeSpec(
    name="bufferWindowMemory",
    label="Buffer Window Memory",
    version=2,
    category="Memory",
    base_classes=("BufferWindowMemory", "BaseChatMemory", "BaseMemory"),
    help="The last few exchanges of the conversation.",
    params=(Param("k", "number", "Size", default=4, help="How many questions, each with its answer."), SESSION, KEY),
    role="component",
)
MODEL = Param("model", "BaseChatModel", "Chat Model", help="Which model sums it up.")
SUMMARY = NodeSpec(
    name="conversationSummaryMemory",
    label="Conversation Summary Memory",
    version=2,
    category="Memory",
    base_classes=("ConversationSummaryMemory", "BaseChatMemory", "BaseMemory"),
    help="A model's summary of the conversation so far.",
    params=(MODEL, SESSION, KEY),
    role="component",
)
SUMMARY_BUFFER = NodeSpec(
    name="conversationSummaryBufferMemory",
    label="Conversation Summary Buffer Memory",
    version=1,
    category="Memory",
    base_classes=("ConversationSummaryBufferMemory", "BaseChatMemory", "BaseMemory"),
    help="The newest messages, after a model's summary of the older ones.",
    params=(
        MODEL,
        Param(
            "maxTokenLimit",
            "number",
            "Max Token Limit",
            default=TOKEN_LIMIT,
            help="Tokens of messages that are kept as they were.",
        ),
        SESSION,
        KEY,
    ),
    role="component",
)


def _elsewhere(name: str, label: str, version: float, kind: str, *params: Param) -> NodeSpec:
    """A memory that other servers keep in a database of its own: here it is the conversation that is stored anyway."""
    return NodeSpec(
        name=name,
        label=label,
        version=version,
        category="Memory",
        base_classes=(kind, "BaseChatMemory", "BaseMemory"),
        help=(
            "The conversation so far, out of the messages that Forjinn stores of this flow and session: no other "
            "database and no credential is needed, and what is deleted there is forgotten here."
        ),
        params=(SESSION, KEY, *params),
        role="component",
    )


REDIS = _elsewhere(
    "RedisBackedChatMemory",
    "Redis-Backed Chat Memory",
    2,
    "RedisBackedChatMemory",
    Param("windowSize", "number", "Window Size", optional=True, help="How many exchanges; all unless given."),
)
UPSTASH = _elsewhere(
    "upstashRedisBackedChatMemory", "Upstash Redis-Backed Chat Memory", 2, "UpstashRedisBackedChatMemory"
)
MONGODB = _elsewhere("MongoDBAtlasChatMemory", "MongoDB Atlas Chat Memory", 1, "MongoDBAtlasChatMemory")
DYNAMODB = _elsewhere("DynamoDBChatMemory", "DynamoDB Chat Memory", 1, "DynamoDBChatMemory")


async def run_buffer(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is read until the memory is used."""
    return NodeResult(value=_memory(ctx, inputs, MOST_MESSAGES))


async def run_elsewhere(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is read until the memory is used. Raises NodeInputError for a negative window."""
    pairs = values.integer(inputs, "windowSize")
    return NodeResult(value=_memory(ctx, inputs, MOST_MESSAGES if pairs is None else _messages(pairs)))


async def run_summary(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is read or summed up until the memory is used."""
    return NodeResult(value=_summary(ctx, inputs, token_limit=0))


async def run_summary_buffer(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is read or summed up until the memory is used. Raises NodeInputError for a negative limit."""
    limit = values.integer(inputs, "maxTokenLimit")
    if limit is not None and limit < 0:
        raise NodeInputError(f"The token limit of a summary buffer cannot be {limit}.")
    return NodeResult(value=_summary(ctx, inputs, token_limit=TOKEN_LIMIT if limit is None else limit))


async def run_window(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is read until the memory is used. Raises NodeInputError for a negative size."""
    pairs = values.integer(inputs, "k")
    return NodeResult(value=_memory(ctx, inputs, _messages(4 if pairs is None else pairs)))


def _messages(pairs: int) -> int:
    if pairs < 0:
        raise NodeInputError(f"The size of a window memory cannot be {pairs}.")
    return min(2 * pairs, MOST_MESSAGES)


def _summary(ctx: NodeContext, inputs: Inputs, *, token_limit: int) -> SummaryMemory:
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    model = values.connected(inputs, "model", ChatModel, "A summary memory needs a chat model")  # type: ignore[type-abstract]
    kept = _memory(ctx, inputs, MOST_MESSAGES)
    return SummaryMemory(
        history=kept.history,
        given=kept.given,
        last=kept.last,
        session_id=kept.session_id,
        key=kept.key,
        model=model,
        token_limit=token_limit,
    )


def _memory(ctx: NodeContext, inputs: Inputs, last: int) -> Memory:
    return Memory(
        history=ctx.world.history,
        given=ctx.request.history,
        last=last,
        session_id=values.text(inputs, "sessionId") or None,
        key=values.text(inputs, "memoryKey", "chat_history"),
    )


NODES = (
    NodeType(BUFFER, run_buffer),
    NodeType(WINDOW, run_window),
    NodeType(SUMMARY, run_summary),
    NodeType(SUMMARY_BUFFER, run_summary_buffer),
    *(NodeType(spec, run_elsewhere) for spec in (REDIS, UPSTASH, MONGODB, DYNAMODB)),
)
