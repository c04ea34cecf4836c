"""Predictions over HTTP: asking, listening to the end or for a while, and reading frames strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

# Exactly what every published client splits on; the `id:` line is ours, and unknown lines are ignored by all of them.
FRAME = re.compile(rb'(?:id: (?P<id>[0-9a-f-]{36}:\S+)\n)?message:\ndata:(?P<data>\{"event":.*\})')


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream."""

    id: str
    event: str
    data: Any


def read_frame(block: bytes) -> Frame:
    matched = FRAME.fullmatch(block)
    assert matched, f"not a frame: {block!r}"
    body = json.loads(matched["data"])
    return Frame((matched["id"] or b"").decode(), body["event"], body["data"])


def read_frames(body: bytes) -> list[Frame]:
    """All frames of a stream that has ended; heartbeats are left out."""
    assert body.endswith(b"\n\n"), "the last frame is cut off"
    return [read_frame(block) for block in body.split(b"\n\n")[:-1] if block != b":heartbeat"]


def names(frames: list[Frame]) -> list[str]:
    return [frame.event for frame in frames]


def text_of(frames: list[Frame]) -> str:
    return "".join(frame.data for frame in frames if frame.event == "token")


def data_of(frames: list[Frame], event: str) -> Any:
    """What the one event of this name carries."""
    [found] = [frame.data for frame in frames if frame.event == event]
    return found


class Listening:
    """A stream that is being read: frames one by one, as they come."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._chunks = response.iter_raw()
        self._rest = b""

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        while b"\n\n" not in self._rest:
            self._rest += next(self._chunks)
        block, _, self._rest = self._rest.partition(b"\n\n")
        return next(self) if block == b":heartbeat" else read_frame(block)

    def rest(self) -> bytes:
        """All that is left, up to the end of the stream."""
        return self._rest + b"".join(self._chunks)

    def until(self, event: str) -> list[Frame]:
        """The frames up to and with the next one of this name."""
        read = []
        for frame in self:
            read.append(frame)
            if frame.event == event:
                return read
        raise AssertionError(f"no {event} in {names(read)}")


class Caller:
    """Somebody who asks flows, with a key or without."""

    def __init__(self, url: str, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=60)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def predict(
        self, flow_id: str, question: str | None = None, headers: Mapping[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        asked = body if question is None else {"question": question, **body}
        return self.http.post(f"/prediction/{flow_id}", json=asked, headers=headers)

    def answer(self, flow_id: str, question: str | None = None, **body: Any) -> dict[str, Any]:
        """The body of a prediction that succeeds."""
        response = self.predict(flow_id, question, **body)
        assert response.status_code == 200, response.text
        answered: dict[str, Any] = response.json()
        return answered

    def stream(self, flow_id: str, question: str | None = None, **body: Any) -> list[Frame]:
        """All frames of a streamed prediction."""
        response = self.predict(flow_id, question, streaming=True, **body)
        assert response.headers["Content-Type"] == "text/event-stream", response.text
        return read_frames(response.content)

    def resume(self, flow_id: str, last_event_id: str) -> httpx.Response:
        return self.http.post(f"/prediction/{flow_id}", headers={"Last-Event-ID": last_event_id})
