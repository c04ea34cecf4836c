"""Memory nodes: give a chain or an agent the conversation so far."""

from __future__ import annotations

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.memories import Memory
from engine.nodes import values
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

# More does not fit into what models read, and would make every turn of a long conversation slower than the last.
MOST_MESSAGES = 200

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


async def run_buffer(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is read until the memory is used."""
    return NodeResult(value=_memory(ctx, inputs, MOST_MESSAGES))


async def run_window(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is read until the memory is used. Raises NodeInputError for a negative size."""
    pairs = values.integer(inputs, "k")
    if pairs is not None and pairs < 0:
        raise NodeInputError(f"The size of a window memory cannot be {pairs}.")
    return NodeResult(value=_memory(ctx, inputs, min(2 * (4 if pairs is None else pairs), MOST_MESSAGES)))


def _memory(ctx: NodeContext, inputs: Inputs, last: int) -> Memory:
    return Memory(
        history=ctx.world.history,
        given=ctx.request.history,
        last=last,
        session_id=values.text(inputs, "sessionId") or None,
        key=values.text(inputs, "memoryKey", "chat_history"),
    )


NODES = (NodeType(BUFFER, run_buffer), NodeType(WINDOW, run_window))
