"""The steps of a run: each turn of a node is one, under a name that it keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.utils.text import slugify

from engine.events import TraceEntry

UNNAMED = "step"
STOPPED = "STOPPED"  # the status of an entry whose node waits: its turn has not ended
COMPLETED = "FINISHED"


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it is shown. `result` and `error` only where there is one."""

    name: str
    status: str
    result: Any = None
    error: str = ""

    def shown(self) -> dict[str, Any]:
        """On the wire."""
        said: dict[str, Any] = {"name": self.name, "status": self.status}
        if self.status == "completed":
            said["result"] = self.result
        if self.error:
            said["error"] = self.error
        return said


class Steps:
    """Names the steps of one run, which is told of from its beginning.

    A name is the node's label in words and hyphens; the second step that would have it is `name-2`. As nodes take their
    turns one after the other, whoever tells of the same run gets the same names.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._open: dict[str, str] = {}  # by node

    def begin(self, node_id: str, label: str) -> str | None:
        """The name of the step that begins; None if that has begun before: it waited, or its worker died."""
        if node_id in self._open:
            return None
        self._open[node_id] = name = self._free(slugify(label) or UNNAMED)
        return name

    def end(self, entry: TraceEntry) -> Step:
        """The step that ends with this entry; it has begun."""
        name, output = self._open.pop(entry["nodeId"]), entry["data"].get("output") or {}
        if entry["status"] == COMPLETED:
            return Step(name, "completed", result_of(output))
        return Step(name, "failed", error=str(entry["data"].get("error") or output.get("error") or "It was cancelled"))

    def name_of(self, node_id: str) -> str | None:
        """The name of a node's step that has begun and not ended."""
        return self._open.get(node_id)

    def _free(self, name: str) -> str:
        number, free = 1, name
        while free in self._names:
            number += 1
            free = f"{name}-{number}"
        self._names.add(free)
        return free


def turns(entries: Iterable[TraceEntry]) -> Iterator[tuple[str, str, TraceEntry | None]]:
    """Beginnings (node, label, None) and ends (node, label, entry) of turns, in order, as a run's events tell them.

    An iteration is written down behind what stands inside it, and begins before.
    """
    entries = list(entries)
    labels = {entry["nodeId"]: entry["nodeLabel"] for entry in entries}
    for entry in entries:
        around = entry["data"].get("parentNodeId")
        if around in labels:
            yield around, labels[around], None
        yield entry["nodeId"], entry["nodeLabel"], None
        if entry["status"] != STOPPED:
            yield entry["nodeId"], entry["nodeLabel"], entry


def steps_of(entries: Iterable[TraceEntry], current: tuple[str, str] | None, *, is_waiting: bool) -> list[Step]:
    """All steps of a run; `current` is the node that runs or waits now, and its label."""
    steps, ended = Steps(), []
    for node_id, label, entry in turns(entries):
        if entry is None:
            steps.begin(node_id, label)
        else:
            ended.append(steps.end(entry))
    if current is None:
        return ended
    node_id, label = current
    name = steps.begin(node_id, label) or steps.name_of(node_id) or UNNAMED
    return [*ended, Step(name, "pending" if is_waiting else "running")]


def result_of(output: Mapping[str, Any]) -> Any:
    """What a step gave: what was reported to one that waited for an event, JSON or text of one that says something,
    or else the whole."""
    if "event" in output and "timeout" in output:
        return {"eventData": output.get("data"), "timeout": output["timeout"]}
    if output.get("json") is not None:
        return output["json"]
    if isinstance(content := output.get("content"), str) and (content or len(output) == 1):
        return value_of(content)
    return output


def value_of(text: str) -> Any:
    """The text; if it is that of a JSON object or list, as functions answer, what it says."""
    if text[:1] in ("{", "["):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
    return text
