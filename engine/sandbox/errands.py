"""What a sandbox has done for it outside: requests through the server's one client, and waiting. Nothing else."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson

from engine.errors import NodeError
from engine.http import HttpClient
from engine.sandbox.reading import read_json

MAX_REQUESTS = 100  # of one call
MAX_ERRANDS = 1000  # timers with them
MAX_BODY = 4 * 1024 * 1024  # bytes of one answer
REQUEST_S = 120.0
HOP_BY_HOP = frozenset({"connection", "content-length", "host", "transfer-encoding"})  # the client's to say


Errand = Callable[[Mapping[str, Any]], Awaitable[Any]]


class TooManyErrands(Exception):
    """The code asks without end."""


class Errands:
    """The errands of one call. What the sandbox says is data from a stranger: whatever it is, it becomes an answer."""

    def __init__(self, http: HttpClient, answer: Callable[[bytes], None]) -> None:
        self._http = http
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()
        self._errands = self._requests = 0

    def begin(self, asked: bytes) -> None:
        """Do it in the background. Raises TooManyErrands, ValueError for what is no request."""
        self._errands += 1
        if self._errands > MAX_ERRANDS:
            raise TooManyErrands
        values = read_json(asked)
        if not isinstance(values, dict) or not isinstance(values.get("id"), int):
            raise ValueError("no errand")
        task = asyncio.create_task(self._run(values))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def drop(self) -> None:
        """The call is over: nobody waits for the answers any more."""
        for task in self._tasks:
            task.cancel()

    async def _run(self, values: Mapping[str, Any]) -> None:
        does: Errand | None = {"fetch": self._fetch, "sleep": _sleep}.get(str(values.get("name")))
        try:
            if does is None:
                raise ValueError("no such errand")
            result = {"value": await does(values)}
        except NodeError as exc:
            result = {"error": exc.message}
        except (TypeError, ValueError, KeyError, AttributeError):
            result = {"error": "this cannot be sent: it is malformed"}
        self._answer(orjson.dumps({"id": values["id"], **result}))

    async def _fetch(self, values: Mapping[str, Any]) -> dict[str, Any]:
        self._requests += 1
        if self._requests > MAX_REQUESTS:
            raise NodeError(f"a function may make {MAX_REQUESTS} requests, not more")
        headers = {str(n): str(v) for n, v in values["headers"] if str(n).lower() not in HOP_BY_HOP}
        if values.get("type"):
            headers["Content-Type"] = str(values["type"])
        answer = await self._http.request(
            str(values["method"]),
            str(values["url"]),
            headers=headers,
            body=_body(values),
            timeout_s=REQUEST_S,
            limit=MAX_BODY,
            follow=values.get("follow") is not False,
        )
        return {
            "status": answer.status,
            "statusText": _reason(answer.status),
            "headers": [(name, _readable(value)) for name, value in answer.headers.items()],
            **_shown(answer.body),
        }


async def _sleep(values: Mapping[str, Any]) -> None:
    await asyncio.sleep(max(0.0, float(values.get("ms") or 0) / 1000))


def _body(values: Mapping[str, Any]) -> bytes | None:
    if "base64" in values:
        return base64.b64decode(values["base64"])
    return str(values["text"]).encode() if "text" in values else None


def _readable(header: str) -> str:
    """Bytes that are no UTF-8 arrive as half characters, which no JSON carries: the function would wait for ever."""
    return header.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _shown(body: bytes) -> dict[str, str]:
    """As text if it is one: most answers are, and the sandbox then has less to do."""
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
