"""What a model is reminded of before it is asked: everything, the newest, or a summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.providers.base import ChatModel, Message, Usage

BYTES_A_TOKEN = 4  # of UTF-8: an estimate that is near the mark for most languages and models
SUMMARISE = (
    "Summarise the conversation below in a few sentences. Keep names, numbers, decisions and open questions. "
    "Answer with the summary alone.\n\n{conversation}"
)


@dataclass(frozen=True, slots=True)
class Recalled:
    """Messages to put in front of a question, and what making them cost."""

    messages: tuple[Message, ...]
    usage: Usage = field(default_factory=Usage)


def transcript(messages: Sequence[Message]) -> str:
    """A conversation as text, a turn a line."""
    return "\n".join(f"{message.role}: {message.content}" for message in messages)


def newest(earlier: Sequence[Message], current: Sequence[Message], *, pairs: int) -> Recalled:
    """The last `pairs` exchanges, the current message among them."""
    messages = (*earlier, *current)
    return Recalled(messages[-2 * pairs :] if pairs > 0 else tuple(current))


async def summary(model: ChatModel, earlier: Sequence[Message], current: Sequence[Message]) -> Recalled:
    """What was said before, in the model's own words. The current message stays as it is: it is to be answered."""
    if not earlier:
        return Recalled(tuple(current))
    text, usage = await _summarise(model, earlier)
    return Recalled((Message("assistant", text), *current), usage)


async def summary_buffer(
    model: ChatModel, earlier: Sequence[Message], current: Sequence[Message], *, token_limit: int, has_system: bool
) -> Recalled:
    """As many of the newest messages as `token_limit` lets through, after a summary of the older ones."""
    # In bytes, and each message measured once: conversations may be thousands of messages long.
    left = len(transcript([*earlier, *current]).encode())
    older = 0
    while older < len(earlier) and left > token_limit * BYTES_A_TOKEN:
        left -= len(transcript([earlier[older]]).encode()) + 1  # with its line break
        older += 1
    kept = earlier[older:]
    if not older:
        return Recalled((*kept, *current))
    text, usage = await _summarise(model, earlier[:older])
    # Several vendors take one system message only.
    told = Message("user" if has_system else "system", f"Previous conversation summary: {text}")
    return Recalled((told, *kept, *current), usage)


async def _summarise(model: ChatModel, messages: Sequence[Message]) -> tuple[str, Usage]:
    completion = await model.complete([Message("user", SUMMARISE.format(conversation=transcript(messages)))])
    return completion.text, completion.usage
