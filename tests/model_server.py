"""A scripted language model behind real HTTP: OpenAI's and Anthropic's wire formats, streamed or not.

    with ScriptedModel("Hello!", Reply(status=500)) as model:
        ...  # a flow whose model has basepath=model.url
    assert model.requests[0].question == "hi"

It runs in a thread of its own, so synchronous tests, asynchronous tests and other processes can all call it.
Without a script it says "You said: ..." to the last user message.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import orjson
from aiohttp import web

from engine.providers.fake import words_vector
from tests import model_wire
from tests.model_wire import Reply, Wire

Answer = Callable[["Request"], Reply | str]


@dataclass(frozen=True, slots=True)
class Request:
    """What the model was sent."""

    path: str
    headers: Mapping[str, str]  # names in lower case
    body: Mapping[str, Any]
    query: Mapping[str, str] = field(default_factory=dict)
    peer: Any = None  # the connection it came by

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        return list(self.body.get("messages", ()))

    @property
    def question(self) -> str:
        """Text of the last user message."""
        said = [model_wire.text_of(m.get("content")) for m in self.messages if m.get("role") == "user"]
        return said[-1] if said else ""


def echo(request: Request) -> Reply:
    return Reply(f"You said: {request.question}")


class ScriptedModel:
    """Gives the queued replies in order, then whatever `answer` makes of the request."""

    def __init__(
        self,
        *replies: Reply | str,
        answer: Answer = echo,
        token_delay_s: float = 0.0,
        first_token_delay_s: float = 0.0,
        port: int = 0,
    ) -> None:
        self.token_delay_s = token_delay_s
        self.first_token_delay_s = first_token_delay_s
        self.requests: list[Request] = []
        self.embedded: list[Request] = []  # calls for embeddings, apart from the others
        self.embedding_refusals: deque[int] = deque()  # the statuses that the next of them get
        self.hung_up = threading.Event()  # a caller left before its answer was complete
        self.stalled = threading.Event()  # an answer has reached its `stall_after`
        self._replies: deque[Reply | str] = deque(replies)
        self._answer = answer
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._released = asyncio.Event()
        self._started = threading.Event()
        self._connections: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()
        self._thread = threading.Thread(target=self._serve, name="scripted-model", daemon=True)

    def __enter__(self) -> ScriptedModel:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> ScriptedModel:
        self._thread.start()
        self._started.wait()
        return self

    def stop(self) -> None:
        """Go away, cutting every connection. Stopping twice is fine."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def root(self) -> str:
        """What an Anthropic client takes as its base URL."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"{self.root}/v1"

    def script(self, *replies: Reply | str) -> None:
        """Queue more replies."""
        self._replies.extend(replies)

    def release(self) -> None:
        """Let stalled answers, now and later, go on."""
        self._loop.call_soon_threadsafe(self._released.set)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._open())
        self._started.set()
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(runner.cleanup())
            # A connection whose caller has not read everything would stay open for it.
            for connection in self._connections:
                connection.abort()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _open(self) -> web.AppRunner:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        # Any prefix, so that Azure's and other vendors' paths arrive as well.
        app.router.add_post("/{prefix:.*}chat/completions", self._openai)
        app.router.add_post("/{prefix:.*}messages", self._anthropic)
        app.router.add_post("/{prefix:.*}embeddings", self._embed)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.05)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port, backlog=4096)
        await site.start()
        self._port = runner.addresses[0][1]
        return runner

    async def _openai(self, http: web.Request) -> web.StreamResponse:
        return await self._respond(http, model_wire.OPENAI)

    async def _anthropic(self, http: web.Request) -> web.StreamResponse:
        return await self._respond(http, model_wire.ANTHROPIC)

    async def _embed(self, http: web.Request) -> web.Response:
        """Vectors that texts share as far as they share words."""
        body = orjson.loads(await http.read())
        headers = {name.lower(): value for name, value in http.headers.items()}
        self.embedded.append(Request(http.path, headers, body, dict(http.query)))
        if self.embedding_refusals:
            return web.Response(status=self.embedding_refusals.popleft(), text='{"error": {"message": "not now"}}')
        vectors = [words_vector(text) for text in body["input"]]
        items = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
        return web.json_response({"object": "list", "model": body["model"], "data": items[::-1]})

    async def _respond(self, http: web.Request, wire: Wire) -> web.StreamResponse:
        body = orjson.loads(await http.read())
        headers = {name.lower(): value for name, value in http.headers.items()}
        peer = None
        if http.transport is not None:  # the caller has not left meanwhile
            self._connections.add(http.transport)
            peer = http.transport.get_extra_info("peername")
        request = Request(http.path, headers, body, dict(http.query), peer)
        self.requests.append(request)
        given = self._replies.popleft() if self._replies else self._answer(request)
        reply = Reply(given) if isinstance(given, str) else given
        try:
            return await self._send(http, wire, reply, body)
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up.set()
            raise

    async def _send(self, http: web.Request, wire: Wire, reply: Reply, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(self.first_token_delay_s)
        if reply.status != 200:
            return web.Response(
                body=wire.error(reply), status=reply.status, content_type="application/json", headers=reply.headers
            )
        if not body.get("stream"):
            await self._stall(reply, 0)
            return web.Response(body=wire.whole(reply, body), content_type="application/json", headers=reply.headers)
        return await self._stream(http, wire, reply, body)

    async def _stream(self, http: web.Request, wire: Wire, reply: Reply, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **reply.headers})
        await response.prepare(http)
        for number, frame in enumerate(wire.frames(reply, body)):
            if reply.cut_after == number:
                assert http.transport is not None
                http.transport.close()
                return response
            await self._stall(reply, number)
            if number:
                await asyncio.sleep(self.token_delay_s)
            await response.write(frame)
        await response.write_eof()
        return response

    async def _stall(self, reply: Reply, number: int) -> None:
        if reply.stall_after == number:
            self.stalled.set()
            await self._released.wait()
