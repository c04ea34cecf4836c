"""Waiting without a process: for an event by its name, for what the user says next, for a time to come."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import conversations, values
from engine.providers.base import Message
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param, Pause, Wait
from engine.templating import as_text

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)?")
LONGEST_S = 366 * 86400.0  # a year and a day: what is longer was typed by mistake
LONGEST_NAME = 255
EVENT_TIMEOUT = "24h"
ANSWERED, TIMED_OUT = 0, 1

WAIT_FOR_EVENT = NodeSpec(
    name="waitForEventAgentflow",
    label="Wait for Event",
    version=1,
    category="Agent Flows",
    base_classes=("WaitForEvent",),
    help="Waits until somebody reports an event; goes on by the second way out if nobody does in time.",
    params=(
        Param(
            "waitEventName", "string", "Event", variables=True, help="Its name: every run that waits for it goes on."
        ),
        Param(
            "waitTimeout",
            "string",
            "Timeout",
            default=EVENT_TIMEOUT,
            optional=True,
            variables=True,
            help="As 90s, 30m, 24h or 7d.",
        ),
    ),
    is_decision=True,
    is_free=True,
)
ASK_USER = NodeSpec(
    name="askUserAgentflow",
    label="Ask the User",
    version=1,
    category="Agent Flows",
    base_classes=("AskUser",),
    help="Asks a question; the user's next message is the answer.",
    params=(
        Param("askQuestion", "string", "Question", variables=True, help="What the user is asked."),
        Param(
            "askTimeout",
            "string",
            "Timeout",
            optional=True,
            variables=True,
            help="As 30m or 7d; then it goes on by the second way out. Empty: as long as the server keeps runs.",
        ),
    ),
    is_decision=True,
    is_free=True,
)
SLEEP = NodeSpec(
    name="sleepAgentflow",
    label="Sleep",
    version=1,
    category="Agent Flows",
    base_classes=("Sleep",),
    help="Goes on after a while, or at a date. The server may restart meanwhile.",
    params=(
        Param("sleepMode", "options", "Sleep", default="for", options=("for", "until"), help="How the end is given."),
        Param("sleepFor", "string", "For", optional=True, variables=True, help="As 90s, 30m, 24h or 7d."),
        Param(
            "sleepUntil",
            "string",
            "Until",
            optional=True,
            variables=True,
            help="As 2030-01-31T09:00:00Z; without an offset it is UTC.",
        ),
    ),
    is_free=True,
)


async def run_wait_for_event(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Pause until the event is reported; its data is the output. Raises NodeInputError without a name."""
    name = values.text(inputs, "waitEventName").strip()
    if ctx.answer is not None:
        return _told(name, ctx.answer)
    if not name or len(name) > LONGEST_NAME or "\0" in name:
        raise NodeInputError(f"The event's name must have 1 to {LONGEST_NAME} characters.")
    for_s = seconds(values.text(inputs, "waitTimeout", EVENT_TIMEOUT), "waitTimeout")
    return NodeResult(output={"event": name}, pause=Pause("", {}, wait=Wait("event", event=name, for_s=for_s)))


async def run_ask_user(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Ask and pause; what the user says next is the output. Raises NodeInputError without a question."""
    if ctx.answer is not None:
        return _replied(ctx.answer)
    question = values.text(inputs, "askQuestion")
    if not question.strip():
        raise NodeInputError("There is nothing to ask: write a question.")
    timeout = values.text(inputs, "askTimeout")
    if ctx.request.is_streaming:
        ctx.emit_token(question)
    return NodeResult(
        output={"content": question},
        messages=(*(() if ctx.messages else conversations.user_input(ctx)), Message("assistant", question)),
        pause=Pause(question, {}, wait=Wait("message", for_s=seconds(timeout, "askTimeout") if timeout else None)),
    )


async def run_sleep(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Pause until the time has come. Raises NodeInputError for what is no duration and no date."""
    if ctx.answer is not None:
        return NodeResult(output={"content": ""})
    match values.text(inputs, "sleepMode", "for"):
        case "for":
            for_s = seconds(values.text(inputs, "sleepFor"), "sleepFor")
        case "until":
            for_s = until(values.text(inputs, "sleepUntil"), "sleepUntil") - ctx.world.clock.now()
        case other:
            raise NodeInputError(f"sleepMode must be 'for' or 'until', not {other!r}.")
    if for_s <= 0:
        return NodeResult(output={"content": ""})
    return NodeResult(pause=Pause("", {}, wait=Wait("timer", for_s=min(for_s, LONGEST_S))))


def seconds(text: str, name: str) -> float:
    """A duration with its unit, or in milliseconds. Raises NodeInputError."""
    found = DURATION.fullmatch(text.strip())
    length = float(found[1]) * UNITS_S[found[2] or "ms"] if found else -1.0
    if not 0 <= length <= LONGEST_S:
        raise NodeInputError(
            f"{name} must be a duration of at most 366 days such as 90s, 30m, 24h or 7d, not {text[:40]!r}."
        )
    return length


def until(text: str, name: str) -> float:
    """An ISO date, in seconds since the epoch. Raises NodeInputError."""
    try:
        date = datetime.fromisoformat(text.strip())
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as exc:
        raise NodeInputError(f"{name} must be a date such as 2030-01-31T09:00:00Z, not {text[:40]!r}.") from exc


def _told(name: str, answer: Mapping[str, Any]) -> NodeResult:
    """`data` is whatever the reporter sent; null after the timeout."""
    is_late = answer.get("type") != "event"
    data = None if is_late else answer.get("data")
    content = "" if data is None else as_text(data) if isinstance(data, str) else orjson.dumps(data).decode()
    return NodeResult(
        output={"content": content, "event": name, "data": data, "timeout": is_late},
        taken=frozenset({TIMED_OUT if is_late else ANSWERED}),
    )


def _replied(answer: Mapping[str, Any]) -> NodeResult:
    if answer.get("type") != "message":
        return NodeResult(output={"content": "", "timeout": True}, taken=frozenset({TIMED_OUT}))
    said = str(answer.get("feedback") or "")
    return NodeResult(
        output={"content": said, "timeout": False}, messages=(Message("user", said),), taken=frozenset({ANSWERED})
    )


NODES = (
    NodeType(WAIT_FOR_EVENT, run_wait_for_event, may_pause=lambda _: True),
    NodeType(ASK_USER, run_ask_user, may_pause=lambda _: True),
    NodeType(SLEEP, run_sleep, may_pause=lambda _: True),
)
