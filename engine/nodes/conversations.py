"""What LLM and Agent nodes have in common: their model, their messages, their memory, their place in the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from engine.context import NodeContext
from engine.errors import NodeError, NodeInputError
from engine.nodes import values
from engine.providers.base import ChatModel, Completion, Message, Role, Usage
from engine.recall import Recalled, newest, summary, summary_buffer
from engine.spec import Inputs, Param
from engine.structured import TYPES
from engine.templating import as_text

ROLES: tuple[Role, ...] = ("system", "assistant", "developer", "user")
MEMORY_KINDS = ("allMessages", "windowSize", "conversationSummary", "conversationSummaryBuffer")
WINDOW = 20
TOKEN_LIMIT = 2000


def params(prefix: str) -> tuple[Param, ...]:
    """The inputs of both, whose names begin with "llm" or "agent"."""
    return (
        Param(
            f"{prefix}Messages",
            "array",
            "Messages",
            optional=True,
            variables=True,
            help="What the model is told first.",
            fields=(
                Param("role", "options", "Role", options=ROLES, help="Who says it."),
                Param("content", "string", "Content", variables=True, help="What is said."),
            ),
        ),
        *memory_params(prefix, default=True),
        Param(
            f"{prefix}UserMessage",
            "string",
            "Input Message",
            optional=True,
            variables=True,
            help="Said after the conversation so far.",
        ),
        Param(
            f"{prefix}ReturnResponseAs",
            "options",
            "Return Response As",
            default="userMessage",
            options=("userMessage", "assistantMessage"),
            help="Whose words the answer is to the nodes that follow.",
        ),
        _structured_output(prefix),
        state_param(prefix),
    )


def memory_params(prefix: str, *, default: bool) -> tuple[Param, ...]:
    """Whether, and how much of, the conversation so far is shown to the model."""
    return (
        Param(
            f"{prefix}EnableMemory",
            "boolean",
            "Enable Memory",
            default=default,
            optional=True,
            help="Show the model the conversation so far.",
        ),
        Param(
            f"{prefix}MemoryType",
            "options",
            "Memory Type",
            default="allMessages",
            optional=True,
            options=MEMORY_KINDS,
            help="How much of it.",
        ),
        Param(
            f"{prefix}MemoryWindowSize",
            "number",
            "Window Size",
            default=WINDOW,
            optional=True,
            help="Exchanges that a window shows.",
        ),
        Param(
            f"{prefix}MemoryMaxTokenLimit",
            "number",
            "Max Token Limit",
            default=TOKEN_LIMIT,
            optional=True,
            help="Tokens beyond which a summary buffer sums up.",
        ),
    )


def state_param(prefix: str) -> Param:
    """What a node of any kind changes in the state."""
    return Param(
        f"{prefix}UpdateState",
        "array",
        "Update Flow State",
        optional=True,
        variables=True,
        help="What the state holds afterwards.",
        fields=(
            Param("key", "asyncOptions", "Key", help="Its name in {{ $flow.state.key }}."),
            Param("value", "string", "Value", variables=True, help="{{ output }} stands for the node's text."),
        ),
    )


def _structured_output(prefix: str) -> Param:
    return Param(
        f"{prefix}StructuredOutput",
        "array",
        "JSON Structured Output",
        optional=True,
        variables=True,
        help="The answer as data: one row a property.",
        fields=(
            Param("key", "string", "Key", help="Its name."),
            Param("type", "options", "Type", default="string", options=TYPES, help="What it holds."),
            Param("enumValues", "string", "Enum Values", optional=True, help="The choices, by commas."),
            Param("jsonSchema", "code", "JSON Schema", optional=True, help="What the items of a JSON array hold."),
            Param("description", "string", "Description", optional=True, help="What it means, for the model."),
        ),
    )


@dataclass(frozen=True, slots=True)
class Turn:
    """What a model is about to be asked, and what its run will remember of it."""

    messages: tuple[Message, ...]
    opening: tuple[Message, ...]  # the user's words, from the first node of a run that asks a model
    usage: Usage  # of summaries


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Errors inside say where they happened."""
    try:
        yield
    except NodeError as exc:
        exc.within(place)
        raise


async def chat_model(ctx: NodeContext, inputs: Inputs, prefix: str) -> ChatModel | None:
    """The configured model; None if the chosen component is no chat model. Raises NodeInputError if none is chosen."""
    chosen = values.text(inputs, f"{prefix}Model")
    if not chosen:
        raise NodeInputError("Model is required")
    model = (await ctx.build(chosen, values.mapping(inputs, f"{prefix}ModelConfig"))).value
    return model if isinstance(model, ChatModel) else None


