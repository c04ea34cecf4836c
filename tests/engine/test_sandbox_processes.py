"""The processes behind the sandbox: when they start and end, and what is left to code that breaks out into them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from engine.errors import NodeError
from engine.http import HttpClient
from engine.sandbox import process
from engine.sandbox.pool import JavaScriptSandbox
from tests.engine.javascript import javascript_sandbox

ROOT = Path(__file__).resolve().parents[2]
is_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux filters system calls")

ATTEMPTS = """
import ctypes, os, signal, socket, sys
sys.path.append(sys.argv[1])
from engine.sandbox.confinement import confine
libc = ctypes.CDLL(None, use_errno=True)
parent = os.getppid()
buffers = []

def call(name, *given):
    if getattr(libc, name)(*given) == -1:
        raise OSError(ctypes.get_errno(), name)

attempts = {
    "read a file": lambda: open("/etc/hostname"),
    "write a file": lambda: open("/tmp/forjinn-escaped", "w"),
    "list a folder": lambda: os.listdir("/"),
    "open a socket": lambda: socket.socket(),
    "open a local socket": lambda: socket.socketpair(),
    "duplicate the pipe": lambda: os.dup(0),
    "open in place of the pipe": lambda: (os.close(0), open("/etc/hostname")),
    "fork": lambda: os.fork() or os._exit(0),
    "run a program": lambda: os.execv("/bin/true", ["true"]),
    "signal its parent": lambda: os.kill(parent, 0),
    "trace its parent": lambda: call("ptrace", 16, parent, 0, 0),
    "become root": lambda: os.setuid(0),
    "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "make namespaces": lambda: call("unshare", 0x10000000),
    "load into the kernel": lambda: call("syscall", 321, 0, 0, 0),
    "take memory without end": lambda: [buffers.append(bytearray(64 << 20)) for _ in range(64)],
    "raise its limits": lambda: __import__("resource").setrlimit(7, (64, 64)),
}
import resource
confine(3)
for name, attempt in attempts.items():
    try:
        attempt()
        os.write(1, f"{name}\\n".encode())
    except (OSError, MemoryError, ValueError):
        buffers.clear()
os.write(1, b"still here\\n")
"""


def sandboxes() -> list[psutil.Process]:
    """The sandbox processes of this one."""
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and any("engine.sandbox" in part for part in child.cmdline())
    ]


async def gone(processes: list[psutil.Process]) -> bool:
    """Whether they end, which is waited for."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, 10)
    return not alive


@pytest.fixture
def before() -> set[int]:
    """Those that other tests share."""
    return {child.pid for child in sandboxes()}


def started(before: set[int]) -> list[psutil.Process]:
    return [child for child in sandboxes() if child.pid not in before]


async def test_none_runs_before_the_first_function_and_none_after_the_last(before: set[int]) -> None:
    async with javascript_sandbox() as javascript:
        assert started(before) == []

        await javascript.run("return 1")
        await javascript.run("return 2")

        running = started(before)
        assert len(running) == 1

    assert await gone(running)


async def test_one_without_work_ends(before: set[int]) -> None:
    async with javascript_sandbox(idle_s=0.0) as javascript:
        assert await javascript.run("return 1") == 1
        assert await gone(started(before))

        assert await javascript.run("return 2") == 2


async def test_as_many_run_as_are_needed_and_no_more_than_may(before: set[int]) -> None:
    async with javascript_sandbox(processes=2) as javascript:
        wait = "await new Promise((go) => setTimeout(go, 20)); return $n"
        values = await asyncio.gather(*(javascript.run(wait, n=n) for n in range(5)))

        assert values == [0, 1, 2, 3, 4]
        assert len(started(before)) == 2


async def test_a_call_that_nobody_waits_for_ends_with_its_process(before: set[int]) -> None:
    async with javascript_sandbox() as javascript:
        await javascript.run("return 1")
        running = started(before)
        call = asyncio.create_task(javascript.run("while (true) {}"))
        await asyncio.sleep(0)

        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        assert await gone(running)
        assert await javascript.run("return 2") == 2


async def test_a_process_that_dies_takes_only_its_call_along(before: set[int]) -> None:
    async with javascript_sandbox() as javascript:
        await javascript.run("return 1")
        call = asyncio.create_task(javascript.run("await new Promise((go) => setTimeout(go, 60000))"))
        await asyncio.sleep(0)

        started(before)[0].kill()

        with pytest.raises(NodeError, match="ended in the middle of a function"):
            await call
        assert await javascript.run("return 2") == 2


async def test_one_that_died_while_it_was_idle_is_nobodys_failure(before: set[int]) -> None:
    async with javascript_sandbox() as javascript:
        await javascript.run("return 1")
        running = started(before)
        running[0].kill()
        assert await gone(running)

        assert await javascript.run("return 2") == 2


