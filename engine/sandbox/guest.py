"""The program of a sandbox's process: takes a call from the pipe, runs it in a fresh engine, writes how it ended.

It starts in an empty environment, compiles the engine, gives everything up (`confinement.py`), and only then says that
it is ready. Nothing survives a call: the next one finds an engine that was made before its code was known.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import quickjs_rs._engine as quickjs
import quickjs_rs._wasmtime as shared
import wasmtime

from engine.sandbox.confinement import confine
from engine.sandbox.wire import ANSWER, ASK, CALL, DONE, HEADER, READY, frame

PIPE = 0
OPEN_FILES = 3  # the pipe, and two that lead nowhere
SEND = "sendToHost"
SEND_ID = 1
SCRIPTS = ("bytes", "urls", "web", "axios", "start")
STACK_BYTES = 2 * 1024 * 1024  # of WebAssembly: some 2,500 JavaScript calls deep; the engine takes no more
ARENA_BYTES = 64 * 1024 * 1024  # all that a sandbox may hold: objects, texts, stack
FULL_BYTES = ARENA_BYTES * 9 // 10


class Ended(Exception):
    """The call cannot go on; says how it ended, in the words of the pipe."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Machine:
    """The compiled engine, and the state that each of its sandboxes starts in."""

    def __init__(self) -> None:
        config = wasmtime.Config()
        config.max_wasm_stack = STACK_BYTES
        shared._SHARED_ENGINE = wasmtime.Engine(config)
        self._runtime = quickjs.QjsRuntime(memory_limit=ARENA_BYTES)
        context = self._context()
        context.register_host_function(SEND, SEND_ID)
        prelude = context.eval_handle(_prelude())
        entrances = prelude.call(context.global_object().get(SEND))
        context.eval(f"delete globalThis.{SEND}")
        # Handles are places in the engine's memory, so they mean the same in every copy of it.
        self._start = entrances.get("start")._require_live()
        self._settle = entrances.get("settle")._require_live()
        self._snapshot = context.create_snapshot()

    def fresh(self) -> Sandbox:
        """A sandbox in which nothing has run."""
        context = self._context()
        context._inst.name_to_fn_id[SEND] = SEND_ID
        context.restore_snapshot(self._snapshot)
        return Sandbox(context, self._start, self._settle)

    def _context(self) -> quickjs.QjsContext:
        context = quickjs.QjsContext(self._runtime)
        # The library's own limit is not kept; the store's is.
        context._inst.store.set_limits(memory_size=ARENA_BYTES)
        return context


class Sandbox:
    """One engine, for one call."""

    def __init__(self, context: quickjs.QjsContext, start: int, settle: int) -> None:
        self._context = context
        self._start = quickjs.QjsHandle._adopt(context._inst, start, context=context)
        self._settle = quickjs.QjsHandle._adopt(context._inst, settle, context=context)
        self._outcome: bytes | None = None
        self._unanswered = 0
        self._deadline = 0.0
        self._compute_s = 0.0
        self._output_bytes = 0
        context.set_host_call_dispatcher(self._sent)
        context._inst.interrupt_handler = lambda: time.monotonic() >= self._deadline

    def run(self, call: bytes, *, compute_s: float, output_bytes: int) -> bytes:
        """How the call ended, as JSON. `compute_s` does not count the time that it waits for answers."""
        self._compute_s, self._output_bytes = compute_s, output_bytes
        try:
            self._enter(self._start, call)
            while self._outcome is None:
                if not self._unanswered:
                    raise Ended("memory" if self._is_full() else "stuck")
                kind, body = read_frame()
                if kind == ANSWER:
                    self._unanswered -= 1
                    self._enter(self._settle, body)
            return self._outcome
        except Ended as exc:
            return json.dumps({"kind": exc.kind}).encode()

    def close(self) -> None:
        """Give its memory back."""
        self._context.close()

    def _enter(self, entrance: quickjs.QjsHandle, text: bytes) -> None:
        """Let the code run until it waits for an answer or is done."""
        began = time.monotonic()
        self._deadline = began + self._compute_s
        try:
            entrance.call(text.decode())
            while self._outcome is None and not self._is_late() and self._context.run_pending_jobs():
                pass
        except wasmtime.Trap as exc:
            raise Ended("stack" if exc.trap_code == wasmtime.TrapCode.STACK_OVERFLOW else "memory") from exc
        except (quickjs.QuickJSError, wasmtime.WasmtimeError, UnicodeError) as exc:
            raise Ended("time" if self._is_late() else "memory") from exc
        finally:
            self._compute_s -= time.monotonic() - began
        if self._outcome is None and self._is_late():
            raise Ended("time")

    def _is_full(self) -> bool:
        """Then the code may have failed without room for the error that says so."""
        return self._context._inst._mem_size() > FULL_BYTES

    def _is_late(self) -> bool:
        return time.monotonic() >= self._deadline

    def _sent(self, _: int, given: tuple[Any, ...]) -> None:
        """What the code hands out: something that it asks for, or its outcome."""
        kind, text = given
        body = str(text).encode()
        if len(body) > self._output_bytes:
            self._outcome = json.dumps({"kind": "output"}).encode()
        elif kind == "done":
            self._outcome = body
        else:
            self._unanswered += 1
            write(frame(ASK, body))


def main() -> None:
    """Serve calls until the pipe is closed; arguments: seconds of computing, bytes of output."""
    compute_s, output_bytes = float(sys.argv[2]), int(sys.argv[3])
    machine = Machine()
    for rehearsed in (b"return 1", b"throw new Error('')", b"(function f() { f() })()"):
        # What is loaded on its first use cannot be loaded any more in a moment.
        sandbox = machine.fresh()
        sandbox.run(json.dumps({"code": rehearsed.decode(), "variables": {}}).encode(), compute_s=9, output_bytes=999)
        sandbox.close()
    confine(OPEN_FILES)
    write(frame(READY))
    while True:
        sandbox = machine.fresh()
        kind = ANSWER
        while kind != CALL:  # an answer that comes after its call has ended is nobody's
            kind, body = read_frame()
        write(frame(DONE, sandbox.run(body, compute_s=compute_s, output_bytes=output_bytes)))
        sandbox.close()


def read_frame() -> tuple[bytes, bytes]:
    """The next message. Ends the process when there will be none."""
    kind, length = HEADER.unpack(_read(HEADER.size))
    return kind, _read(length)


def _read(size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = os.read(PIPE, min(size - len(data), 1 << 20))
        if not chunk:
            os._exit(0)
        data += chunk
    return bytes(data)


def write(data: bytes) -> None:
    """Write all of it. Ends the process if nobody reads any more."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(PIPE, view) :]
        except BrokenPipeError:
            os._exit(0)


def _prelude() -> str:
    folder = Path(__file__).with_name("js")
    scripts = "\n".join((folder / f"{name}.js").read_text() for name in SCRIPTS)
    return f"(function ({SEND}) {{\n{scripts}\n}})"
