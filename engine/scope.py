"""What `{{ references }}` mean: one scope for each node run, a class of them for each kind of graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from engine.context import RunRequest, World
from engine.providers.base import Message
from engine.state import RunState
from engine.templating import MISSING, Path, Reference, as_text, take

STATE = "state"  # {{ state.name }} is short for {{ $flow.state.name }}, unless a node of that id has run
SPEAKERS = {"user": "Human", "assistant": "Assistant"}


class RunScope(ABC):
    """Looks references up in a run. `unresolved` collects those that nothing stands behind."""

    __slots__ = ("_request", "_state", "_world", "unresolved")

    def __init__(self, request: RunRequest, world: World, state: RunState) -> None:
        self._request = request
        self._world = world
        self._state = state
        self.unresolved: list[str] = []

    def look_up(self, reference: Reference) -> Any:
        read = READERS.get(reference.root)
        value = read(self, reference.path) if read else self.node(reference.root, reference.path)
        if value is MISSING:
            self.unresolved.append(reference.text)
        return value

    @abstractmethod
    def whole(self, reference: Reference, value: Any) -> Any:
        """What an input becomes that is nothing but this reference."""

    @abstractmethod
    def node(self, node_id: str, path: Path) -> Any:
        """What a reference to a node stands for, or MISSING."""

    def question(self, path: Path) -> Any:
        return self._request.question

    def attachment(self, path: Path) -> Any:
        return self._request.attachment

    def history(self, path: Path) -> Any:
        return transcript([*self._state.past, *self._state.messages])

    def message_count(self, path: Path) -> Any:
        return max(0, len(self._state.messages) - 1)

    def loop_count(self, path: Path) -> Any:
        return self._state.jumps.get(self._state.last_loop, 0)

    def now(self, path: Path) -> Any:
        return datetime.fromtimestamp(self._world.clock.now(), UTC).isoformat(timespec="milliseconds")

    def form(self, path: Path) -> Any:
        return take(self._state.form, path)

    def webhook(self, path: Path) -> Any:
        return take(self._request.webhook, path)

    def iteration(self, path: Path) -> Any:
        """The item itself, or a part of it; failing that, what is known of its place: index, isFirst, isLast."""
        place = self._request.iteration
        if place is None:
            return MISSING
        value = take(place.get("value"), path)
        return take(place, path) if value is MISSING else value

    def variables(self, path: Path) -> Any:
        return take(self._world.variables, path)

    def flow(self, path: Path) -> Any:
        request = self._request
        known: Mapping[str, Any] = {
            "chatflowid": request.chatflow_id,
            "chatflowId": request.chatflow_id,
            "chatId": request.chat_id,
            "sessionId": request.session_id,
            "input": request.question,
            "state": self._state.values,
        }
        return self.history(()) if path == ("chatHistory",) else take(known, path)


class AgentflowScope(RunScope):
    """References of AgentFlow v2: nodes are known by their latest output."""

    __slots__ = ()

    def node(self, node_id: str, path: Path) -> Any:
        output = self._state.outputs.get(node_id)
        if output is None:
            return take(self._state.values, path) if node_id == STATE and path else MISSING
        if path and path[0] == "output":
            return take(output, path[1:])
        if path and path[:2] != ("data", "instance"):  # how the first v2 exports spelled a bare node id
            return MISSING
        content = output.get("content", MISSING)
        return take(output, ("http", "data")) if content is MISSING else content

    def whole(self, reference: Reference, value: Any) -> Any:
        """A number or a truth value that a node put out stays what it is; all else is text."""
        is_output = reference.root not in READERS and reference.path[:1] == ("output",)
        return value if is_output and isinstance(value, int | float) else as_text(value)


class ClassicScope(RunScope):
    """References of a classic graph: nodes are known by what their edges carry."""

    __slots__ = ()

    def node(self, node_id: str, path: Path) -> Any:
        value = self._state.instances.get(node_id, MISSING)
        return take(value, path[2:]) if len(path) > 2 and value is not MISSING else value

    def whole(self, reference: Reference, value: Any) -> Any:
        return value if reference.root not in READERS else as_text(value)


class MultiagentScope(ClassicScope):
    """References of a multi-agent graph: to what is connected to a node, and to what an agent said last."""

    __slots__ = ()

    def node(self, node_id: str, path: Path) -> Any:
        value = super().node(node_id, path)
        return take(self._state.outputs.get(node_id, {}), ("content",)) if value is MISSING else value


SCOPES: Mapping[str, type[RunScope]] = {
    "CHATFLOW": ClassicScope,
    "AGENTFLOW": AgentflowScope,
    "MULTIAGENT": MultiagentScope,
}


def transcript(messages: Sequence[Message]) -> str:
    """A conversation as text."""
    return "\n".join(f"{SPEAKERS.get(m.role, m.role)}: {m.content}" for m in messages)


READERS: Mapping[str, Callable[[RunScope, Path], Any]] = {
    "question": RunScope.question,
    "file_attachment": RunScope.attachment,
    "chat_history": RunScope.history,
    "runtime_messages_length": RunScope.message_count,
    "loop_count": RunScope.loop_count,
    "current_date_time": RunScope.now,
    "$form": RunScope.form,
    "$webhook": RunScope.webhook,
    "$iteration": RunScope.iteration,
    "$vars": RunScope.variables,
    "$flow": RunScope.flow,
}
SHARED = frozenset({"chat_history", "runtime_messages_length", "loop_count"})


def is_shared(reference: Reference) -> bool:
    """Whether nodes that run before can change what it means, other than by their outputs."""
    if reference.root == "$flow":
        return reference.path[:1] in ((STATE,), ("chatHistory",))
    return reference.root in SHARED or reference.root == STATE
