"""All WebSocket routes, and what answers where there is none."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from forjinn.core.errors import NotFound
from forjinn.core.scopes import request_scope
from forjinn.core.sockets import Receive, Scope, Send, Socket
from predictions.doors.chatterfly.stream import follow

ROUTES: tuple[tuple[re.Pattern[str], Callable[..., Awaitable[None]]], ...] = (
    (re.compile(r"/api/v1/runs/(?P<run_id>[^/]+)/stream"), follow),
)


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand the connection to the view of its path."""
    socket = Socket(scope, receive, send)
    for pattern, view in ROUTES:
        if found := pattern.fullmatch(socket.path):
            with request_scope():
                await view(socket, **found.groupdict())
            return
    await socket.refuse(NotFound(f"Nothing here: {socket.path[:200]}"))
