"""An MCP server over real HTTP, in the test's own loop: it adds and it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

ADD = {
    "name": "add",
    "description": "Adds two numbers.",
    "inputSchema": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
}
FAIL = {"name": "fail.loudly", "description": "Fails.", "inputSchema": {"type": "object"}}


@dataclass
class ServedTools:
    """Serves one tool a page. `speaks_events`: answers come as event streams, with other messages before them."""

    url: str = ""
    speaks_events: bool = False
    sessions: list[str] = field(default_factory=list)  # those that it knows
    received: list[tuple[Mapping[str, str], Mapping[str, Any]]] = field(default_factory=list)

    @property
    def methods(self) -> list[str]:
        return [body["method"] for _, body in self.received]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append((headers, body))
        if body["method"] == "initialize":
            self.sessions.append(f"session-{len(self.received)}")
        elif headers.get("mcp-session-id") not in self.sessions:
            return web.json_response({"error": "no such session"}, status=404)
        if "id" not in body:
            return web.Response(status=202)
        message = {"jsonrpc": "2.0", "id": body["id"], **self._said(body["method"], body.get("params") or {})}
        named = {"Mcp-Session-Id": self.sessions[-1]} if body["method"] == "initialize" else {}
        if not self.speaks_events:
            return web.json_response(message, headers=named)
        response = web.StreamResponse(headers={**named, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        aside = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "working"}}
        for event in (aside, message):
            await response.write(b": ping\n\nevent: message\ndata: " + orjson.dumps(event) + b"\n\n")
        return response

    def _said(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        match method:
            case "initialize":
                return {"result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}}
            case "tools/list":
                is_second = params.get("cursor") == "more"
                return {"result": {"tools": [FAIL]} if is_second else {"tools": [ADD], "nextCursor": "more"}}
            case "tools/call" if params["name"] == "add":
                total = params["arguments"]["a"] + params["arguments"]["b"]
                return {"result": {"content": [{"type": "text", "text": str(total)}, {"type": "image"}]}}
            case "tools/call":
                return {"result": {"content": [{"type": "text", "text": "as I said"}], "isError": True}}
        return {"error": {"code": -32601, "message": f"no {method} here"}}


@asynccontextmanager
async def mcp_server(*, speaks_events: bool = False) -> AsyncIterator[ServedTools]:
    """A running server on a free port."""
    server = ServedTools(speaks_events=speaks_events)
    app = web.Application()
    app.router.add_post("/mcp", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    try:
        yield server
    finally:
        await runner.cleanup()
