"""A run that goes on after its worker's death: what viewers have been told already is not told again.

The new attempt does again what was not yet written down. Of its events those that the log of the earlier attempts
holds are swallowed, so that every viewer sees each once and in order. A model may say something else the second time:
then `Retracted` takes back what had been said and not written down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from engine.events import Event
from predictions.stream import CONTINUED, RESUMED, RETRACTED, EntryId, Pair

TOKEN = "TokenEmitted"  # noqa: S105 -- the name of an event
THINKING = "ThinkingEmitted"
ENDS_OF_NODES = ("NodeFinished", "NodeFailed")
OURS = (CONTINUED, RESUMED)


class Shown:
    """The log of a run's attempts since its last pause, as Redis has it when another attempt begins."""

    def __init__(self, entries: Sequence[tuple[EntryId, Sequence[Any]]], *, first_attempt: int) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.last: EntryId | None = None
        expected = EntryId(first_attempt, 1)
        for entry_id, events in entries:
            is_next = entry_id == expected or (entry_id.number == 1 and _follows_on(events, self.last))
            if not is_next:
                # A part of the log is gone: nobody can say what viewers have seen.
                self.events, self.last = [], None
                return
            self._take(events)
            self.last = entry_id
            expected = EntryId(entry_id.attempt, entry_id.number + 1)

    def _take(self, events: Sequence[Any]) -> None:
        for name, fields in events:
            if name == RETRACTED:
                self._retract(fields["length"])
            elif name not in OURS:
                self.events.append((name, fields))

    def _retract(self, length: int) -> None:
        """What was taken back has not been said."""
        for index in range(len(self.events) - 1, -1, -1):
            name, fields = self.events[index]
            if length and name == TOKEN:
                kept = fields["text"][: max(0, len(fields["text"]) - length)]
                length -= len(fields["text"]) - len(kept)
                self.events[index] = (name, {**fields, "text": kept})


def _follows_on(events: Sequence[Any], last: EntryId | None) -> bool:
    return bool(events) and events[0][0] == CONTINUED and events[0][1]["after"] == str(last)


class Continuation:
    """Lets through what viewers do not know yet of a run that goes on behind `kept`, the entries written down so far.

    With no log to compare with, everything is let through, behind an event that tells what came before.
    """

    def __init__(self, shown: Shown, kept: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> None:
        """`before`: the trace up to the run's last pause."""
        self._expected: deque[tuple[str, str]] = deque()
        self._said: dict[str, str] = {}  # by node: told before, not told again yet
        self._thought: set[str] = set()
        self.opening: list[Pair] = []
        if shown.last is None:
            self.opening.append((CONTINUED, {"after": None, "trace": [*before, *kept]}))
            return
        self.opening.append((CONTINUED, {"after": str(shown.last), "trace": []}))
        behind = _behind(shown.events, len(kept))
        if behind is None:  # written down, but nobody heard of it any more
            self.opening += _untold(shown.events, kept)
            behind = len(shown.events)
        for name, fields in shown.events[behind:]:
            node_id = fields.get("node_id", "")
            if name == TOKEN:
                self._said[node_id] = self._said.get(node_id, "") + fields["text"]
            elif name == THINKING:
                self._thought.add(node_id)
            else:
                self._expected.append((name, node_id))
        if behind:
            self._expected.appendleft(("RunStarted", ""))

    def fresh(self, event: Event) -> Iterator[Pair]:
        """The event, if it is news; before it, what it takes back."""
        name = type(event).__name__
        node_id = getattr(event, "node_id", "")
        if name == TOKEN and self._said:
            yield from self._told_again(event, node_id)
        elif name == THINKING and node_id in self._thought:
            return
        elif self._expected and self._expected[0] == (name, node_id):
            self._expected.popleft()
        else:
            if name in ENDS_OF_NODES and (untold := self._said.pop(node_id, "")):
                yield RETRACTED, {"node_id": node_id, "length": len(untold)}
            yield name, event

    def _told_again(self, event: Event, node_id: str) -> Iterator[Pair]:
        text: str = asdict(event)["text"]
        known = self._said.pop(node_id, "")
        if known.startswith(text):
            if rest := known[len(text) :]:
                self._said[node_id] = rest
            return
        if not text.startswith(known):
            # It speaks in other words now: what is left of the old ones, at the end of all that was said, goes.
            same = _common(known, text)
            yield RETRACTED, {"node_id": node_id, "length": len(known) - same}
            known = known[:same]
        yield TOKEN, {**asdict(event), "text": text[len(known) :]}


def _behind(events: Sequence[tuple[str, Mapping[str, Any]]], kept: int) -> int | None:
    """The place behind the events of the first `kept` nodes to end; None if fewer have been told."""
    if not kept:
        return 0
    for index, (name, _) in enumerate(events):
        kept -= name in ENDS_OF_NODES
        if not kept:
            return index + 1
    return None


def _untold(events: Sequence[tuple[str, Mapping[str, Any]]], kept: Sequence[Mapping[str, Any]]) -> Iterator[Pair]:
    """The ends of nodes that were written down and not told, and what their answers lack."""
    told = [(name, str(fields.get("node_id", ""))) for name, fields in events]
    count = sum(name in ENDS_OF_NODES for name, _ in told)
    for entry in kept[count:]:
        node_id, data = str(entry["nodeId"]), entry["data"]
        node = {"node_id": node_id, "label": entry["nodeLabel"]}
        if told.count(("NodeStarted", node_id)) <= sum((name, node_id) in told for name in ENDS_OF_NODES):
            yield "NodeStarted", node
        had = "".join(fields["text"] for name, fields in events if name == TOKEN and fields["node_id"] == node_id)
        whole = (data.get("output") or {}).get("content")
        if had and isinstance(whole, str) and whole.startswith(had) and len(whole) > len(had):
            yield TOKEN, {"node_id": node_id, "text": whole[len(had) :]}
        if entry.get("status") == "ERROR":
            yield "NodeFailed", {**node, "entry": entry, "error": str(data.get("error", ""))}
        else:
            yield "NodeFinished", {**node, "entry": entry}


def _common(one: str, other: str) -> int:
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return min(len(one), len(other))
