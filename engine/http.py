"""The one way out: every request that a flow makes to another host goes through this client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp
import orjson
from yarl import URL

from engine.errors import NodeInputError, ProviderError

MAX_BODY = 16 * 1024 * 1024  # bytes; what a caller takes in unless it asks for less
CONNECT_S = 10.0
KEEPALIVE_S = 30.0
DRAIN_S = 0.05

Body = bytes | str | aiohttp.FormData | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises ValueError if it is none."""
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for the first byte of an answer, then between one piece and the next."""

    first_s: float = 300.0
    gap_s: float = 120.0


class StreamedAnswer:
    """An answer that is still arriving."""

    def __init__(self, response: aiohttp.ClientResponse, patience: Patience) -> None:
        self.status = response.status
        self._response = response
        self._patience = patience
        self._limit_s = patience.first_s

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self._response.headers.items()}

    async def chunk(self) -> bytes:
        """What has arrived since the last call, at least one byte; empty at the end. Pieces may end anywhere."""
        try:
            async with asyncio.timeout(self._limit_s):
                chunk = await self._response.content.readany()
        except TimeoutError as exc:
            raise ProviderError(
                f"{self._response.url.host} fell silent: nothing arrived for {self._limit_s:g} seconds.", retryable=True
            ) from exc
        self._limit_s = self._patience.gap_s
        return chunk

    async def read(self, limit: int = MAX_BODY) -> bytes:
        """All that is left of it. Raises ProviderError if that is more than `limit` bytes."""
        body = bytearray()
        while chunk := await self.chunk():
            body += chunk
            if len(body) > limit:
                raise ProviderError(
                    f"{self._response.url.host} sent more than the {limit} bytes allowed.",
                    retryable=False,
                    status=self.status,
                )
        return bytes(body)

    async def drain(self) -> None:
        """Take in an end that is due at once: only a connection that was read to its end can be used again."""
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(DRAIN_S):
                while await self._response.content.readany():
                    pass


class HttpClient:
    """Connections shared by all runs of a process. Belongs to the event loop of its first request.

    It keeps no cookies: runs of different workspaces must not meet in a cookie jar.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        url: str | URL,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        body: Body = None,
        timeout_s: float = 60.0,
        limit: int = MAX_BODY,
        follow: bool = True,
    ) -> Answer:
        """Send it and read the whole answer; any status is an answer. `json`, if given, is sent instead of `body`.

        Raises ProviderError if no whole answer came in `timeout_s` or it is longer than `limit` bytes, NodeInputError
        for a URL that cannot be called.
        """
        sent = dict(headers or {})
        if json is not None:
            body = orjson.dumps(json)
            sent.setdefault("Content-Type", "application/json")
        target = _parse(url)
        with _explained(target, timeout_s):
            async with asyncio.timeout(timeout_s):
                response = await self._send(method, target.update_query(params or {}), sent, body, follow=follow)
                try:
                    answer = StreamedAnswer(response, Patience(timeout_s, timeout_s))
                    return Answer(response.status, answer.headers, await answer.read(limit))
                finally:
                    response.close()

    @asynccontextmanager
    async def stream(
        self, method: str, url: str | URL, *, headers: Mapping[str, str], body: Body, patience: Patience
    ) -> AsyncIterator[StreamedAnswer]:
        """Send `body` and hand over the answer while it arrives. Leaving early closes the connection.

        Redirects are not followed. Raises ProviderError if no answer comes, falls silent or breaks off.
        """
        target = _parse(url)
        with _explained(target, patience.first_s):
            async with asyncio.timeout(patience.first_s):
                response = await self._send(method, target, headers, body, follow=False)
            try:
                yield StreamedAnswer(response, patience)
            finally:
                response.close()  # when all was read, the connection has already gone back to the pool

    async def _send(
        self, method: str, url: URL, headers: Mapping[str, str], body: Body, *, follow: bool
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = _new_session()
        return await self._session.request(method, url, headers=headers, data=body, allow_redirects=follow)


def _new_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # How many calls run at once is for the flows' host to bound, not for the pool.
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S, ttl_dns_cache=60),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _parse(url: str | URL) -> URL:
    try:
        parsed = URL(url)
    except ValueError as exc:
        raise NodeInputError(f"This is no URL: {_shown(url)!r}.") from exc
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise NodeInputError(f"A URL must begin with http:// or https:// and name a host, not {_shown(url)!r}.")
    return parsed


def _shown(url: str | URL) -> str:
    return str(url).partition("?")[0]


@contextmanager
def _explained(url: URL, limit_s: float) -> Iterator[None]:
    """Turn a failed call into a ProviderError. It names the host alone: paths and queries may carry secrets."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as exc:
        raise ProviderError(f"Could not connect to {url.host} within {CONNECT_S:g} seconds.", retryable=True) from exc
    except TimeoutError as exc:
        raise ProviderError(f"{url.host} did not answer within {limit_s:g} seconds.", retryable=True) from exc
    except aiohttp.ClientConnectorCertificateError as exc:
        raise ProviderError(f"The certificate of {url.host} cannot be trusted.", retryable=False) from exc
    except aiohttp.ClientConnectorError as exc:
        reason = exc.os_error.strerror or "no connection"
        raise ProviderError(f"Could not connect to {url.host}: {reason}.", retryable=True) from exc
    except (aiohttp.InvalidURL, aiohttp.RedirectClientError, aiohttp.TooManyRedirects) as exc:
        raise ProviderError(f"{url.host} redirected to where nobody can follow.", retryable=False) from exc
    except (aiohttp.ClientError, OSError) as exc:
        raise ProviderError(f"The connection to {url.host} broke off.", retryable=True) from exc
