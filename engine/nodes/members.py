"""What nodes of multi-agent graphs have in common: their names, models and prompts, and what they see and show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.multiagent import key_of
from engine.nodes import values
from engine.nodes.flow_values import flow_view, run_code, value_of
from engine.prompts import Prompt, fill_in
from engine.providers.base import ChatModel, Message
from engine.spec import Append, Inputs, Param
from engine.state import message_from_json
from engine.templating import as_text
from engine.tools import tool_name

SEQUENTIAL = "Sequential Agents"
# Authors build messages of the library that the editor's own server runs on; only these few classes are needed of it.
EXAMPLES = """
class Said {
    constructor(given) { Object.assign(this, typeof given === 'string' ? { content: given } : given); }
}
class SystemMessage extends Said { role = 'system'; }
class HumanMessage extends Said { role = 'user'; }
class AIMessage extends Said { role = 'assistant'; }
class ToolMessage extends Said { role = 'tool'; }
const require = () => ({ SystemMessage, HumanMessage, AIMessage, ToolMessage });
const given = await (async () => { CODE
})();
return given.map((said) => ({
    role: said.role,
    content: String(said.content ?? ''),
    tool_call_id: said.tool_call_id ?? '',
    tool_calls: (said.tool_calls ?? []).map(({ id, name, args }) => ({ id, name, arguments: args })),
}));
"""
TYPES: Mapping[str, str] = {"String Array": "stringArray"}  # of structured answers; the others differ by case alone
BEFORE = Param(
    "sequentialNode",
    "Start | Agent | Condition | LLMNode | ToolNode | CustomFunction | ExecuteFlow",
    "Sequential Node",
    is_list=True,
    help="What runs before it.",
)
MODEL = Param("model", "BaseChatModel", "Chat Model", optional=True, help="Another than that of the start.")
HISTORY = Param(
    "conversationHistorySelection",
    "options",
    "Conversation History",
    default="all_messages",
    optional=True,
    options=("user_question", "last_message", "all_messages", "empty"),
    help="How much of the conversation the model sees.",
)
PROMPTS = (
    Param("systemMessagePrompt", "string", "System Prompt", optional=True, help="Who the model is to be."),
    HISTORY,
    Param("messageHistory", "code", "Messages History", optional=True, help="Code that returns example messages."),
    Param("humanMessagePrompt", "string", "Human Prompt", optional=True, help="Said after the conversation."),
    Param(
        "promptValues",
        "json",
        "Format Prompt Values",
        optional=True,
        variables=True,
        help='What each {variable} stands for: {"text": "{{question}}"}.',
    ),
)


def structured_output(name: str) -> Param:
    """A table that gives answers a shape."""
    return Param(
        name,
        "datagrid",
        "JSON Structured Output",
        optional=True,
        help="The answer as data: one row a property.",
        fields=(
            Param("key", "string", "Key", help="Its name."),
            Param(
                "type",
                "options",
                "Type",
                options=("String", "String Array", "Number", "Boolean", "Enum"),
                help="What it holds.",
            ),
            Param("enumValues", "string", "Enum Values", optional=True, help="The choices, by commas."),
            Param("description", "string", "Description", optional=True, help="What it means, for the model."),
        ),
    )


def title_in(ctx: NodeContext, inputs: Inputs, name: str) -> str:
    """What people call the node."""
    return values.text(inputs, name).strip() or ctx.node.label


def speaker(title: str) -> str:
    """What models call the node."""
    return tool_name(key_of(title))


def chat_model(inputs: Inputs) -> ChatModel:
    """The node's model, which may be that of the start. Raises NodeInputError if there is none."""
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    return values.connected(inputs, "model", ChatModel, "An agent needs a chat model")  # type: ignore[type-abstract]


def structure(inputs: Inputs, name: str) -> list[dict[str, Any]]:
    """The rows of a structured answer, with the types as `answer_schema` has them."""
    rows = values.items(inputs, name)
    return [{**row, "type": TYPES.get(str(row.get("type")), str(row.get("type") or "").lower())} for row in rows]


def filled(ctx: NodeContext, inputs: Inputs, *names: str) -> list[str]:
    """The prompts of these params, with their {variables} from "Format Prompt Values"; those that are empty stay so.

    Raises NodeInputError for variables without a value.
    """
    view = flow_view(ctx)
    given = values.mapping(inputs, "promptValues")
    known = {name: _said(value_of(ctx, value, view)) for name, value in given.items()}
    templates = [values.text(inputs, name) for name in names]
    wanted = Prompt(tuple(("user", template) for template in templates)).variables
    if missing := [name for name in wanted if name not in known]:
        raise NodeInputError(
            f"The prompt has no values for {', '.join(missing)}: give them under 'promptValues', and write {{{{ and "
            "}}}} where braces are meant."
        )
    return [fill_in(template, known) for template in templates]


def conversation(ctx: NodeContext, inputs: Inputs) -> list[Message]:
    """As much of the run's messages as the node wants to see. Raises NodeInputError for an unknown selection."""
    chosen = values.text(inputs, "conversationHistorySelection", "all_messages")
    match chosen:
        case "all_messages":
            return list(ctx.messages)
        case "user_question":
            return [Message("user", ctx.request.question, images=ctx.request.images)]
        case "last_message":
            return list(ctx.messages[-1:])
        case "empty":
            return []
    raise NodeInputError(
        f"There is no conversation history {chosen!r}; known: user_question, last_message, all_messages, empty."
    )


async def told(ctx: NodeContext, inputs: Inputs) -> list[Message]:
    """What a model is asked: the system prompt, examples, the conversation, and the human prompt behind it.

    Raises NodeInputError if that is nothing, or if a prompt lacks values.
    """
    system, human = filled(ctx, inputs, "systemMessagePrompt", "humanMessagePrompt")
    messages = [
        *([Message("system", system)] if system else []),
        *await _examples(ctx, values.text(inputs, "messageHistory")),
        *conversation(ctx, inputs),
        *([Message("user", human)] if human else []),
    ]
    if not messages:
        raise NodeInputError(
            "There is nothing to ask the model: give the node a prompt, or let it see the conversation."
        )
    return messages


async def _examples(ctx: NodeContext, code: str) -> list[Message]:
    """The messages that the author's code makes up."""
    if not code:
        return []
    given = await run_code(ctx, EXAMPLES.replace("CODE", code), flow_view(ctx))
    try:
        return [message_from_json(message) for message in given]
    except (TypeError, ValueError, KeyError) as exc:
        raise NodeInputError("The code of the message history must return a list of messages.") from exc


def last_words(ctx: NodeContext) -> str:
    """What was said last: the answer, if the run ends here."""
    return ctx.messages[-1].content if ctx.messages else ""


def reasoning(ctx: NodeContext, title: str, messages: Sequence[str], **more: Any) -> dict[str, Any]:
    """A step as clients show it."""
    filled_in = {name: value for name, value in more.items() if value}
    return {
        "agentName": title,
        "messages": list(messages),
        **filled_in,
        "nodeName": ctx.node.name,
        "nodeId": ctx.node.id,
    }


def sources_of(used: Sequence[Mapping[str, Any]], name: str = "sourceDocuments") -> list[Any]:
    """What the tools found (`sourceDocuments`) or made (`artifacts`), one after the other."""
    return [item for record in used for item in record.get(name) or ()]


def shown_updates(updates: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value.items) if isinstance(value, Append) else value for key, value in updates.items()}


def _said(value: Any) -> str:
    return "" if value is None else as_text(value)
