"""Workers are killed every second, Redis and PostgreSQL once: of fifty runs none is lost, none is doubled."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psycopg
import pytest
from redis import Redis

from forjinn.embedded.own import WORKER, WORKER_OPTIONS
from predictions.reaper import COME_BACK_S
from tests.journeys.stage import service_url, wait_steady
from tests.model_server import Request, ScriptedModel
from tests.model_wire import Reply
from tests.platform import ROOT, Frame, Platform, running_platform
from tests.predictions import drawing

RUNS = 50
KILLS = 20
MODELS = 5  # behind the start: six nodes
PATIENCE_S = 120.0
HELD = """
SELECT run.id, run.attempt FROM predictions_execution run JOIN predictions_workerlease lease ON lease.id = run.worker
WHERE run.state = 'RUNNING' AND lease.name LIKE %s
"""
STATES = "SELECT id, state, attempt FROM predictions_execution WHERE id = ANY(%s::uuid[])"


def answer_of(tag: str, number: int) -> str:
    return f"{tag} step {number}: " + " ".join(f"word{n}" for n in range(12))


def answer(request: Request) -> Reply:
    """Always the same to the same, so that every reader knows what is right."""
    number, tag = request.question.split()[:2]
    return Reply(answer_of(tag, int(number)))


def six_nodes(model_url: str) -> str:
    names = [f"llmAgentflow_{number}" for number in range(MODELS)]
    steps = [
        drawing.llm_step(
            model_url,
            name,
            f"Step {number}",
            llmEnableMemory=False,
            llmMessages=[{"role": "user", "content": f"{number} {{{{ question }}}}"}],
        )
        for number, name in enumerate(names)
    ]
    return drawing.flow([drawing.start(), *steps], drawing.path("startAgentflow_0", *names))


@dataclass
class Reader:
    """Reads one run's stream, hanging up again and again, and knows what it has seen."""

    tag: str
    frames: list[Frame] = field(default_factory=list)
    execution_id: str = ""

    def read(self, platform: Platform, flow_id: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._is_over:
            assert time.monotonic() < deadline, f"{self.tag} {self.execution_id} does not end"
            try:
                self._listen(platform, flow_id)
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)  # the server is away for a moment, as a browser would find it

    def _listen(self, platform: Platform, flow_id: str) -> None:
        # Nobody asks twice: what was accepted is followed from then on.
        opened = (
            platform.resume(self.execution_id, after=self.frames[-1].id if self.frames else "")
            if self.execution_id
            else platform.stream(flow_id, self.tag)
        )
        with opened as stream:
            if stream.status != 200:
                raise ConnectionError(stream.status)
            self.execution_id = self.execution_id or stream.headers["x-execution-id"]
            for read, frame in enumerate(stream, 1):
                self.frames.append(frame)
                if self._is_over or read % 7 == 0:
                    return

    @property
    def _is_over(self) -> bool:
        return bool(self.frames) and self.frames[-1].event == "end"

    @property
    def text(self) -> str:
        said = ""
        for frame in self.frames:
            if frame.event == "token":
                said += frame.data
            elif frame.event == "retract":
                said = said[: -frame.data["length"]]
        return said

    @property
    def steps(self) -> list[tuple[str, str]]:
        """What became of each node, as it was told."""
        return [(f.data["nodeLabel"], f.data["status"]) for f in self.frames if f.event == "nextAgentFlow"]


