"""One sandbox process, from outside: started with nothing, trusted with nothing, killed when it overruns."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

from engine.errors import NodeError
from engine.http import HttpClient
from engine.sandbox.errands import Errands, TooManyErrands
from engine.sandbox.wire import ANSWER, ASK, CALL, DONE, HEADER, READY, frame

START_S = 60.0  # it takes one; a crowded machine takes longer
# -I: neither the environment nor the folder it starts in says what is imported.
PROGRAM = "import sys; sys.path.append(sys.argv[1]); from engine.sandbox.guest import main; main()"
ROOT = str(Path(__file__).resolve().parents[2])


class SandboxProcess:
    """Serves one call at a time. After an error or a cancelled call it is of no use: kill it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        most_bytes: int,
    ) -> None:
        self.pid = process.pid
        self._process = process
        self._reader = reader
        self._writer = writer
        self._most_bytes = most_bytes

    @classmethod
    async def start(cls, *, compute_s: float, output_bytes: int) -> SandboxProcess:
        """A process that is ready. Raises NodeError if it does not become so."""
        launch = asyncio.ensure_future(asyncio.to_thread(_launch, compute_s, output_bytes))
        try:
            process, pipe = await asyncio.shield(launch)
        except asyncio.CancelledError:
            launch.add_done_callback(_undo)  # a thread goes on
            raise
        except OSError as exc:
            raise NodeError("The sandbox for JavaScript did not start: the system has no room for it.") from exc
        reader, writer = await asyncio.open_connection(sock=pipe)
        started = cls(process, reader, writer, output_bytes)
        try:
            async with asyncio.timeout(START_S):
                if (await started._read())[0] != READY:
                    raise NodeError("The sandbox for JavaScript did not start.")
        except TimeoutError as exc:
            await started.kill()
            raise NodeError(f"The sandbox for JavaScript did not start within {START_S:g} seconds.") from exc
        except BaseException:
            await started.kill()
            raise
        return started

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    async def call(self, code: bytes, http: HttpClient) -> bytes:
        """Run the code; gives what the process says of its end. Raises NodeError if it dies or floods the pipe."""
        errands = Errands(http, lambda body: self._writer.write(frame(ANSWER, body)))
        self._writer.write(frame(CALL, code))
        try:
            while True:
                kind, body = await self._read()
                if kind == DONE:
                    return body
                if kind != ASK:
                    raise NodeError("The sandbox for JavaScript broke.")
                errands.begin(body)
        except TooManyErrands as exc:
            raise NodeError("The function asks for requests or timers without end.") from exc
        except ValueError as exc:
            raise NodeError("The sandbox for JavaScript broke.") from exc
        finally:
            errands.drop()

    async def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()
        self._writer.close()
        await asyncio.to_thread(self._process.wait)

    async def _read(self) -> tuple[bytes, bytes]:
        try:
            kind, length = HEADER.unpack(await self._reader.readexactly(HEADER.size))
            if length > self._most_bytes:
                raise NodeError("The sandbox for JavaScript broke.")
            return kind, await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as exc:
            raise NodeError("The sandbox for JavaScript ended in the middle of a function.") from exc


def _launch(compute_s: float, output_bytes: int) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The process, and our end of its pipe."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = subprocess.Popen(  # noqa: S603 -- nothing in it comes from a flow
                [sys.executable, "-I", "-c", PROGRAM, ROOT, str(compute_s), str(output_bytes)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
            )
    except BaseException:
        ours.close()
        raise
    return process, ours


def _undo(launch: asyncio.Future[tuple[subprocess.Popen[bytes], socket.socket]]) -> None:
    """End what was started for a call that is no longer wanted."""
    if not launch.cancelled() and launch.exception() is None:
        process, pipe = launch.result()
        pipe.close()
        process.kill()
        process.wait()
