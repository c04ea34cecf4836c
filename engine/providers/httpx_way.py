"""The way out for vendors' packages that speak through httpx: their requests pass the egress rules as ours do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2

from engine.http import HttpClient, Patience, StreamedAnswer

# What the other side of the way writes itself, or has taken off: its connection, and how the body was packed.
OWN_ASKED = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})
OWN_ANSWERED = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def httpx_client(http: HttpClient, patience: Patience) -> httpx2.AsyncClient:
    """A client to hand to a package. It opens no connection of its own: `http` looks each name up once, judges it,
    and connects. It raises what `HttpClient.stream` raises, not what httpx would.
    """
    return httpx2.AsyncClient(transport=_Way(http, patience))


class _Way(httpx2.AsyncBaseTransport):
    def __init__(self, http: HttpClient, patience: Patience) -> None:
        self._http = http
        self._patience = patience

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {name: value for name, value in request.headers.items() if name not in OWN_ASKED}
        # Uncompressed: a compressor holds small pieces back.
        headers["accept-encoding"] = "identity"
        body, url = await request.aread(), str(request.url)
        async with AsyncExitStack() as opened:
            call = self._http.stream(request.method, url, headers=headers, body=body, patience=self._patience)
            answer = await opened.enter_async_context(call)
            told = [(name, value) for name, value in answer.headers.items() if name not in OWN_ANSWERED]
            return httpx2.Response(answer.status, headers=told, stream=_Arriving(answer, opened.pop_all()))


class _Arriving(httpx2.AsyncByteStream):
    def __init__(self, answer: StreamedAnswer, opened: AsyncExitStack) -> None:
        self._answer = answer
        self._opened = opened

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with self._opened:  # what breaks off while it arrives is explained there
            while chunk := await self._answer.chunk():
                yield chunk

    async def aclose(self) -> None:
        await self._opened.aclose()
