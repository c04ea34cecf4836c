"""A run's events as this API's frames say them: `(type, payload)` pairs.

A renderer is told every event of a run from the first on, also for a viewer who comes back: then its caller keeps quiet
about the frames that the viewer has. What a lost log had to tell is told from the run's trace and conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from predictions.doors.chatterfly.showing import CANCELLED, shown_messages, status_of
from predictions.reading import RunReading, run_name

Fields = Mapping[str, Any]
Frame = tuple[str, dict[str, Any]]

STOPPED = "STOPPED"  # the status of a node that waits
BROKEN = "ERROR"


class FrameRenderer:
    """Of one run. A participant is not told what steps put out, nor the run's state."""

    def __init__(self, run: RunReading, *, is_participant: bool) -> None:
        self._run = run
        self._is_participant = is_participant
        self._has_started = False
        self._started: list[str] = []  # nodes that have begun and not ended
        self._known = 0  # entries of the trace that viewers have been told of
        self._values: Fields = run.input
        self._messages: set[UUID] = set()
        self._asked = ""  # the node that waits for a participant

    def render(self, name: str, fields: Fields) -> Iterator[Frame]:
        """The frames of one event but the last, by the name of its class in `engine.events`."""
        match name:
            case "RunStarted":
                yield from self._start()
            case "NodeStarted":
                yield self._begun(fields["node_id"], fields["label"])
            case "NodeFinished" | "NodeFailed":
                yield from self._ended(fields["entry"])
            case "TokenEmitted":
                yield "message.delta", {"step_id": fields["node_id"], "text": fields["text"]}
            case "Retracted":
                yield "message.retracted", {"step_id": fields["node_id"], "length": fields["length"]}
            case "Resumed":
                yield from self._catch_up(fields["trace"])
                yield from self._answered()
            case "Continued" if fields["after"] is None:
                yield from self._catch_up(fields["trace"])

    def settle(self, settled: Fields, now: RunReading) -> Iterator[Frame]:
        """The frames of an end, or of a pause; `now` is the run as it stands."""
        output = settled.get("output") or {}
        yield from self._catch_up(output.get("agentFlowExecutedData") or ())
        yield from self._said(now, last=output.get("chatMessageId"))
        match settled["state"]:
            case "WAITING":
                yield from self._wait(output, now)
            case "COMPLETED":
                yield "run.completed", {**self._ids(), "status": "completed", **self._state()}
            case _:
                error = settled["error"] or CANCELLED
                yield "run.failed", {**self._ids(), "status": "failed", "error": error, **self._state()}

    def _start(self) -> Iterator[Frame]:
        if not self._has_started:
            self._has_started = True
            yield "run.started", {**self._ids(), "status": "running", **self._state()}

    def _begun(self, node_id: str, label: str) -> Frame:
        self._started.append(node_id)
        return "step.started", {"step_id": node_id, "name": label}

    def _ended(self, entry: Fields) -> Iterator[Frame]:
        node_id, label, data = entry["nodeId"], entry["nodeLabel"], entry["data"]
        if node_id not in self._started:
            yield self._begun(node_id, label)
        if entry.get("status") == STOPPED:
            self._asked = node_id
            return
        self._started.remove(node_id)
        self._known += 1
        step = {"step_id": node_id, "name": label}
        if entry.get("status") == BROKEN:
            yield "step.failed", {**step, "error": str(data.get("error") or "")}
        else:
            yield "step.completed", step if self._is_participant else {**step, "output": data.get("output") or {}}
        values = {**self._run.input, **(data.get("state") or {})}
        if values != self._values:
            self._values = values
            if not self._is_participant:
                yield "state.updated", self._state()

    def _catch_up(self, trace: Sequence[Fields]) -> Iterator[Frame]:
        """What the log should have told and has lost."""
        if len(trace) > self._known:
            yield from self._start()
        for entry in trace[self._known :]:
            if entry.get("status") != STOPPED or self._asked != entry["nodeId"]:
                yield from self._ended(entry)

    def _said(self, now: RunReading, *, last: str | None) -> Iterator[Frame]:
        """Messages up to the last of this part of the run: who comes late finds those of later parts there, too."""
        limit = UUID(last) if last else None
        for message_id, message in shown_messages(now):
            if message_id in self._messages or (limit is not None and message_id > limit):
                continue
            self._messages.add(message_id)
            yield "message.created", message

    def _wait(self, output: Fields, now: RunReading) -> Iterator[Frame]:
        action = output.get("action") or {}
        is_asked = bool(action or output.get("text"))
        step = {"step_id": self._asked or None}
        if is_asked:
            yield "hitl.opened", {**step, **_asked_for(output, action)}
        else:
            self._asked = ""
        is_still = now.state == "WAITING"
        status = status_of(now) if is_still else "waiting_for_input" if is_asked else "waiting"
        yield "run.waiting", {**self._ids(), "status": status, **step}

    def _answered(self) -> Iterator[Frame]:
        if self._asked:
            yield "hitl.completed", {"step_id": self._asked}
            self._asked = ""

    def _ids(self) -> dict[str, Any]:
        return {"run_id": run_name(self._run.id)}

    def _state(self) -> dict[str, Any]:
        return {} if self._is_participant else {"state": self._values}


def _asked_for(output: Fields, action: Fields) -> dict[str, Any]:
    """What a participant is asked: for a decision between two, or for a message."""
    if not action:
        return {"kind": "message", "prompt": output.get("text") or ""}
    labels = action.get("mapping") or {}
    choices = (("proceed", labels.get("approve", "Proceed")), ("reject", labels.get("reject", "Reject")))
    options = [{"decision": decision, "label": label} for decision, label in choices]
    return {"kind": "decision", "prompt": output.get("text") or "", "options": options}