async def test_one_that_starts_for_nobody_ends(before: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[psutil.Process] = []
    is_launched = asyncio.Event()
    loop = asyncio.get_running_loop()
    go_on = threading.Event()
    launch = process._launch

    def slowly(compute_s: float, output_bytes: int) -> tuple[subprocess.Popen[bytes], socket.socket]:
        child = launch(compute_s, output_bytes)
        launched.append(psutil.Process(child[0].pid))
        loop.call_soon_threadsafe(is_launched.set)
        go_on.wait(10)
        return child

    monkeypatch.setattr(process, "_launch", slowly)
    async with javascript_sandbox() as javascript:
        call = asyncio.create_task(javascript.run("return 1"))
        await is_launched.wait()

        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        go_on.set()

        assert await gone(launched)


async def test_a_machine_without_room_for_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/program")

    async with javascript_sandbox() as javascript:
        with pytest.raises(NodeError, match="did not start"):
            await javascript.run("return 1")


async def test_a_loop_that_is_not_this_one_has_its_own(before: set[int]) -> None:
    async def run() -> object:
        async with HttpClient() as http, JavaScriptSandbox() as sandbox:
            return (await sandbox.run("return 'there'", variables={}, http=http)).value

    assert await asyncio.to_thread(asyncio.run, run()) == "there"


@is_linux
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="it hides from whoever is not root")
async def test_it_has_no_environment_no_files_and_a_user_of_its_own(before: set[int]) -> None:
    async with javascript_sandbox() as javascript:
        await javascript.run("return 1")
        running = started(before)[0]

        assert running.environ() == {}
        folder = Path(f"/proc/{running.pid}/fd")
        opened = {os.readlink(place).partition(":")[0] for place in folder.iterdir()}
        assert opened == {"socket", "/dev/null", "/memfd"}  # the last is the engine's own memory
        assert running.cwd() == "/"
        assert set(running.uids()) == {65533}


@is_linux
def test_code_that_broke_out_would_find_nothing() -> None:
    ended = subprocess.run(
        [sys.executable, "-I", "-c", ATTEMPTS, str(ROOT)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={},
        timeout=60,
    )

    assert ended.stdout.splitlines() == ["still here"], ended.stderr


HOSTILE = """
import os, struct, sys
def frame(kind, body): return struct.pack(">cI", kind, len(body)) + body
os.write(0, frame(b"R", b""))
os.read(0, 65536)
os.write(0, {said})
os.read(0, 65536)
"""


@pytest.mark.parametrize(
    "said",
    [
        'b"D" + bytes([255] * 4)',
        'frame(b"X", b"")',
        'frame(b"R", b"")',
        'frame(b"D", b"no json")',
        'frame(b"D", b"[]")',
        'frame(b"D", b"{}")',
        'frame(b"D", b\'{"kind": {"a": 1}, "line": "x"}\')',
        'frame(b"D", b\'{"value": 1, "console": 7}\')',
        'frame(b"H", b"no json")',
        'frame(b"H", b\'{"id": "x"}\')',
        'frame(b"H", b"[1]")',
        'b"D"',
    ],
)
async def test_what_a_process_that_was_taken_over_says_is_not_believed(
    said: str, before: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PROGRAM", HOSTILE.replace("{said}", said).removesuffix("os.read(0, 65536)\n"))

    async with javascript_sandbox() as javascript:
        with pytest.raises(NodeError, match=r"sandbox for JavaScript (broke|ended)"):
            await javascript.run("return 1")


@pytest.mark.parametrize(
    "asked",
    [
        '{"id": 1, "name": "exec", "code": "1"}',
        '{"id": 1, "name": "fetch"}',
        '{"id": 1, "name": "fetch", "url": [], "method": {}, "headers": 7}',
        '{"id": 1, "name": "fetch", "url": "http://127.0.0.1/", "method": "GET", "headers": [["a\\\\nb", "c"]]}',
        '{"id": 1, "name": "fetch", "url": "http://127.0.0.1/", "method": "GET", "headers": [], "base64": "!"}',
        '{"id": 1, "name": "sleep", "ms": {}}',
    ],
)
async def test_an_errand_that_is_malformed_is_answered_and_not_run(
    asked: str, before: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"frame(b'H', {asked.encode()!r})"
    program = HOSTILE.replace("{said}", said) + "os.write(0, frame(b'D', b'{\"value\": \"answered\"}'))"
    monkeypatch.setattr(process, "PROGRAM", program)

    async with javascript_sandbox() as javascript:
        assert await javascript.run("return 1") == "answered"
