"""A client of the Chatterfly API, and of its WebSocket."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.journeys.stage import wait_for
from tests.platform import ROOT, Platform

OVER = ("completed", "failed")
# One process for all of them: starting Django takes longer than most tests.
DEPLOYER = """
import django, json, sys
django.setup()
from chatflows.deployments import deploy
from chatflows.models import Chatflow
for flow_id in sys.stdin:
    print(json.dumps(deploy(chatflow=Chatflow.objects.get(pk=flow_id.strip()), name="test")[1]), flush=True)
"""
Frame = dict[str, Any]


class Deployer:
    """Makes deployments beside the platform, as its operator."""

    def __init__(self, platform: Platform) -> None:
        environment = {**platform.environment, "DJANGO_SETTINGS_MODULE": "forjinn.settings"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", DEPLOYER],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Deployer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def deploy(self, flow_id: str) -> str:
        """The key of a new deployment of the flow as it is."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{flow_id}\n")
        self._process.stdin.flush()
        return str(json.loads(self._process.stdout.readline()))


class Client:
    """Whoever holds this key or token."""

    def __init__(self, url: str, key: str, flow_id: str = "") -> None:
        self.url = url
        self.key = key
        self.flow_id = flow_id
        self.http = httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=60)

    def start(self, given: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """The id of a new run."""
        started = self.http.post("/runs", json={"input": given or {}, **fields})
        assert started.status_code == 202, started.text
        return str(started.json()["run_id"])

    def look(self, run_id: str) -> dict[str, Any]:
        found = self.http.get(f"/runs/{run_id}")
        assert found.status_code == 200, found.text
        run: dict[str, Any] = found.json()
        return run

    def until(self, run_id: str, *statuses: str) -> dict[str, Any]:
        """The run, once it has one of these statuses; without any, once it is over."""
        wanted = statuses or OVER
        wait_for(lambda: self.look(run_id)["status"] in wanted, f"run {run_id} to be {' or '.join(wanted)}")
        return self.look(run_id)

    def messages(self, run_id: str) -> list[dict[str, Any]]:
        said: list[dict[str, Any]] = self.http.get(f"/runs/{run_id}/messages").json()
        return said

    def token(self, run_id: str, role: str = "customer") -> str:
        return str(self.http.post(f"/runs/{run_id}/tokens", json={"role": role}).json()["participant_token"])

    def connect(self, run_id: str, *, query: str = "", key: str | None = "own") -> ClientConnection:
        """The run's stream."""
        url = f"{self.url.replace('http', 'ws', 1)}/api/v1/runs/{run_id}/stream{query}"
        sent = self.key if key == "own" else key
        return connect(url, additional_headers={"Authorization": f"Bearer {sent}"} if sent else {}, open_timeout=30)

    def frames(self, run_id: str, query: str = "") -> list[Frame]:
        """All that the stream says, up to its end."""
        with self.connect(run_id, query=query) as stream:
            return list(read(stream))


def read(stream: ClientConnection) -> Iterator[Frame]:
    """Frames, until the server closes in order."""
    for said in stream:
        yield json.loads(said)


def until(stream: ClientConnection, kind: str) -> list[Frame]:
    """Frames up to the next one of this type."""
    found = []
    while True:
        found.append(json.loads(stream.recv(timeout=30)))
        if found[-1]["type"] == kind:
            return found


def kinds(frames: list[Frame]) -> list[str]:
    """What happened, without the pieces of messages."""
    return [frame["type"] for frame in frames if frame["type"] != "message.delta"]


def payloads(frames: list[Frame], kind: str) -> list[dict[str, Any]]:
    return [frame["payload"] for frame in frames if frame["type"] == kind]
