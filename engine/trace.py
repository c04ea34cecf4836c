"""Trace entries: what each node was given and what it gave, as people may see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from engine.events import TraceEntry
from engine.state import message_to_json

if TYPE_CHECKING:
    from engine.plan import Step
    from engine.providers.base import Message

Status = Literal["FINISHED", "STOPPED", "ERROR", "TERMINATED"]
PLAIN = (str, int, float, bool, dict)


def without_secrets(value: Any, secrets: frozenset[str]) -> Any:
    """A copy without the keys that name secrets, on every level."""
    if isinstance(value, Mapping):
        return {key: without_secrets(held, secrets) for key, held in value.items() if key not in secrets}
    return [without_secrets(item, secrets) for item in value] if isinstance(value, list | tuple) else value


def shown_inputs(step: Step, inputs: Mapping[str, Any], secrets: frozenset[str]) -> dict[str, Any]:
    """The inputs of one run; a model or a tool that came along an edge is left out."""
    shown = dict(step.shown)
    hidden = secrets | step.node.secrets | step.spec.secrets
    for name, _ in step.dynamic:
        value = inputs.get(name)
        if name not in hidden and _is_plain(value):
            shown[name] = without_secrets(value, secrets) if isinstance(value, list | dict) else value
    return shown


def _is_plain(value: Any) -> bool:
    return all(map(_is_plain, value)) if isinstance(value, list) else isinstance(value, PLAIN)


def make_entry(
    step: Step,
    *,
    shown: Any,
    output: Mapping[str, Any],
    state: Mapping[str, Any],
    previous: Sequence[str],
    status: Status = "FINISHED",
    messages: Iterable[Message] = (),
    warnings: Sequence[str] = (),
    error: str = "",
) -> TraceEntry:
    """The entry of one node run. `state` is the run's after it."""
    node = step.node
    entry: dict[str, Any] = {"id": node.id, "name": node.name, "input": shown, "output": output, "state": dict(state)}
    if history := [message_to_json(message) for message in messages]:
        entry["chatHistory"] = history
    if warnings:
        entry["warnings"] = list(warnings)
    if error:
        entry["error"] = error
    return {
        "nodeId": node.id,
        "nodeLabel": node.label,
        "data": entry,
        "previousNodeIds": list(previous),
        "status": status,
    }
