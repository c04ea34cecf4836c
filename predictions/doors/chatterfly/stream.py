"""A run over a WebSocket: its events from the first to the last, and what participants say to it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from forjinn.core.errors import AppError, BadRequest, Unavailable
from forjinn.core.sockets import DONE, RESTARTING, Socket, SocketClosed
from predictions.doors.chatterfly.access import Caller, find_own_run, read_caller
from predictions.doors.chatterfly.answers import say
from predictions.doors.chatterfly.frames import Frame, FrameRenderer
from predictions.doors.chatterfly.requests import answer_of
from predictions.passes import Pass
from predictions.pool import DatabaseAway
from predictions.reading import RunReading, read_run
from predictions.seats import take_seat
from predictions.watch import Entry
from predictions.web import WebProcess, web_process

LOOK_S = 15.0  # how long a quiet run is waited for before the process is looked at again
SAYING = ("message", "answer")  # types of what a client sends
PLACE = re.compile(r"(\d{1,9})-(\d{1,10})\.(\d{1,9})")
Place = tuple[int, int, int]  # an attempt, an entry of its log, and how many of that entry's frames somebody has


async def follow(socket: Socket, run_id: str) -> None:
    """Whoever may see the run follows it, from its beginning or behind `?last_event_id=`, until it has ended."""
    try:
        caller = await read_caller(socket.headers, socket.query)
        run = await find_own_run(run_id, caller)
        after = _place(socket.query.get("last_event_id"))
        seat = take_seat(socket.address, caller.key_id)
    except AppError as exc:
        await socket.refuse(exc)
        return
    except DatabaseAway:
        await socket.refuse(Unavailable("Unavailable for the moment: the database cannot be reached"))
        return
    with contextlib.closing(seat):
        await _followed(socket, run, caller, after)


async def _followed(socket: Socket, run: RunReading, caller: Caller, after: Place) -> None:
    await socket.accept()
    viewer = Viewer(socket, web_process(), run, caller, after=after)
    telling = asyncio.create_task(viewer.tell())
    hearing = asyncio.create_task(viewer.hear())
    try:
        await asyncio.wait((telling, hearing), return_when=asyncio.FIRST_COMPLETED)
        with contextlib.suppress(SocketClosed):
            if telling.done():
                await socket.close(telling.result())
            else:
                hearing.result()
    finally:
        for task in (telling, hearing):
            task.cancel()
        await asyncio.gather(telling, hearing, return_exceptions=True)


class Viewer:
    """One who follows a run: is told its frames, and heard."""

    def __init__(self, socket: Socket, process: WebProcess, run: RunReading, caller: Caller, *, after: Place) -> None:
        self._socket = socket
        self._process = process
        self._run = run
        self._key_id = caller.key_id
        self._pass = Pass(lambda: read_caller(socket.headers, socket.query))
        self._after = after
        self._renderer = FrameRenderer(run, is_participant=caller.is_participant)

    async def tell(self) -> int:
        """Send frames until the run has ended or this process is to stop; returns how to close."""
        behind = 0
        with contextlib.suppress(DatabaseAway):
            while (pause := await self._tell_part(behind)) is not None:
                if pause.settled is None or pause.settled["state"] != "WAITING":
                    return DONE
                behind = pause.id.attempt
        return RESTARTING

    async def _tell_part(self, behind: int) -> Entry | None:
        """Up to the run's next pause, or its end, whose entry is returned; None if this process is to stop."""
        with contextlib.closing(self._process.hub.watch(self._run.id, is_live=False, after=behind)) as watcher:
            while not self._process.closing.is_set():
                entry = await watcher.next_entry(timeout_s=LOOK_S)
                if not await self._pass.holds():
                    break  # who comes back is told why
                if entry is not None:
                    await self._tell(entry)
                    if entry.settled is not None:
                        return entry
        return None

    async def hear(self) -> None:
        """Take what the client says until they go away; what cannot be done is told in a frame."""
        with contextlib.suppress(SocketClosed):
            while True:
                said = await self._socket.receive()
                try:
                    await self._hear(said)
                except AppError as exc:
                    await self._send("error", {"message": exc.message, "code": exc.code})
                except DatabaseAway:
                    await self._send("error", {"message": "The database cannot be reached", "code": "unavailable"})

    async def _hear(self, said: str | bytes) -> None:
        try:
            frame = orjson.loads(said)
        except orjson.JSONDecodeError as exc:
            raise BadRequest("Expected JSON") from exc
        if not isinstance(frame, dict) or frame.get("type") not in SAYING:
            raise BadRequest('Expected {"type": "message", "content": ...} or {"type": "answer", "decision": ...}')
        payload = frame.get("payload")
        answer = answer_of(payload if isinstance(payload, dict) else frame)
        await self._pass.check()
        await say(self._process, self._run, answer, address=self._socket.address, key_id=self._key_id)

    async def _tell(self, entry: Entry) -> None:
        """Send those frames of the entry that the viewer lacks."""
        at = _iso(datetime.fromtimestamp(entry.at_ms / 1000, UTC))
        for number, (kind, payload) in enumerate(await self._frames(entry), start=1):
            if (*entry.id.entry, number) > self._after:
                frame_id = f"{entry.id}.{number}"
                await self._socket.send({"id": frame_id, "type": kind, "payload": payload, "timestamp": at})

    async def _frames(self, entry: Entry) -> list[Frame]:
        frames = [frame for name, fields in entry.events for frame in self._renderer.render(name, fields)]
        if entry.settled is not None:
            now = await read_run(self._process.pool, self._run.id) or self._run
            frames += self._renderer.settle(entry.settled, now)
        return frames

    async def _send(self, kind: str, payload: Mapping[str, Any]) -> None:
        await self._socket.send({"type": kind, "payload": payload, "timestamp": _iso(datetime.now(UTC))})


def _place(text: str | None) -> Place:
    """Where a viewer is, from the id of the last frame that they have. Raises BadRequest."""
    if not text:
        return (0, 0, 0)
    found = PLACE.fullmatch(text)
    if found is None:
        raise BadRequest("last_event_id: expected the id of a frame of this run")
    return (int(found[1]), int(found[2]), int(found[3]))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
