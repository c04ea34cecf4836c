"""A client of the Model Context Protocol over Streamable HTTP: which tools a server has, and what they say.

Source: modelcontextprotocol.io, specification 2025-06-18.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from yarl import URL

from engine.errors import NodeError, ProviderError
from engine.http import HttpClient, Patience, StreamedAnswer
from engine.providers.base import ToolSpec
from engine.providers.refusals import MAX_MESSAGE, refusal, scrub
from engine.tools import tool_name

VERSION = "2025-06-18"
CLIENT = {"name": "forjinn", "version": "1"}
MOST_PAGES = 20  # of a list of tools
MOST_BYTES = 4 * 1024 * 1024  # of one answer
PATIENCE = Patience(60.0, 60.0)


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool as its server names it, and as a model is told of it."""

    name: str
    spec: ToolSpec


@dataclass(slots=True)
class McpServer:
    """One server, and a session with it that begins with the first call."""

    url: str
    http: HttpClient
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a key
    _session: str | None = None
    _version: str = ""
    _has_begun: bool = False
    _last_id: int = 0

    async def tools(self) -> list[ServerTool]:
        """All tools that it offers. Raises ProviderError if it refuses, or does not speak the protocol."""
        tools: list[ServerTool] = []
        cursor: Any = None
        for _ in range(MOST_PAGES):
            page = await self._ask("tools/list", {"cursor": cursor} if cursor else {})
            tools += [_tool(given) for given in _list(page, "tools") if isinstance(given.get("name"), str)]
            cursor = page.get("nextCursor")
            if not cursor:
                break
        return tools

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """What the tool says, as text. Raises NodeError for what it calls an error."""
        result = await self._ask("tools/call", {"name": name, "arguments": dict(arguments)})
        text = _text(result)
        if result.get("isError"):
            raise NodeError(scrub(text, self._secrets) or f"{name} failed without saying why.")
        return text

    async def _ask(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        had_begun = self._has_begun
        await self._begin()
        try:
            return await self._request(method, params)
        except ProviderError as exc:
            # The server has forgotten the session: what the specification wants then is a new one.
            if exc.status != 404 or not had_begun:
                raise
        self._has_begun, self._session = False, None
        await self._begin()
        return await self._request(method, params)

    async def _begin(self) -> None:
        if self._has_begun:
            return
        self._version = ""
        told = await self._request("initialize", {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": CLIENT})
        self._version = str(told.get("protocolVersion") or VERSION)
        await self._send({"jsonrpc": "2.0", "method": "notifications/initialized"}, None)
        self._has_begun = True

    async def _request(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        self._last_id += 1
        message = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        answer = await self._send(message, self._last_id)
        if isinstance(error := answer.get("error"), Mapping):
            reason = scrub(str(error.get("message")), self._secrets)[:MAX_MESSAGE]
            raise ProviderError(f"{self._host} refused {method}: {reason}", retryable=False)
        result = answer.get("result")
        if not isinstance(result, Mapping):
            raise self._stranger()
        return result

    async def _send(self, message: Mapping[str, Any], wanted: int | None) -> Mapping[str, Any]:
        """Post a message; `wanted` is the id of the answer to wait for, None for a notification."""
        own = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        session = {"Mcp-Session-Id": self._session} if self._session else {}
        version = {"MCP-Protocol-Version": self._version} if self._version else {}
        headers = {**self.headers, **own, **session, **version}
        body = orjson.dumps(message, default=dict)
        async with self.http.stream("POST", self.url, headers=headers, body=body, patience=PATIENCE) as answer:
            if answer.status >= 300:
                content = await answer.read(MOST_BYTES)
                raise refusal(self._host, answer.status, content, headers=answer.headers, secrets=self._secrets)
            self._session = answer.headers.get("mcp-session-id", self._session)
            if wanted is None:
                return {}
            async for text in _messages(answer):
                if (found := _parsed(text)) is not None and found.get("id") == wanted and "method" not in found:
                    return found
        raise self._stranger()

    @property
    def _host(self) -> str:
        return URL(self.url).host or self.url

    @property
    def _secrets(self) -> list[str]:
        """What headers hold, whole and behind a word such as Bearer: servers repeat either."""
        return [part for value in self.headers.values() for part in (value, value.rpartition(" ")[2])]

    def _stranger(self) -> ProviderError:
        return ProviderError(
            f"{self._host} does not answer as an MCP server with Streamable HTTP: check its address.", retryable=False
        )


async def _messages(answer: StreamedAnswer) -> AsyncIterator[bytes]:
    """The JSON texts of an answer: one, or those of an event stream as they come. Raises ProviderError if too long."""
    if "text/event-stream" not in answer.headers.get("content-type", ""):
        yield await answer.read(MOST_BYTES)
        return
    rest, event, size = b"", [], 0
    while chunk := await answer.chunk():
        size += len(chunk)
        if size > MOST_BYTES:
            raise ProviderError(f"The MCP server sent more than the {MOST_BYTES} bytes allowed.", retryable=False)
        *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                event.append(line[5:].strip())
            elif not line and event:
                yield b"\n".join(event)
                event = []
    if event:
        yield b"\n".join(event)


def _parsed(text: bytes) -> Mapping[str, Any] | None:
    try:
        message = orjson.loads(text)
    except ValueError:
        return None
    return message if isinstance(message, Mapping) else None


def _list(page: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items = page.get(name)
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _tool(given: Mapping[str, Any]) -> ServerTool:
    schema = given.get("inputSchema")
    parameters = schema if isinstance(schema, Mapping) else {"type": "object", "properties": {}}
    name = str(given["name"])
    return ServerTool(name, ToolSpec(tool_name(name), str(given.get("description") or name)[:1024], parameters))


def _text(result: Mapping[str, Any]) -> str:
    """The texts of a result; what is neither text nor resource is named, as models of tools are shown text."""
    parts = []
    for part in _list(result, "content"):
        resource = part.get("resource")
        if isinstance(part.get("text"), str):
            parts.append(part["text"])
        elif isinstance(resource, Mapping) and isinstance(resource.get("text"), str):
            parts.append(resource["text"])
        else:
            parts.append(f"[{part.get('type')}]")
    if not parts and result.get("structuredContent") is not None:
        return orjson.dumps(result["structuredContent"]).decode()
    return "\n".join(parts)
