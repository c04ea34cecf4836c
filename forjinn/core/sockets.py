"""One WebSocket connection, as the views of run APIs see it: refused or accepted, then JSON both ways."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from forjinn.core.errors import AppError, error_body, error_headers

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

DONE = 1000
RESTARTING = 1012  # the client comes back, to any other process
DENIAL = "websocket.http.response"  # servers that can refuse an upgrade with an answer say so


class SocketClosed(Exception):
    """The client has gone away."""


class Socket:
    """Accept or refuse it first; `error_body` takes it for the request that it began as."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.path: str = scope["path"]
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        # The server logs the address when it accepts: tokens are in the query, and must not be in logs.
        self.query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        scope["query_string"] = b""

    @property
    def address(self) -> str:
        """Who calls."""
        return (self._scope.get("client") or ("",))[0]

    async def accept(self) -> None:
        """Let them in."""
        await self._receive()  # that they want to connect
        await self._send({"type": "websocket.accept"})

    async def refuse(self, error: AppError) -> None:
        """Answer the upgrade as any other call is refused; instead of `accept`."""
        await self._receive()
        if DENIAL not in (self._scope.get("extensions") or {}):
            await self._send({"type": "websocket.close", "code": 4000 + error.status})
            return
        headers = {"Content-Type": "application/json", **error_headers(error)}
        await self._send(
            {
                "type": "websocket.http.response.start",
                "status": error.status,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            }
        )
        await self._send({"type": "websocket.http.response.body", "body": orjson.dumps(error_body(error, self))})

    async def send(self, frame: Mapping[str, Any]) -> None:
        """Send JSON; waits while the client is slow to read. Raises SocketClosed."""
        try:
            await self._send({"type": "websocket.send", "text": orjson.dumps(frame).decode()})
        except OSError as exc:
            raise SocketClosed from exc

    async def receive(self) -> str | bytes:
        """What the client says next. Raises SocketClosed."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise SocketClosed
        said: str | bytes = message.get("text") or message.get("bytes") or ""
        return said

    async def close(self, code: int = DONE) -> None:
        """End the connection in order. Raises SocketClosed."""
        try:
            await self._send({"type": "websocket.close", "code": code})
        except OSError as exc:
            raise SocketClosed from exc
