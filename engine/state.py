"""What a run knows: enough to stop it at a node and go on later, in another process."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from engine.context import RunRequest
from engine.providers.base import Message, ToolCall, Usage

SNAPSHOT_VERSION = 1


@dataclass(slots=True)
class RunState:
    """Grows while nodes are committed, one after the other."""

    queue: deque[str] = field(default_factory=deque)  # ready nodes, first in, first out
    decisions: dict[int, bool] = field(default_factory=dict)  # see `engine.scheduler.Decisions`
    values: dict[str, Any] = field(default_factory=dict)  # {{ $flow.state }}
    form: Mapping[str, Any] = field(default_factory=dict)
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # the latest of each node
    last_output: Mapping[str, Any] = field(default_factory=dict)  # of the node that ran last
    messages: list[Message] = field(default_factory=list)  # of this run
    runs: dict[str, int] = field(default_factory=dict)  # how often each node ran
    jumps: dict[str, int] = field(default_factory=dict)  # how often each loop node jumped back
    last_loop: str = ""  # the loop node that jumped last
    waiting_jumps: list[str] = field(default_factory=list)  # targets of loops that wait for the end of their pass
    is_forgetful: bool = False  # the stored conversation is not to be seen
    usage: Usage = field(default_factory=Usage)
    executions: int = 0  # of nodes, those of inner runs included
    tokens: int = 0  # of models, those of inner runs included; more than `usage`: failed nodes spend some, too
    paused_at: str = ""  # the node that waits for a human
    kept: Any = None  # what that node wants back: see `engine.spec.Pause`
    # Not part of a snapshot: loaded or built again, or of classic graphs, which do not pause.
    published: dict[str, Any] = field(default_factory=dict)  # see `NodeResult.published`
    past: Sequence[Message] = ()  # stored messages of the session
    instances: dict[str, Any] = field(default_factory=dict)  # what the edges of a classic graph carry
    reasoning: list[Mapping[str, Any]] = field(default_factory=list)  # of a multi-agent graph, since it (re)started


PLAIN = (
    "values",
    "form",
    "outputs",
    "last_output",
    "runs",
    "jumps",
    "last_loop",
    "waiting_jumps",
    "is_forgetful",
    "executions",
    "paused_at",
    "kept",
)
ASKED = ("question", "attachment", "webhook", "images")  # the parts of a request that a run goes on with


def snapshot(state: RunState) -> dict[str, Any]:
    """Plain JSON that `restore` makes the same state of. It fits the version of the flow that it was taken of.

    It shares its values with the state: write it down before the run goes on.
    """
    return {
        "version": SNAPSHOT_VERSION,
        **{name: getattr(state, name) for name in PLAIN},
        "queue": list(state.queue),
        "decisions": [[index, taken] for index, taken in state.decisions.items()],
        "messages": [message_to_json(message) for message in state.messages],
        "usage": asdict(state.usage),
        "tokens": state.tokens,
    }


def restore(saved: Mapping[str, Any]) -> RunState:
    """The state that a snapshot was taken of, without the stored messages of the session.

    Raises ValueError for the snapshot of another version of the engine.
    """
    if saved.get("version") != SNAPSHOT_VERSION:
        raise ValueError(f"This engine reads snapshots of version {SNAPSHOT_VERSION}, not {saved.get('version')!r}.")
    return RunState(
        **{name: saved[name] for name in PLAIN},
        queue=deque(saved["queue"]),
        decisions=dict(saved["decisions"]),
        messages=[message_from_json(message) for message in saved["messages"]],
        usage=Usage(**saved["usage"]),
        tokens=saved.get("tokens", 0),
        reasoning=list(saved.get("reasoning", ())),
    )


def asked(request: RunRequest) -> dict[str, Any]:
    """What a run was asked, as plain JSON. (Its form is part of its state.)"""
    return {
        **{name: getattr(request, name) for name in ASKED},
        "history": [message_to_json(message) for message in request.history],
    }


def asked_again(request: RunRequest, saved: Mapping[str, Any]) -> RunRequest:
    """The request that a run goes on with: what it was asked at first, as far as that was saved, by who asks now."""
    first = {name: saved[name] for name in ASKED if name in saved}
    if "images" in saved:
        first["images"] = tuple(saved["images"])
    if "history" in saved:
        first["history"] = tuple(message_from_json(message) for message in saved["history"])
    return replace(request, **first)


def message_to_json(message: Message) -> dict[str, Any]:
    """Only what is set, as traces show it, and nothing in a vendor's own form."""
    plain = asdict(replace(message, original=None))
    return {name: value for name, value in plain.items() if value or name == "content"}


def message_from_json(saved: Mapping[str, Any]) -> Message:
    calls = tuple(ToolCall(**call) for call in saved.get("tool_calls", ()))
    return Message(**{**saved, "tool_calls": calls, "images": tuple(saved.get("images", ()))})
