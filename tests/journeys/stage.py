"""What every journey is told with: a platform, a model that says what it is told to, and a flow that asks it."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

import psycopg

from chatflows.demo import CHAT, FOLDER, point_at
from forjinn.embedded.launch import free_port
from forjinn.embedded.own import WORKER, WORKER_OPTIONS
from forjinn.embedded.state import read_children
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import ROOT, Answer, Frame, Platform, Stream

PATIENCE_S = 30.0
LOOK_S = 0.02
STEADY = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE application_name = 'forjinn web' AND now() - backend_start > make_interval(secs => %s)
"""
WORKER_OF = "SELECT worker FROM predictions_execution WHERE id = %s"
WORDS = "one two three four five six seven eight nine ten"

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Stage:
    """A deployed flow on `platform`, whose model is `model`."""

    platform: Platform
    model: ScriptedModel
    flow_id: str

    def stall(self, after: int = 3) -> None:
        """The model's next answer is WORDS, and falls silent after so many of them until `model.release()`."""
        self.model.script(Reply(WORDS, stall_after=after))

    def ask(self, question: str = "Count", **fields: Any) -> Answer:
        """Wait for the whole answer."""
        return self.platform.call("POST", f"/api/v1/prediction/{self.flow_id}", {"question": question, **fields})

    def asking(self, question: str = "Count", **fields: Any) -> Future[Answer]:
        """Ask in a thread of its own."""
        return in_background(lambda: self.ask(question, **fields))

    def execution(self, execution_id: str) -> Any:
        return self.platform.call("GET", f"/api/v1/executions/{execution_id}").json()

    def worker_of(self, execution_id: str) -> int:
        """The lease of the worker that ran it: for people it is no news, so only the database tells."""
        with psycopg.connect(service_url(self.platform, "postgres")) as connection:
            row = connection.execute(WORKER_OF, [execution_id]).fetchone()
        assert row is not None
        return int(row[0])

    def messages(self, chat_id: str) -> list[str]:
        """What the conversation holds, in order."""
        path = f"/api/v1/chatmessage/{self.flow_id}?chatId={chat_id}"
        return [message["content"] for message in self.platform.call("GET", path).json()]

    def stop(self, chat_id: str) -> Answer:
        return self.platform.call("PUT", f"/api/v1/chatmessage/abort/{self.flow_id}/{chat_id}")


def set_stage(platform: Platform, model: ScriptedModel, **fields: Any) -> Stage:
    """A public, deployed conversation on the platform with this model."""
    flow_data = point_at(model.url, (FOLDER / CHAT[2]).read_text())
    body = {"name": f"Journey {next(_numbers)}", "flowData": flow_data, "isPublic": True, **fields}
    flow_id = platform.call("POST", "/api/v1/chatflows", body).json()["id"]
    deployed = platform.call("PUT", f"/api/v1/chatflows/{flow_id}", {"deployed": True})
    assert deployed.status == 200, deployed.body
    return Stage(platform, model, flow_id)


def in_background(call: Callable[[], Answer]) -> Future[Answer]:
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as exc:
            future.set_exception(exc)

    threading.Thread(target=run, daemon=True).start()
    return future


@contextlib.contextmanager
def second_worker(platform: Platform) -> Iterator[subprocess.Popen[bytes]]:
    """Another worker process on the platform's services, ready; told to stop at the end."""
    with _process(platform, "worker-2", *WORKER, *WORKER_OPTIONS, "--hostname=second@%h") as process:
        wait_for_log(platform, "worker-2", "worker ready")
        yield process


@contextlib.contextmanager
def second_web(platform: Platform) -> Iterator[Platform]:
    """Another web process on the platform's services: the platform as it is seen through that one."""
    port = free_port()
    with _process(platform, "web-2", "-m", "uvicorn", "forjinn.asgi:application", f"--port={port}"):
        wait_for_log(platform, "web-2", "Uvicorn running")
        yield OtherDoor(platform, f"http://127.0.0.1:{port}")


class OtherDoor(Platform):
    """A platform at another address than its first."""

    def __init__(self, platform: Platform, url: str) -> None:
        super().__init__(platform.var, platform.model)
        self._url = url

    @property
    def url(self) -> str:
        return self._url


@contextlib.contextmanager
def _process(platform: Platform, name: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with (platform.var / "log" / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=platform.environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def service_url(platform: Platform, role: str) -> str:
    """Where a part of the platform is reached."""
    return read_children(platform.var)[role].url


def wait_steady(platform: Platform, *, for_s: float) -> None:
    """Until the connections of the web process have been up for so long."""

    def are_steady() -> bool:
        try:
            with psycopg.connect(service_url(platform, "postgres")) as connection:
                return connection.execute(STEADY, [for_s]).fetchone() == (True,)
        except psycopg.OperationalError:
            return False

    wait_for(are_steady, "steady connections")


def wait_for_log(platform: Platform, name: str, text: str) -> None:
    log = platform.var / "log" / f"{name}.log"
    wait_for(lambda: text in log.read_text(), f"{text!r} in {log}")


def new_chat() -> str:
    return uuid4().hex


def execution_of(stream: Stream) -> str:
    return str(stream.headers["x-execution-id"])


def text_of(frames: list[Frame]) -> str:
    return "".join(frame.data for frame in frames if frame.event == "token")


def read_until(frames: Iterator[Frame], text: str) -> list[Frame]:
    """The frames up to the one that completes this text."""
    read: list[Frame] = []
    while text_of(read) != text:
        read.append(next(frames))
    return read


def rest_of(frames: Iterator[Frame]) -> list[Frame]:
    """What still comes, be it that the connection breaks."""
    read: list[Frame] = []
    with contextlib.suppress(http.client.HTTPException, ConnectionError):
        read.extend(frames)
    return read


def wait_for(claim: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(LOOK_S)
