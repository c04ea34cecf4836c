"""Stepflow's API over HTTP: triggering, looking, following, notifying, and reading its events strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

FRAME = re.compile(
    rb"id: (?P<id>\d+\.\d+(?:\.end)?)\nevent: (?P<event>status|step|complete|error)\ndata: (?P<data>\{.*\})"
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    id: str
    name: str
    data: dict[str, Any]


class Following:
    """A stream that is being read, event by event; it ends when the server ends it."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._chunks = response.iter_raw()
        self._rest = b""

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while b"\n\n" not in self._rest:
            self._rest += next(self._chunks)
        block, _, self._rest = self._rest.partition(b"\n\n")
        if block == b":heartbeat":
            return next(self)
        matched = FRAME.fullmatch(block)
        assert matched, f"not a frame: {block!r}"
        return Event(matched["id"].decode(), matched["event"].decode(), json.loads(matched["data"]))

    def rest(self) -> bytes:
        """All that is left, up to the end of the stream."""
        return self._rest + b"".join(self._chunks)

    def until(self, name: str, **data: Any) -> list[Event]:
        """The events up to and with the next one of this name and with this data."""
        read = []
        for event in self:
            read.append(event)
            if event.name == name and data.items() <= event.data.items():
                return read
        raise AssertionError(f"no {name} {data} in {read}")


class Stepflow:
    """A client: with a key, or with none."""

    def __init__(self, url: str, key: str | None = None) -> None:
        headers = {"X-API-Key": key} if key else {}
        self.http = httpx.Client(base_url=f"{url}/api/stepflow", headers=headers, timeout=60)

    def __enter__(self) -> Stepflow:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def trigger(self, workflow: str, given: Any = None, **headers: str) -> dict[str, Any]:
        """The answer of a trigger that succeeds."""
        answer = self.http.post(f"/trigger/{workflow}", json=given, headers=headers)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def run(self, run_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/runs/{run_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def events(self, run_id: str, **query: str) -> list[Event]:
        """All events of a run, to its end."""
        with self.follow(run_id, **query) as following:
            return list(following.events)

    def follow(self, run_id: str, **query: str) -> Opened:
        return Opened(self.http, run_id, query)


class Opened:
    """A stream, closed behind the block."""

    def __init__(self, client: httpx.Client, run_id: str, query: dict[str, str]) -> None:
        self._stream = client.stream("GET", f"/runs/{run_id}/stream", params=query)

    def __enter__(self) -> Opened:
        self.response = self._stream.__enter__()
        assert self.response.headers["Content-Type"] == "text/event-stream", self.response.read()
        self.events = Following(self.response)
        return self

    def __exit__(self, *exc: Any) -> None:
        self._stream.__exit__(*exc)