class Chaos:
    """Kills a worker a second, and remembers how long what it held had to wait.

    The platform's own worker comes back by its supervisor, which takes longer each time; the other is started again
    at once.
    """

    def __init__(self, platform: Platform) -> None:
        self.recoveries: list[float] = []
        self.kills = 0
        self._platform = platform
        self._watches: list[threading.Thread] = []
        self._other = start_worker(platform)

    def wreak(self) -> None:
        for number in range(KILLS):
            due = time.monotonic() + 1.0
            if number % 2:
                self._kill(self._other.pid)
                self._other.wait()
                self._other = start_worker(self._platform)
            else:
                self._kill(self._platform.pids["worker"])
            if number == KILLS // 3:
                lose_everything(self._platform)
            if number == 2 * KILLS // 3:
                self._platform.kill("postgres", signal.SIGINT)
            # No event to wait for: the pace of the kills is what the test is about.
            time.sleep(max(0.0, due - time.monotonic()))

    def end(self) -> None:
        for watch in self._watches:
            watch.join(PATIENCE_S)
        self._other.terminate()
        self._other.wait()

    def _kill(self, pid: int) -> None:
        held = self._held(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # not back yet
        self.kills += 1
        if held:
            watch = threading.Thread(target=self._watch, args=(held, time.monotonic()), daemon=True)
            watch.start()
            self._watches.append(watch)

    def _held(self, pid: int) -> dict[str, int]:
        """The runs that this worker has, and at which attempt they are."""
        rows = asked(self._platform, HELD, [f"%:{pid}"])
        return {str(execution_id): attempt for execution_id, attempt in rows or ()}

    def _watch(self, held: dict[str, int], killed_at: float) -> None:
        while held and time.monotonic() - killed_at < PATIENCE_S:
            for execution_id, state, attempt in asked(self._platform, STATES, [list(held)]) or ():
                if state not in ("QUEUED", "RUNNING") or (state == "RUNNING" and attempt > held[str(execution_id)]):
                    del held[str(execution_id)]
                    self.recoveries.append(time.monotonic() - killed_at)
            time.sleep(0.1)


def asked(platform: Platform, statement: str, values: list[Any]) -> list[Any] | None:
    """The rows; None while PostgreSQL is away."""
    try:
        with psycopg.connect(service_url(platform, "postgres"), connect_timeout=2) as connection:
            return connection.execute(statement, values).fetchall()
    except psycopg.OperationalError:
        return None


def start_worker(platform: Platform) -> subprocess.Popen[bytes]:
    with (platform.var / "log" / "worker-2.log").open("ab") as log:
        command = [sys.executable, *WORKER, *WORKER_OPTIONS, "--hostname=second@%h"]
        return subprocess.Popen(command, cwd=ROOT, env=platform.environment, stdout=log, stderr=log)


def lose_everything(platform: Platform) -> None:
    """Redis restarts and has forgotten all: queues, streams, subscriptions."""
    with Redis.from_url(service_url(platform, "valkey")) as redis:
        redis.flushall()
    platform.kill("valkey")


def repeated_steps(requests: list[Request]) -> list[str]:
    """Runs in which a model was asked again after its answer had been written down: a later one had been asked."""
    asked_steps: dict[str, list[int]] = defaultdict(list)
    for request in requests:
        number, tag = request.question.split()[:2]
        asked_steps[tag].append(int(number))
    return [tag for tag, numbers in asked_steps.items() if numbers != sorted(numbers)]


@pytest.fixture
def slow_model() -> Iterator[ScriptedModel]:
    with ScriptedModel(answer=answer, first_token_delay_s=0.15, token_delay_s=0.01) as model:
        yield model


# Beside other tests workers would be killed before they are up, with nothing in hand.
@pytest.mark.alone
def test_of_fifty_runs_none_is_lost_and_none_is_doubled(slow_model: ScriptedModel) -> None:
    readers = [Reader(f"run-{number}") for number in range(RUNS)]
    with running_platform() as platform:
        body = {"name": "Six nodes", "flowData": six_nodes(slow_model.url), "type": "AGENTFLOW"}
        flow_id = platform.call("POST", "/api/v1/chatflows", body).json()["id"]
        platform.call("PUT", f"/api/v1/chatflows/{flow_id}", {"deployed": True})
        wait_steady(platform, for_s=COME_BACK_S)
        chaos = Chaos(platform)
        with ThreadPoolExecutor(RUNS) as pool:
            reading = [pool.submit(reader.read, platform, flow_id) for reader in readers]
            chaos.wreak()
            for one in reading:
                one.result(PATIENCE_S)
        chaos.end()
        platform.wait_ready()
        runs = {
            reader.tag: platform.call("GET", f"/api/v1/executions/{reader.execution_id}").json() for reader in readers
        }

    lost = [tag for tag, run in runs.items() if run["state"] != "FINISHED"]
    doubled = repeated_steps(slow_model.requests)
    print(  # noqa: T201 -- the figures that this test is for
        f"\nruns {len(runs)}, kills {chaos.kills}, lost {len(lost)}, doubled {len(doubled)}, recovery "
        f"median {median(chaos.recoveries):.1f} s, slowest {max(chaos.recoveries):.1f} s of {len(chaos.recoveries)}"
    )
    assert lost == []
    assert doubled == []
    assert chaos.kills > KILLS / 2
    for reader in readers:
        right = answer_of(reader.tag, MODELS - 1)
        assert runs[reader.tag]["output"]["text"] == right
        assert reader.text == right
        assert len({frame.id for frame in reader.frames}) == len(reader.frames)
        assert [frame.event for frame in reader.frames].count("end") == 1
        finished = [label for label, status in reader.steps if status == "FINISHED"]
        assert len(set(finished)) == len(finished)
        assert finished == sorted(finished, key=["Start", *(f"Step {n}" for n in range(MODELS))].index)
