"""An answer as server-sent events: reads a run's log, writes frames, never touches the run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from django.http import StreamingHttpResponse

from predictions.flowise import HEARTBEAT, FrameRenderer, with_id
from predictions.passes import Pass
from predictions.seats import Seat
from predictions.stream import EntryId
from predictions.watch import Entry, Watcher

HEARTBEAT_S = 15.0
# What a client is told when this process stops: come back at once, another one continues.
RETRY = b"retry: 500\n\n"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class Frames:
    """The body of a streaming response: one run's frames, from after `after` to the end of the run."""

    def __init__(
        self,
        watcher: Watcher,
        renderer: FrameRenderer,
        *,
        after: EntryId,
        closing: asyncio.Event,
        seat: Seat | None = None,
        shown: Pass | None = None,
    ) -> None:
        self._watcher = watcher
        self._renderer = renderer
        self._after = after
        self._closing = closing
        self._seat = seat
        self._pass = shown

    def close(self) -> None:
        """Called by Django when the response ends, read or not."""
        self._watcher.close()
        if self._seat is not None:
            self._seat.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._closing.is_set():
            entry = await self._watcher.next_entry(timeout_s=HEARTBEAT_S)
            if self._pass is not None and not await self._pass.holds():
                break  # who comes back is told why
            if entry is not None:
                if frames := self._rendered(entry):
                    yield frames
                if entry.settled is not None and entry.id.attempt >= self._after.attempt:
                    return
            elif not self._closing.is_set():
                yield HEARTBEAT
        yield RETRY

    def _rendered(self, entry: Entry) -> bytes:
        """The entry's frames that the viewer lacks, in one piece: some clients parse write by write."""
        written = []
        number = 0
        for name, fields in entry.events:
            for rendered in self._renderer.render(name, fields):
                number += 1
                if rendered and (*entry.id.entry, number) > (*self._after.entry, self._after.frame):
                    place = f"{self._watcher.execution_id}:{entry.id}.{number}.{self._renderer.said}"
                    written.append(with_id(rendered, place))
        return b"".join(written)


def stream_response(frames: Frames, *, execution_id: str) -> StreamingHttpResponse:
    """The response that carries the frames as they come."""
    response = StreamingHttpResponse(frames, content_type="text/event-stream", headers=HEADERS)
    response["X-Execution-Id"] = execution_id
    return response
