"""A scripted OpenAI-compatible model, fast enough not to be what is measured (over 5,000 requests a second).

    python -m benchmarks.model PORT

The model's name says how it behaves: `d300` answers after 300 ms; `s200x5f20` streams 200 tokens, one each 5 ms, the
first after 20 ms. Anything else answers at once.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

import uvloop

MODEL = re.compile(rb'"model":\s*"(?:d(\d+)|s(\d+)x(\d+)f(\d+))?')
LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
ANSWER = (
    b'{"id":"1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"Fine, thanks."}}],'
    b'"usage":{"prompt_tokens":12,"completion_tokens":4,"total_tokens":16}}'
)
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = (
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":200,"total_tokens":212}}\n\ndata: [DONE]\n\n'
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Model(asyncio.Protocol):
    """One connection: requests one after the other."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            found = LENGTH.search(self._buffer, 0, end + 2)
            total = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < total:
                return
            body, self._buffer = self._buffer[end + 4 : total], self._buffer[total:]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        assert self._transport is not None
        found = MODEL.search(body)
        delay, tokens, gap, first = found.groups() if found else (None, None, None, None)
        if b'"stream":true' in body or b'"stream": true' in body:
            shape = (int(tokens or 4), int(gap or 0), int(first or delay or 0))
            task = asyncio.get_running_loop().create_task(self._stream(*shape))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif delay:
            asyncio.get_running_loop().call_later(int(delay) / 1000, self._transport.write, PLAIN)
        else:
            self._transport.write(PLAIN)

    async def _stream(self, tokens: int, gap_ms: int, first_ms: int) -> None:
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._transport.write(STREAM)
        start = loop.time() + first_ms / 1000
        for number in range(tokens):
            # Against the clock, not the last token: a late wake-up does not slow the whole stream down.
            if (pause_s := start + number * gap_ms / 1000 - loop.time()) > 0:
                await asyncio.sleep(pause_s)
            self._transport.write(chunk(b'data: {"choices":[{"index":0,"delta":{"content":"tok%03d "}}]}\n\n' % number))
        self._transport.write(chunk(LAST) + b"0\r\n\r\n")


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