async def take_turn(ctx: NodeContext, inputs: Inputs, prefix: str, model: ChatModel) -> Turn:
    """All that the model is asked with, and the user's words if this node is the first of its run to ask one.

    Raises NodeInputError if that is nothing at all.
    """
    is_first = not ctx.messages
    configured = _configured(inputs, prefix)
    asks_itself = any(message.role == "user" for message in configured)
    # The last system message stands first: what the editor's own engine does.
    systems = [message for message in reversed(configured) if message.role == "system"]
    told = [*systems, *(ctx.request.history if is_first else ()), *(m for m in configured if m.role != "system")]
    current = user_input(ctx) if is_first else ()
    usage = Usage()
    if values.flag(inputs, f"{prefix}EnableMemory", default=True):
        recalled = await recall(ctx, inputs, prefix, model, current, has_system=bool(systems))
        told += recalled.messages
        usage = recalled.usage
        if said := values.text(inputs, f"{prefix}UserMessage"):
            told.append(Message("user", said))
        opening = current
    elif asks_itself:
        told = _showing(told, ctx.request.images if is_first else ())
        opening = tuple(message for message in configured if message.role == "user") if is_first else ()
    else:
        told += current
        opening = current
    if not told:
        raise NodeInputError("There is nothing to ask the model: give the node a message.")
    return Turn(tuple(told), opening, usage)


async def recall(
    ctx: NodeContext, inputs: Inputs, prefix: str, model: ChatModel, current: Sequence[Message], *, has_system: bool
) -> Recalled:
    """What memory shows the model, `current` at its end. Raises NodeInputError for a memory that does not exist."""
    earlier = (*ctx.past, *ctx.messages)
    kind = values.text(inputs, f"{prefix}MemoryType", "allMessages")
    if kind == "windowSize":
        pairs = values.integer(inputs, f"{prefix}MemoryWindowSize")
        return newest(earlier, current, pairs=WINDOW if pairs is None else pairs)
    if kind == "conversationSummary":
        return await summary(model, earlier, current)
    if kind == "conversationSummaryBuffer":
        limit = values.integer(inputs, f"{prefix}MemoryMaxTokenLimit") or TOKEN_LIMIT
        return await summary_buffer(model, earlier, current, token_limit=limit, has_system=has_system)
    if kind != "allMessages":
        raise NodeInputError(f"There is no memory of type {kind!r}; known: {', '.join(MEMORY_KINDS)}.")
    return Recalled((*earlier, *current))


def _configured(inputs: Inputs, prefix: str) -> list[Message]:
    rows = values.items(inputs, f"{prefix}Messages")
    messages = []
    for row in rows:
        role, content = row.get("role"), row.get("content")
        # A reference to a number or a truth value brings it as it is: 0 and false are something to say.
        if not role or content is None or content == "":
            continue
        if role not in ROLES:
            raise NodeInputError(f"A message cannot have the role {role!r}; known: {', '.join(ROLES)}.")
        messages.append(Message(role, as_text(content)))
    return messages


def user_input(ctx: NodeContext) -> tuple[Message, ...]:
    """What the run was asked, as a message: the question, else the form; nothing if there is neither."""
    request = ctx.request
    said = request.question if request.question.strip() else ""
    if not said and request.form:
        said = "\n".join(f"{name}: {value}" for name, value in request.form.items())
    return (Message("user", said, images=request.images),) if said or request.images else ()


def _showing(messages: Sequence[Message], images: tuple[str, ...]) -> list[Message]:
    """The messages with the images at the last one of the user."""
    shown = list(messages)
    if images:
        at = max(index for index, message in enumerate(shown) if message.role == "user")
        shown[at] = replace(shown[at], images=images)
    return shown


def run_messages(ctx: NodeContext, inputs: Inputs, prefix: str, turn: Turn, answer: str) -> tuple[Message, ...]:
    """What the nodes that follow will see of this one."""
    is_assistant = values.text(inputs, f"{prefix}ReturnResponseAs") == "assistantMessage"
    name = "_".join(ctx.node.label.lower().split()) or ctx.node.id
    return (*turn.opening, Message("assistant" if is_assistant else "user", answer, name=name))


def state_updates(inputs: Inputs, prefix: str) -> dict[str, Any]:
    """The entries of "Update Flow State"; references to the output are still in them."""
    rows = values.items(inputs, f"{prefix}UpdateState")
    return {str(row["key"]): row.get("value", "") for row in rows if row.get("key")}


def shown_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as a trace shows them: without images, which would fill it."""
    return [{"role": m.role, "content": m.content, **({"name": m.name} if m.name else {})} for m in messages]


def reasons(completion: Completion) -> Mapping[str, Any]:
    """The thinking behind an answer, if there was any."""
    if not completion.thinking:
        return {}
    return {"reasonContent": {"thinking": completion.thinking, "thinkingDuration": completion.thinking_s}}


def beside_content(shaped: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a structured answer as they stand in an output. Nodes that follow take `content` for text."""
    return {key: value for key, value in shaped.items() if key != "content" or isinstance(value, str)}
