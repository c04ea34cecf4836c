"""The sandbox that nodes see: a few processes, started when they are needed and ended when they no longer are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import orjson

from engine.context import Returned
from engine.errors import NodeError, NodeInputError, NodeTimeout
from engine.http import HttpClient
from engine.sandbox.process import SandboxProcess
from engine.sandbox.reading import read_json

PROCESSES = 4
COMPUTE_S = 10.0
WALL_S = 300.0
OUTPUT_BYTES = 4 * 1024 * 1024
INPUT_BYTES = 16 * 1024 * 1024
IDLE_S = 60.0


class JavaScriptSandbox:
    """Implements `Sandbox`. Belongs to the event loop of its first call; costs nothing before that."""

    def __init__(
        self,
        *,
        processes: int = PROCESSES,
        compute_s: float = COMPUTE_S,
        wall_s: float = WALL_S,
        output_bytes: int = OUTPUT_BYTES,
        idle_s: float = IDLE_S,
    ) -> None:
        """At most `processes` calls run at once, others wait; a process ends after `idle_s` without a call.

        A call may compute for `compute_s` seconds, take `wall_s` with all that it waits for, and return `output_bytes`.
        """
        self._room = asyncio.Semaphore(processes)
        self._compute_s = compute_s
        self._wall_s = wall_s
        self._output_bytes = output_bytes
        self._idle_s = idle_s
        self._idle: list[tuple[SandboxProcess, asyncio.TimerHandle]] = []  # the last is the warmest
        self._endings: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> JavaScriptSandbox:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def run(self, code: str, *, variables: Mapping[str, Any], http: HttpClient) -> Returned:
        """See `Sandbox.run`."""
        call = _call(code, variables)
        async with self._room:
            try:
                async with asyncio.timeout(self._wall_s):
                    body = await self._serve(call, http)
            except TimeoutError as exc:
                raise NodeTimeout(f"The function took longer than {self._wall_s:g} seconds.") from exc
        return self._returned(body)

    async def close(self) -> None:
        """End all processes. Calls that still run are to be cancelled first."""
        while self._idle:
            process, timer = self._idle.pop()
            timer.cancel()
            await process.kill()
        await asyncio.gather(*self._endings)

    async def _serve(self, call: bytes, http: HttpClient) -> bytes:
        process = await self._take()
        try:
            body = await process.call(call, http)
        except BaseException:
            self._end(process)
            raise
        timer = asyncio.get_running_loop().call_later(self._idle_s, self._retire, process)
        self._idle.append((process, timer))
        return body

    async def _take(self) -> SandboxProcess:
        while self._idle:
            process, timer = self._idle.pop()
            timer.cancel()
            if process.is_alive:
                return process
            self._end(process)  # the system, short of memory, may have ended it while it waited
        return await SandboxProcess.start(compute_s=self._compute_s, output_bytes=self._output_bytes)

    def _retire(self, process: SandboxProcess) -> None:
        self._idle = [entry for entry in self._idle if entry[0] is not process]
        self._end(process)

    def _end(self, process: SandboxProcess) -> None:
        """In the background: whoever gave up on a call does not wait for its process to be gone."""
        task = asyncio.create_task(process.kill())
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    def _returned(self, body: bytes) -> Returned:
        try:
            outcome = read_json(body)
            kind = outcome.get("kind")
            lines = tuple(str(line) for line in outcome.get("console") or ())
            if kind is None:
                return Returned(outcome["value"], lines)
            message, line = str(outcome.get("message") or ""), outcome.get("line") or 0
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise NodeError("The sandbox for JavaScript broke.") from exc
        raise self._failure(str(kind), message, f" (near line {line})" if line else "")

    def _failure(self, kind: str, message: str, place: str) -> NodeError:
        match kind:
            case "thrown":
                return NodeError(f"The function failed{place}: {message}")
            case "syntax":
                return NodeInputError(f"The function is no JavaScript{place}: {message}")
            case "time":
                return NodeTimeout(f"The function computed for more than {self._compute_s:g} seconds.")
            case "memory":
                return NodeError("The function took more memory than the 64 MB that it may have.")
            case "stack":
                return NodeError(
                    "The function went too deep: it calls itself without end, or its data is nested too deeply."
                )
            case "output":
                return NodeError(f"The function gave out more than the {self._output_bytes} bytes that it may.")
            case "stuck":
                return NodeError("The function waits for something that never comes: one of its promises never ends.")
        return NodeError("The sandbox for JavaScript broke.")


def _call(code: str, variables: Mapping[str, Any]) -> bytes:
    try:
        call = orjson.dumps({"code": code, "variables": variables}, default=str)
    except (TypeError, ValueError) as exc:
        raise NodeInputError(f"The function's variables cannot be handed to it: {exc}.") from exc
    if len(call) > INPUT_BYTES:
        raise NodeInputError(f"The function is given {len(call)} bytes, more than the {INPUT_BYTES} that it may be.")
    return call
