"""Human Input nodes of agent flows: the run waits until a person says whether it may go on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.approval import PROCEED, REJECT, Answer, action_for, read_answer
from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import conversations, values
from engine.nodes.asking import ask
from engine.providers.base import Message, Usage
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param, Pause

PREFIX = "humanInput"
FIXED, DYNAMIC = "fixed", "dynamic"
QUESTION = "Do you want to proceed?"
SUMMARISE = (
    "Summarize the conversation between the user and the assistant, repeat the assistant's last message in full, and "
    "ask the user whether they want to proceed or have feedback."
)

HUMAN_INPUT = NodeSpec(
    name="humanInputAgentflow",
    label="Human Input",
    version=1,
    category="Agent Flows",
    base_classes=("HumanInput",),
    help="Asks a person whether to proceed.",
    params=(
        Param(
            "humanInputDescriptionType",
            "options",
            "Description Type",
            default=FIXED,
            options=(FIXED, DYNAMIC),
            help="Whether the question is written here or by a model.",
        ),
        Param("humanInputDescription", "string", "Description", optional=True, variables=True, help="The question."),
        Param("humanInputModel", "asyncOptions", "Model", optional=True, help="Which model writes the question."),
        Param(
            "humanInputModelPrompt",
            "string",
            "Prompt",
            optional=True,
            variables=True,
            help="How the model is to write it.",
        ),
        Param(
            "humanInputEnableFeedback",
            "boolean",
            "Enable Feedback",
            default=True,
            optional=True,
            help="Let people say why.",
        ),
    ),
    is_decision=True,
    is_free=True,  # once it is answered; before that it ends the run, and what it asked a model with it
)


async def run_human_input(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Without an answer: ask and pause. With one: go on by the first way out (proceed) or the second (reject).

    Raises NodeInputError for an answer of another type, ProviderError if the model that writes the question fails.
    """
    if ctx.answer is not None:
        return _decided(read_answer(ctx.answer))
    kind = values.text(inputs, "humanInputDescriptionType", FIXED)
    if kind not in (FIXED, DYNAMIC):
        raise NodeInputError(f"The description's type must be {FIXED!r} or {DYNAMIC!r}, not {kind!r}.")
    question, usage = await (_written(ctx, inputs) if kind == DYNAMIC else _fixed(ctx, inputs))
    shown: dict[str, Any] = {
        "messages": conversations.shown_messages([*ctx.past, *ctx.messages]),
        "humanInputEnableFeedback": values.flag(inputs, "humanInputEnableFeedback", default=True),
    }
    action = action_for(ctx.node, shown, ctx.world.random)
    return NodeResult(
        output={"content": question, "humanInputAction": action},
        messages=(*(() if ctx.messages else conversations.user_input(ctx)), Message("assistant", question)),
        usage=usage,
        pause=Pause(question, action),
    )


def _decided(answer: Answer) -> NodeResult:
    said = {"feedback": answer.feedback} if answer.feedback else {}
    conditions = [
        {"type": kind, "isFulfilled": kind == answer.kind, **(said if kind == answer.kind else {})}
        for kind in (PROCEED, REJECT)
    ]
    return NodeResult(
        output={"conditions": conditions, "content": answer.feedback or answer.kind},
        messages=(Message("user", answer.feedback),) if answer.feedback else (),
        taken=frozenset({0 if answer.is_yes else 1}),
    )


async def _fixed(ctx: NodeContext, inputs: Inputs) -> tuple[str, Usage]:
    """The last thing that was said, and the author's question below it."""
    conversation = [*ctx.past, *ctx.messages]
    last = conversation[-1].content if conversation else ""
    question = f"{last}\n\n{values.text(inputs, 'humanInputDescription', QUESTION)}".strip()
    if ctx.request.is_streaming:
        ctx.emit_token(question)
    return question, Usage()


async def _written(ctx: NodeContext, inputs: Inputs) -> tuple[str, Usage]:
    """The question in a model's words, which are heard wherever in the flow the node stands."""
    with conversations.explained("Error in Human Input node"):
        model = await conversations.chat_model(ctx, inputs, PREFIX)
        if model is None:
            raise NodeInputError(f"{inputs['humanInputModel']!r} is no chat model: choose one.")
        prompt = values.text(inputs, "humanInputModelPrompt", SUMMARISE)
        messages = [*ctx.past, *ctx.messages, Message("user", prompt)]
        completion = await ask(replace(ctx, is_last=True), model, messages)
    return completion.text, completion.usage


NODES = (NodeType(HUMAN_INPUT, run_human_input, may_pause=lambda _: True),)
