"""A scripted web server over real HTTP, in the test's own loop: what tools call."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Received:
    """A request that the server was sent."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: Any  # parsed JSON, by lines a list; None if there was none


@dataclass
class WebServer:
    """Gives `answers` (status, text) in order, then `{}`; the text of a redirect is where it leads."""

    url: str = ""
    answers: deque[tuple[int, str]] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await _read(request)
        self.received.append(Received(request.method, request.path, dict(request.query), headers, body))
        status, text = self.answers.popleft() if self.answers else (200, "{}")
        place = {"Location": text} if 300 <= status < 400 else {}
        kind = "text/html" if text.startswith("<html") else "text/plain"
        return web.Response(status=status, text=text, headers=place, content_type=kind)


async def _read(request: web.Request) -> Any:
    if not request.body_exists:
        return None
    if request.content_type == "application/x-ndjson":
        return [json.loads(line) for line in (await request.text()).splitlines()]
    return await request.json()


@asynccontextmanager
async def web_server(*answers: tuple[int, str]) -> AsyncIterator[WebServer]:
    """A running server on a free port."""
    server = WebServer(answers=deque(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
