"""The load driver: raw HTTP/1.1 over keep-alive connections, each caller one request at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

ERRORS = (OSError, asyncio.IncompleteReadError, ValueError)


@dataclass(slots=True)
class Result:
    """What many requests took; times in milliseconds."""

    times_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)  # streams: until the first token
    tokens: int = 0
    errors: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.times_ms) / self.seconds if self.seconds else 0.0

    def p(self, percent: float, of: list[float] | None = None) -> float:
        times = sorted(self.times_ms if of is None else of)
        return times[min(len(times) - 1, int(len(times) * percent / 100))] if times else float("nan")


class Caller:
    """One keep-alive connection."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._parts = urlsplit(url)
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[bytes, bytes]]:
        if self._writer is None:
            host, port = self._parts.hostname, self._parts.port
            self._reader, self._writer = await asyncio.open_connection(host, port, limit=1 << 20)
        headers = f"Host: {self._parts.netloc}\r\n{self._headers}Content-Length: {len(body)}\r\n\r\n"
        head = f"{method} {path} HTTP/1.1\r\n{headers}"
        self._writer.write(head.encode() + body)
        assert self._reader is not None
        raw = await self._reader.readuntil(b"\r\n\r\n")
        status, *lines = raw.split(b"\r\n")
        return int(status.split()[1]), dict(line.lower().split(b": ", 1) for line in lines if b": " in line)

    async def body(self, headers: dict[bytes, bytes], seen: Callable[[bytes], None] | None = None) -> bytes:
        assert self._reader is not None
        if b"content-length" in headers:
            return await self._reader.readexactly(int(headers[b"content-length"]))
        parts = []
        while size := int(await self._reader.readline(), 16):
            part = (await self._reader.readexactly(size + 2))[:-2]
            if seen:
                seen(part)
            parts.append(part)
        await self._reader.readline()
        return b"".join(parts)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


Request = Callable[[Caller, Result], Awaitable[None]]


def ask(path: str, body: bytes, *, method: str = "POST", wanted: int = 200) -> Request:
    """A request whose whole answer is timed; one with another status is an error."""

    async def request(caller: Caller, result: Result) -> None:
        start = time.perf_counter()
        status, headers = await caller.send(method, path, body)
        await caller.body(headers)
        if status != wanted:
            result.errors += 1
        else:
            result.times_ms.append((time.perf_counter() - start) * 1000)

    return request


def stream(path: str, body: bytes, *, token: bytes, wanted: int) -> Request:
    """A streamed request: first token, whole stream, and every token counted; one missing is an error."""

    async def request(caller: Caller, result: Result) -> None:
        start = time.perf_counter()
        first: float | None = None

        def seen(part: bytes) -> None:
            nonlocal first
            if first is None and token in part:
                first = time.perf_counter()

        status, headers = await caller.send("POST", path, body)
        text = await caller.body(headers, seen)
        tokens = text.count(token)
        result.tokens += tokens
        if status != 200 or tokens != wanted or first is None:
            result.errors += 1
            return
        result.times_ms.append((time.perf_counter() - start) * 1000)
        result.first_ms.append((first - start) * 1000)

    return request


async def run(
    url: str,
    request: Request,
    *,
    callers: int,
    seconds: float = 0,
    each: int = 0,
    headers: dict[str, str] | None = None,
) -> Result:
    """`callers` at once, for a time or for a number of requests each."""
    result = Result()
    start = time.perf_counter()

    async def call_on() -> None:
        caller = Caller(url, {"Content-Type": "application/json", **(headers or {})})
        done = 0
        while (each and done < each) or (seconds and time.perf_counter() - start < seconds):
            done += 1
            try:
                async with asyncio.timeout(60):
                    await request(caller, result)
            except (*ERRORS, TimeoutError):
                result.errors += 1
                caller.close()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.05)
        caller.close()

    await asyncio.gather(*(call_on() for _ in range(callers)))
    result.seconds = time.perf_counter() - start
    return result
