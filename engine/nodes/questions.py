"""The messages that a classic chain or agent asks with: its own words, the conversation so far, the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.context import NodeContext
from engine.memories import Memory
from engine.prompts import Prompt
from engine.providers.base import Message


async def question_messages(
    ctx: NodeContext, *, system: str, memory: Memory | None, prompt: Prompt | None = None
) -> list[Message]:
    """The system message, what the memory holds and the question; `prompt` stands in for the first and the last.

    Raises NodeInputError if the prompt lacks values.
    """
    past = await memory.load() if memory else []
    if prompt is None:
        opening = [Message("system", system)] if system else []
        return with_images(ctx, [*opening, *past, Message("user", ctx.request.question)])
    known = {memory.key: transcript(past)} if memory else {}
    *opening, question = prompt.fill(ctx.request.question, **known)
    return with_images(ctx, [*opening, *past, question])


def with_images(ctx: NodeContext, messages: Sequence[Message]) -> list[Message]:
    """The images of the request go with the last message; models that may not see images leave them out."""
    *first, last = messages
    return [*first, replace(last, images=ctx.request.images) if ctx.request.images else last]


def transcript(messages: Sequence[Message]) -> str:
    """A conversation as text, for prompts that hold it in a variable."""
    speakers = {"user": "Human", "assistant": "Assistant"}
    return "\n".join(f"{speakers.get(m.role, m.role)}: {m.content}" for m in messages)
