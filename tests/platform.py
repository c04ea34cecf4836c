"""The whole platform as `make run` starts it, in a folder of its own, with a scripted model.

Tests get the session's one as the fixture `platform`; a test that breaks things starts its own with `running_platform`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.model_server import ScriptedModel
from tests.services import FOREIGN

ROOT = Path(__file__).resolve().parents[1]
START_S = 90.0
STOP_S = 60.0
LOOK_S = 0.02
OWN_KEY = "the platform's own"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call got."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream."""

    id: str
    event: str
    data: Any


class Stream:
    """Frames of an answer, read as they come; iterating ends when the server ends the response."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self._response = response

    def __iter__(self) -> Iterator[Frame]:
        frame_id = ""
        while line := self._response.readline():
            name, _, value = line.decode().rstrip("\r\n").partition(":")
            if name == "id":
                frame_id = value.strip()
            elif name == "data":
                body = json.loads(value)
                yield Frame(frame_id, body["event"], body["data"])
                frame_id = ""


class Platform:
    """One platform; `start` and `stop` may be called again and again, the data stays in `var`."""

    def __init__(self, var: Path, model: ScriptedModel, **environment: str) -> None:
        self.var = var
        self.model = model
        foreign = {*FOREIGN, "DATABASE_URL", "REDIS_URL"}
        self.environment = {
            **{name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in foreign},
            "FORJINN_VAR": str(var),
            "PORT": "0",
            "MODEL_URL": model.url,
            "EGRESS_ALLOW": "127.0.0.1",  # where the tests' other servers listen
            "OVERRIDABLE_FIELDS": "customFunctionAgentflow.customFunctionJavascriptFunction",
            **environment,
        }
        self.supervisor: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return str(self.run["url"])

    @property
    def api_key(self) -> str:
        return str(self.run["apiKey"])

    @property
    def workspace_id(self) -> str:
        return str(self.run["workspaceId"])

    @property
    def demo_flow_id(self) -> str:
        return str(self.run["demoFlowId"])

    @property
    def agentflow_id(self) -> str:
        return str(self.run["agentflowId"])

    @property
    def pids(self) -> dict[str, int]:
        """By role, as they are now."""
        return dict(self.run["pids"])

    @property
    def run(self) -> dict[str, Any]:
        return dict(json.loads((self.var / "run.json").read_text()))

    @property
    def output(self) -> str:
        """What the supervisor has said, in all of its starts."""
        return (self.var / "up.out").read_text()

    @property
    def is_running(self) -> bool:
        return self.supervisor is not None and self.supervisor.poll() is None and (self.var / "run.json").exists()

    def start(self) -> None:
        """Returns once everything is ready."""
        if self.supervisor is not None:
            self.supervisor.wait(STOP_S)
        self.supervisor = self.begin()
        deadline = time.monotonic() + START_S
        while not self._is_started(self.supervisor.pid):
            if self.supervisor.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the platform did not start:\n{self.output}")
            time.sleep(LOOK_S)

    def begin(self) -> subprocess.Popen[bytes]:
        """Start the supervisor and leave it to it."""
        with (self.var / "up.out").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=self.environment, stdout=output, stderr=output
            )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait for the supervisor to end; returns its exit status."""
        assert self.supervisor is not None
        self.supervisor.send_signal(number)
        return self.supervisor.wait(STOP_S)

    def kill(self, role: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to one process; returns its pid."""
        pid = self.pids[role]
        os.kill(pid, number)
        return pid

    def wait_restarted(self, role: str, earlier: int) -> int:
        """Until the supervisor has put another process in the place of `earlier`; returns its pid."""
        deadline = time.monotonic() + START_S
        while (pid := self.pids[role]) == earlier:
            assert time.monotonic() < deadline, f"{role} was not started again:\n{self.output}"
            time.sleep(LOOK_S)
        return pid

    def wait_ready(self) -> None:
        """Until every part that a prediction needs is there."""
        deadline = time.monotonic() + START_S
        while (state := self._readiness()) != "ok":
            assert time.monotonic() < deadline, f"not ready: {state}\n{self.output}"
            time.sleep(LOOK_S)

    def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = OWN_KEY, headers: Mapping[str, str] = {}
    ) -> Answer:
        """One request; `path` begins with /, `key=None` sends none, `body` is sent as JSON."""
        with self._response(method, path, body, key, headers) as response:
            got = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, got, response.read())

    @contextlib.contextmanager
    def stream(self, flow_id: str, question: str, *, key: str | None = OWN_KEY, **fields: Any) -> Iterator[Stream]:
        """Ask for a streamed answer. Leaving the context hangs up."""
        body = {"question": question, "streaming": True, **fields}
        with self._response("POST", f"/api/v1/prediction/{flow_id}", body, key, {}) as response:
            yield Stream(response)

    @contextlib.contextmanager
    def resume(self, execution_id: str, *, after: str) -> Iterator[Stream]:
        """The rest of a run's stream, after the frame of that id."""
        path = f"/api/v1/executions/{execution_id}/stream"
        with self._response("GET", path, None, OWN_KEY, {"Last-Event-ID": after}) as response:
            yield Stream(response)

    @contextlib.contextmanager
    def _response(
        self, method: str, path: str, body: Any, key: str | None, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        sent = {"Content-Type": "application/json", **headers}
        if key is not None:
            sent["Authorization"] = f"Bearer {self.api_key if key == OWN_KEY else key}"
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body).encode(), sent)
            with connection.getresponse() as response:
                yield response

    def _is_started(self, supervisor: int) -> bool:
        """One that was killed leaves its run.json for the next to remove."""
        return (self.var / "run.json").exists() and self.pids["supervisor"] == supervisor

    def _readiness(self) -> str:
        try:
            return str(self.call("GET", "/ready", key=None).json()["status"])
        except (OSError, ValueError, http.client.HTTPException) as exc:
            return repr(exc)


def processes_of(var: Path) -> list[str]:
    """Every living process that belongs to the platform of this folder, whatever has become of its parent."""
    found = []
    for process in psutil.process_iter(["pid", "name", "status"]):
        with contextlib.suppress(psutil.Error):
            ours = process.environ().get("FORJINN_VAR") == str(var) or process.cwd().startswith(f"{var}/")
            if ours and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
    return found


@contextlib.contextmanager
def platform_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="forjinn-platform-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)  # as root, PostgreSQL runs under an account that must get through
        yield folder


@contextlib.contextmanager
def running_platform(**environment: str) -> Iterator[Platform]:
    """A platform of the test's own; stopped at the end if it still runs."""
    with platform_folder() as var, ScriptedModel() as model:
        platform = Platform(var, model, **environment)
        platform.start()
        try:
            yield platform
        finally:
            if platform.supervisor and platform.supervisor.poll() is None:
                platform.stop()


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The session's one, for tests that leave it running."""
    with running_platform() as running:
        yield running
