"""The one way out: every request that a flow makes to another host goes through this client.

A host's name is looked up once for a connection, each address is judged by `engine.egress`, and only those that may be
called are connected to: a name that means another address a moment later changes nothing. Redirects are followed here,
so that each of their steps is judged like a first request.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from engine.egress import Egress, not_public
from engine.errors import NodeInputError, ProviderError

MAX_BODY = 16 * 1024 * 1024  # bytes; what a caller takes in unless it asks for less
CONNECT_S = 10.0
KEEPALIVE_S = 30.0
DRAIN_S = 0.05
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What may go along to another host: any other header may hold a key.
HARMLESS = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})

FormData = aiohttp.FormData  # for whoever sends a form; nothing else of aiohttp leaves this module
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

    def __init__(self, egress: Egress | None = None, *, resolver: AbstractResolver | None = None) -> None:
        """Calls what `egress` lets through; without one, public hosts only. `resolver` replaces the system's."""
        self.egress = egress or Egress()
        self._resolver = resolver
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
        params: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        json: Any = None,
        body: Body = None,
        timeout_s: float = 60.0,
        limit: int = MAX_BODY,
        follow: bool = True,
    ) -> Answer:
        """Send it and read the whole answer; any status is an answer. `json`, if given, is sent instead of `body`.

        At most five redirects are followed, none if `follow` is false; headers that may hold a key do not go along to
        another host. Raises ProviderError if no whole answer came in `timeout_s` or it is longer than `limit` bytes,
        NodeInputError for a URL that cannot or may not be called.
        """
        sent = dict(headers or {})
        if json is not None:
            body = _written(json)
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
            self._session = _new_session(self._checked_resolver())
        hop = _Hop(method, url, headers, body)
        for _ in range(MAX_REDIRECTS + 1):
            self.egress.check(hop.url)
            try:
                response = await self._session.request(
                    hop.method, hop.url, headers=hop.headers, data=hop.body, allow_redirects=False
                )
            except ValueError as exc:  # aiohttp's word for what would break the protocol, such as a header of two lines
                raise NodeInputError(
                    f"The request to {hop.url.host} cannot be sent: its address, its method, a header or its body "
                    "holds characters that may not stand there."
                ) from exc
            if not follow or response.status not in REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            hop = hop.after(response)
        raise ProviderError(f"{url.host} redirected more than {MAX_REDIRECTS} times.", retryable=False)

    def _checked_resolver(self) -> AbstractResolver:
        return _CheckedResolver(self.egress, self._resolver or aiohttp.ThreadedResolver())


class _CheckedResolver(AbstractResolver):
    """Finds the addresses of a name that may be called."""

    def __init__(self, egress: Egress, resolver: AbstractResolver) -> None:
        self._egress = egress
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        admitted = [place for place in found if self._egress.admits(host, port, place["host"])]
        if found and not admitted:
            raise NodeInputError(not_public(host, port))
        return admitted

    async def close(self) -> None:
        await self._resolver.close()


@dataclass(frozen=True, slots=True)
class _Hop:
    """One request on the way along redirects."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: Body

    def after(self, response: aiohttp.ClientResponse) -> _Hop:
        """The request that an answer redirects to."""
        url = _parse(self.url.join(_parse_location(response)))
        turns_into_get = response.status == 303 or (response.status in (301, 302) and self.method == "POST")
        method, body, headers = self.method, self.body, self.headers
        if turns_into_get and method != "HEAD":
            method, body = "GET", None
            # What is left tells of a body that is not sent: some servers would wait for it.
            headers = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
        if isinstance(body, aiohttp.FormData):
            raise ProviderError(f"{self.url.host} redirected a form: give the address it is for.", retryable=False)
        if not _is_same_host(self.url, url):
            headers = {name: value for name, value in headers.items() if name.lower() in HARMLESS}
        return _Hop(method, url, headers, body)


def _parse_location(response: aiohttp.ClientResponse) -> URL:
    try:
        return URL(response.headers["Location"])
    except ValueError as exc:
        raise ProviderError(f"{response.url.host} redirected to where nobody can follow.", retryable=False) from exc


def _is_same_host(url: URL, other: URL) -> bool:
    """HTTPS on the same host is no other place, but HTTP after HTTPS is: there a key would be readable."""
    is_upgrade = (url.scheme, other.scheme) == ("http", "https") and url.is_default_port() and other.is_default_port()
    is_same_service = (url.scheme, url.port) == (other.scheme, other.port)
    return url.raw_host == other.raw_host and (is_same_service or is_upgrade)


def _new_session(resolver: AbstractResolver) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # How many calls run at once is for the flows' host to bound, not for the pool.
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S, ttl_dns_cache=60, resolver=resolver),
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
    """Without what may be a secret: the query, and who asks."""
    return re.sub(r"//[^/]*@", "//", str(url).partition("?")[0])


def _written(json: Any) -> bytes:
    try:
        return orjson.dumps(json)
    except TypeError as exc:
        raise NodeInputError(f"The request's JSON cannot be written: {exc}.") from exc


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
    except (aiohttp.ClientError, OSError) as exc:
        raise ProviderError(f"The connection to {url.host} broke off.", retryable=True) from exc
