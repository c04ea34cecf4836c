"""A run as server-sent events: told from its log while it goes on, and from its journal where the log is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import StreamingHttpResponse

from engine.events import TraceEntry
from forjinn.core.jsontext import to_json
from predictions.doors.stepflow.refusals import RunNotFound
from predictions.doors.stepflow.runs import ENDED, Run, ending_of, read_run
from predictions.doors.stepflow.steps import STOPPED, Steps, turns
from predictions.flowise import HEARTBEAT
from predictions.passes import Pass
from predictions.pool import DatabaseAway
from predictions.requests import RequestInvalid
from predictions.seats import Seat
from predictions.sse import HEADERS, HEARTBEAT_S, RETRY
from predictions.stream import CONTINUED, RESUMED
from predictions.watch import END, Entry
from predictions.web import WebProcess

OVER = "end"
LONGEST = 9  # digits of a number in an id


@dataclass(frozen=True, slots=True)
class Place:
    """How many step and status events a viewer has, and whether they have the last of all.

    It holds wherever the run is told from: what comes in another order there is still counted in its own kind's.
    """

    steps: int = 0
    statuses: int = 0
    is_over: bool = False

    @classmethod
    def read(cls, text: str | None) -> Place | None:
        """From the id of an event, such as `2.3` or `2.3.end`; None for nothing. Raises RequestInvalid."""
        if not text:
            return None
        steps, _, rest = text.partition(".")
        statuses, _, over = rest.partition(".")
        if not (_is_number(steps) and _is_number(statuses) and over in ("", OVER)):
            raise RequestInvalid("Last-Event-ID: expected the id of an event of this stream")
        return cls(int(steps), int(statuses), bool(over))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST


class Teller:
    """Writes the events of a run that a viewer lacks.

    Each telling begins with the run: by their number those that the viewer has are left out.
    """

    def __init__(self, place: Place) -> None:
        self._told_steps, self._told_statuses = place.steps, place.statuses
        self.begin_again()

    def begin_again(self) -> None:
        """Tell from the beginning of the run."""
        # The first status is how a run stands of whose steps nothing is known yet.
        self._names, self._ended, self._statuses = Steps(), 0, 1

    def standing(self, run: Run) -> Iterator[bytes]:
        """How it stands, as it was read."""
        if not run.entries and not run.current and not run.has_ended:
            yield from self._status(1, {"status": run.status})
        yield from self._behind(run.entries)
        if run.current:
            yield from self._begin(run.current.id, run.current.label)

    def said(self, entry: Entry) -> Iterator[bytes]:
        """What this entry of the log tells."""
        for name, fields in entry.events:
            match name:
                case "NodeStarted":
                    yield from self._begin(fields["node_id"], fields["label"])
                case "NodeFinished" | "NodeFailed" if fields["entry"]["status"] != STOPPED:
                    yield from self._end(fields["entry"])
                case _ if name == RESUMED or (name == CONTINUED and fields["after"] is None):
                    yield from self._behind(fields["trace"])

    def ending(self, state: str, output: Mapping[str, Any] | None, error: str) -> bytes:
        """The last event."""
        match state:
            case "COMPLETED":
                said = ("complete", {"status": "completed", **ending_of(state, output, error)})
            case "FAILED":
                said = ("error", {"status": "failed", **ending_of(state, output, error)})
            case _:
                said = ("status", {"status": "cancelled"})
        return frame(*said, f"{self._place}.{OVER}")

    @property
    def _place(self) -> str:
        return f"{self._told_steps}.{self._told_statuses}"

    def _behind(self, entries: Iterable[TraceEntry]) -> Iterator[bytes]:
        self.begin_again()
        for node_id, label, entry in turns(entries):
            yield from self._begin(node_id, label) if entry is None else self._end(entry)

    def _begin(self, node_id: str, label: str) -> Iterator[bytes]:
        if name := self._names.begin(node_id, label):
            self._statuses += 1
            yield from self._status(self._statuses, {"status": "running", "stepName": name})

    def _status(self, number: int, said: Mapping[str, Any]) -> Iterator[bytes]:
        if number > self._told_statuses:
            self._told_statuses = number
            yield frame("status", said, self._place)

    def _end(self, entry: TraceEntry) -> Iterator[bytes]:
        yield from self._begin(entry["nodeId"], entry["nodeLabel"])
        step = self._names.end(entry)
        self._ended += 1
        if self._ended > self._told_steps:
            self._told_steps = self._ended
            yield frame("step", step.shown(), self._place)


class Frames:
    """The body of the response: what the viewer of a run lacks, to its end, however long it waits meanwhile."""

    def __init__(self, process: WebProcess, run: Run, place: Place, seat: Seat, shown: Pass) -> None:
        self._process = process
        self._run = run
        self._seat = seat
        self._pass = shown
        self._teller = Teller(place)
        # What came before the last answer that the run waited for is in its journal.
        self._watcher = process.hub.watch(run.id, is_live=False, after=run.attempts_before)

    def close(self) -> None:
        """Called by Django when the response ends, read or not."""
        self._watcher.close()
        self._seat.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        run, closing = self._run, self._process.closing
        if standing := b"".join(self._teller.standing(run)):
            yield standing
        if run.has_ended:
            yield self._teller.ending(run.state, run.output, run.error)
            return
        self._teller.begin_again()
        while not closing.is_set():
            entry = await self._watcher.next_entry(timeout_s=HEARTBEAT_S)
            if not await self._pass.holds():
                break  # who comes back is told why
            if entry is None:
                if not closing.is_set():
                    yield HEARTBEAT
                continue
            try:
                said = await self._told(entry)
            except DatabaseAway:
                break  # another process, or this one later, tells the rest
            if said:
                yield said
            if (settled := entry.settled) and settled["state"] in ENDED:
                yield self._teller.ending(settled["state"], settled["output"], settled["error"])
                return
        yield RETRY

    async def _told(self, entry: Entry) -> bytes:
        if entry.id.number != END:
            return b"".join(self._teller.said(entry))
        # The database says that the run waits or has ended: the log may not have all that came before.
        try:
            process = self._process
            run = await read_run(process.pool, process.redis, self._run.id, access=None)
        except RunNotFound:
            return b""
        return b"".join(self._teller.standing(run))


def follow(process: WebProcess, run: Run, place: Place, seat: Seat, shown: Pass) -> StreamingHttpResponse:
    """The response that tells a run from this place on."""
    frames = Frames(process, run, place, seat, shown)
    response = StreamingHttpResponse(frames, content_type="text/event-stream", headers=HEADERS)
    response["X-Execution-Id"] = str(run.id)
    return response


def frame(event: str, said: Mapping[str, Any], place: str) -> bytes:
    """One event."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (place.encode(), event.encode(), to_json(said))
