"""Chains: one question to one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from engine.answering import Answered, Ask, silently
from engine.context import NodeContext
from engine.errors import NodeError
from engine.memories import Memory
from engine.moderation import ANSWER_NOW, MODERATION, moderated
from engine.nodes import values
from engine.nodes.asking import ask
from engine.nodes.questions import question_messages, with_images
from engine.parsers import OutputParser, Unparsable
from engine.prompts import Prompt
from engine.providers.base import ChatModel, Completion, Message, Usage
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.templating import as_text

FRIENDLY = (
    "The following is a friendly conversation between a human and an AI. The AI is talkative and provides lots of "
    "specific details from its context. If the AI does not know the answer to a question, it truthfully says it does "
    "not know."
)
CORRECT = "Your answer cannot be used. {problem}\nGive it again, and nothing else, in the form that was asked for."

LLM = NodeSpec(
    name="llmChain",
    label="LLM Chain",
    version=3,
    category="Chains",
    base_classes=("LLMChain", "BaseChain", "Runnable"),
    help="Fills in a prompt and asks a model.",
    params=(
        Param("model", "BaseLanguageModel", "Language Model", help="Which model is asked."),
        Param("prompt", "BasePromptTemplate", "Prompt", help="What it is asked."),
        Param("outputParser", "BaseLLMOutputParser", "Output Parser", optional=True, help="Makes data of its answer."),
        MODERATION,
        Param("chainName", "string", "Chain Name", optional=True, help="A name for people."),
    ),
    outputs=("llmChain", ANSWER_NOW),
    role="ending",
)
CONVERSATION = NodeSpec(
    name="conversationChain",
    label="Conversation Chain",
    version=3,
    category="Chains",
    base_classes=("ConversationChain", "LLMChain", "BaseChain", "Runnable"),
    help="Talks with somebody and remembers what was said.",
    params=(
        Param("model", "BaseChatModel", "Chat Model", help="Which model is asked."),
        Param("memory", "BaseMemory", "Memory", help="What it remembers."),
        Param(
            "chatPromptTemplate",
            "ChatPromptTemplate",
            "Chat Prompt Template",
            optional=True,
            help="Instead of the system message; its human message must hold {input}.",
        ),
        MODERATION,
        Param(
            "systemMessagePrompt", "string", "System Message", default=FRIENDLY, optional=True, help="Who it is to be."
        ),
    ),
    role="ending",
)


@dataclass(frozen=True, slots=True)
class Chain:
    """A model, and the prompt it is asked with; implements `Answerer`."""

    model: ChatModel
    prompt: Prompt
    parser: OutputParser | None = None

    async def answer(self, question: str, ask: Ask = silently) -> Answered:
        """See `Answerer.answer`. What an output parser reads is told as JSON."""
        if self.parser is None:
            completion = await ask(self.model, self.prompt.fill(question))
            return Answered(completion.text, usage=completion.usage)
        parsed, usage = await self.read(self.parser, self.messages(self.parser, question))
        return Answered(as_text(parsed), usage=usage)

    def messages(self, parser: OutputParser, question: str) -> list[Message]:
        """The prompt, and how the parser wants the answer."""
        return self.prompt.followed_by(parser.instructions).fill(question)

    async def read(self, parser: OutputParser, messages: list[Message]) -> tuple[Any, Usage]:
        """What the parser makes of the model's answer. Raises NodeError if it can make nothing of it."""
        completion = await self.model.complete(messages)
        try:
            return parser.read(completion.text), completion.usage
        except Unparsable as exc:
            if not parser.autofix:
                raise _unusable(exc) from exc
            correction = Message("user", CORRECT.format(problem=exc))
        again = await self.model.complete([*messages, Message("assistant", completion.text), correction])
        try:
            return parser.read(again.text), completion.usage + again.usage
        except Unparsable as still:
            raise _unusable(still) from still


async def run_llm_chain(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Ask the model, if this is where the flow ends or another node wants the answer; else hand on the chain.

    Raises NodeInputError if the prompt lacks values, NodeError if an answer cannot be parsed.
    """
    chain = Chain(_model(inputs), _prompt(inputs), inputs.get("outputParser") or None)
    if not ctx.is_last and ctx.node.output != ANSWER_NOW:
        return NodeResult(value=chain)
    if chain.parser is None:
        completion = await ask(ctx, chain.model, with_images(ctx, chain.prompt.fill(ctx.request.question)))
        return answer(completion)
    # Nothing is streamed: the answer is of no use before it is whole and read.
    messages = with_images(ctx, chain.messages(chain.parser, ctx.request.question))
    return _parsed_result(ctx, *await chain.read(chain.parser, messages))


async def run_conversation(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Ask the model with the conversation so far between the system message and the question."""
    messages = await question_messages(
        ctx,
        system=values.text(inputs, "systemMessagePrompt", FRIENDLY),
        memory=values.connected(inputs, "memory", Memory, "A Conversation Chain needs a memory"),
        prompt=inputs.get("chatPromptTemplate") or None,
    )
    return answer(await ask(ctx, _model(inputs), messages))


def answer(completion: Completion) -> NodeResult:
    """A model's answer as what a chain or an agent gives."""
    return NodeResult(output={"content": completion.text}, value=completion.text, usage=completion.usage)


def _prompt(inputs: Inputs) -> Prompt:
    return values.connected(inputs, "prompt", Prompt, "An LLM Chain needs a prompt")


def _model(inputs: Inputs) -> ChatModel:
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    return values.connected(inputs, "model", ChatModel, "A chain needs a chat model")  # type: ignore[type-abstract]


def _unusable(problem: Unparsable) -> NodeError:
    return NodeError(f"The model's answer is not what the output parser asks for. {problem}")


def _parsed_result(ctx: NodeContext, parsed: Any, usage: Usage) -> NodeResult:
    shown = f"```json\n{orjson.dumps(parsed, option=orjson.OPT_INDENT_2).decode()}\n```"
    if ctx.streams:
        ctx.emit_token(shown)
    return NodeResult(output={"content": shown, "json": parsed}, value=parsed, usage=usage)


NODES = (NodeType(LLM, moderated(run_llm_chain)), NodeType(CONVERSATION, moderated(run_conversation)))
