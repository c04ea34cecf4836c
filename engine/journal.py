"""What changes with each node: written down, it lets a run whose process has died go on behind its last node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.state import RunState, message_to_json

if TYPE_CHECKING:
    from engine.turn import Running

# The parts of a state by how they change: keys come, change and go; items are added at the end; the rest is replaced.
MAPS = ("values", "outputs", "runs", "jumps", "decisions")
TAILS = ("messages", "reasoning")
WHOLE = ("form", "last_loop", "waiting_jumps", "is_forgetful", "executions", "tokens", "paused_at", "kept")


class Changes:
    """Tells what has changed in a run since it was asked the last time: plain JSON that `fold` reads.

    It grows with what a node did, not with the run: a long run is written down in linear space.
    """

    def __init__(self, running: Running) -> None:
        self._running = running
        self._last = _marks(running.state)
        self._question = running.request.question

    def since_last(self, node_id: str) -> dict[str, Any]:
        """After the turn of this node. It shares its values with the state: write it down before the run goes on."""
        state, last = self._running.state, self._last
        now = self._last = _marks(state)
        changed: dict[str, Any] = {"node": node_id, "queue": list(state.queue)}
        for name in MAPS:
            if change := _map_change(last[name], now[name]):
                changed[name] = change
        for name in WHOLE:
            if now[name] != last[name]:
                changed[name] = now[name]
        if messages := state.messages[last["messages"] :]:
            changed["messages"] = [message_to_json(message) for message in messages]
        if steps := state.reasoning[last["reasoning"] :]:
            changed["reasoning"] = steps
        if now["usage"] != last["usage"]:
            changed["usage"] = asdict(now["usage"])
        if self._running.request.question != self._question:
            changed["question"] = self._question = self._running.request.question
        return changed


def fold(saved: Mapping[str, Any], changes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The snapshot that these changes, oldest first, make of an earlier one."""
    folded: dict[str, Any] = {**saved, **{name: dict(saved[name]) for name in MAPS}}
    for name in TAILS:
        folded[name] = list(saved.get(name, ()))
    asked = dict(saved.get("asked", ()))
    for change in changes:
        for name in MAPS:
            if name in change:
                _apply(folded[name], change[name], key=int if name == "decisions" else str)
        for name in TAILS:
            folded[name] += change.get(name, ())
        folded |= {name: change[name] for name in (*WHOLE, "queue", "usage") if name in change}
        folded["last_output"] = folded["outputs"].get(change["node"], {})
        if "question" in change:
            asked["question"] = change["question"]
    return {**folded, "decisions": [[index, taken] for index, taken in folded["decisions"].items()], "asked": asked}


def _marks(state: RunState) -> dict[str, Any]:
    return {
        **{name: dict(getattr(state, name)) for name in MAPS},
        **{name: getattr(state, name) for name in WHOLE},
        "waiting_jumps": list(state.waiting_jumps),
        "messages": len(state.messages),
        "reasoning": len(state.reasoning),
        "usage": state.usage,
    }


def _map_change(before: Mapping[Any, Any], now: Mapping[Any, Any]) -> dict[str, Any]:
    change: dict[str, Any] = {}
    if is_set := {key: value for key, value in now.items() if key not in before or not _same(before[key], value)}:
        change["set"] = is_set
    if is_gone := [key for key in before if key not in now]:
        change["unset"] = is_gone
    return change


def _same(before: Any, now: Any) -> bool:
    # Most values are the very objects that they were: comparing those whole would make a long run's cost quadratic.
    return before is now or bool(before == now)


def _apply(held: dict[Any, Any], change: Mapping[str, Any], *, key: type[int] | type[str]) -> None:
    for name in change.get("unset", ()):
        held.pop(key(name), None)
    held |= {key(name): value for name, value in change.get("set", {}).items()}
