"""Moderation: questions that are refused before a chain or an agent takes them up."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, Protocol, runtime_checkable

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.providers.base import Usage
from engine.spec import Inputs, NodeResult, NodeRun, Param

MODERATION = Param(
    "inputModeration", "Moderation", "Input Moderation", optional=True, is_list=True, help="Refuses harmful questions."
)
REFUSAL = "Cannot Process! Input violates content moderation policies."
ANSWER_NOW = "outputPrediction"  # the output of a chain that is run for its answer, in the middle of a flow


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a moderation makes of a question. `refusal` is the answer instead; empty: the question may pass."""

    refusal: str = ""
    usage: Usage = field(default_factory=Usage)


@runtime_checkable
class Moderation(Protocol):
    """Judges questions."""

    async def judge(self, question: str) -> Verdict:
        """Raises NodeError if it cannot be judged: then the question does not pass either."""
        ...


def moderated(run: NodeRun) -> NodeRun:
    """`run`, unless a moderation connected to the node refuses the question: its refusal is then the answer.

    A chain that is handed on to others is not judged: nothing is asked of it yet.
    """

    @wraps(run)
    async def run_what_may_pass(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        if not ctx.is_last and ctx.node.output != ANSWER_NOW:
            return await run(ctx, inputs)
        verdict = await judge_all(moderations_in(inputs), ctx.request.question)
        if verdict.refusal:
            if ctx.streams:
                say_by_words(verdict.refusal, ctx.emit_token)
            return NodeResult(output={"content": verdict.refusal}, value=verdict.refusal, usage=verdict.usage)
        result = await run(ctx, inputs)
        return replace(result, usage=result.usage + verdict.usage)

    return run_what_may_pass


async def judge_all(moderations: list[Moderation], question: str) -> Verdict:
    """The first refusal, else leave to pass; with what all of it has cost."""
    usage = Usage()
    for moderation in moderations:
        verdict = await moderation.judge(question)
        usage += verdict.usage
        if verdict.refusal:
            return Verdict(verdict.refusal, usage)
    return Verdict(usage=usage)


def say_by_words(text: str, say: Callable[[str], None]) -> None:
    """Hand a text on as models do: a word at a time."""
    for word in re.findall(r"\s*\S+|\s+\Z", text):
        say(word)


def moderations_in(inputs: Inputs) -> list[Moderation]:
    """Those that are connected to a node. Raises NodeInputError for anything that is none."""
    given: Any = inputs.get("inputModeration") or ()
    connected = [one for one in (given if isinstance(given, list | tuple) else (given,)) if one]
    if not all(isinstance(one, Moderation) for one in connected):
        raise NodeInputError("What is connected as an input moderation is none.")
    return connected
