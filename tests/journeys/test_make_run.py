"""From nothing to a streamed answer with one command; through kills and restarts; back to nothing."""

from __future__ import annotations

import http.client
import json
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.platform import ROOT, Platform, processes_of, running_platform

EMBEDDED_MODEL = ""


@pytest.fixture(scope="module")
def harmed() -> Iterator[Platform]:
    """A platform that these tests may harm, and leave stopped."""
    with running_platform() as platform:
        yield platform


@pytest.fixture
def own(harmed: Platform) -> Platform:
    """The same, running."""
    if not harmed.is_running:
        harmed.start()
    return harmed


def manage(platform: Platform, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=platform.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def answer(platform: Platform) -> str:
    """What the demo flow says, streamed."""
    with platform.stream(platform.demo_flow_id, "Hello there", key=None) as stream:
        return "".join(frame.data for frame in stream if frame.event == "token")


def printed_call(output: str) -> tuple[str, dict[str, str], str]:
    """URL, headers and body of the curl line that the start ends with."""
    [line] = [line for line in output.splitlines() if line.strip().startswith("curl ")]
    curl, no_buffer, url, header_option, header, body_option, body = shlex.split(line)
    assert (curl, no_buffer, header_option, body_option) == ("curl", "-N", "-H", "-d")
    return url, dict([header.split(": ")]), body


def test_a_start_ends_with_a_line_that_streams_an_answer_of_the_small_model() -> None:
    with running_platform(MODEL_URL=EMBEDDED_MODEL) as platform:
        url, headers, body = printed_call(platform.output)
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

        connection.request("POST", urlsplit(url).path, body, headers)

        response = connection.getresponse()
        frames = [json.loads(line[5:]) for line in response.read().split(b"\n") if line.startswith(b"data:")]
        connection.close()
        assert response.status == 200
        assert "model" in platform.pids
        assert [frame["event"] for frame in frames].count("token") > 1
        assert frames[-1]["event"] == "end"


def test_run_json_says_how_to_reach_the_platform_to_its_owner_only(own: Platform) -> None:
    run = own.run

    assert set(run) == {"url", "apiKey", "workspaceId", "demoFlowId", "agentflowId", "pids"}
    assert set(run["pids"]) == {"supervisor", "web", "worker", "beat", "postgres", "valkey"}
    for name in ("run.json", "demo.json", "secrets.json", "services.json"):
        assert stat.S_IMODE((own.var / name).stat().st_mode) == 0o600
    assert own.call("GET", f"/api/v1/chatflows/{run['demoFlowId']}").json()["name"] == "Demo chat"
    assert own.call("GET", f"/api/v1/chatflows/{run['demoFlowId']}", key="fj-wrong").status == 401


def test_other_commands_find_what_runs(own: Platform) -> None:
    unapplied = manage(own, "migrate", "--check")

    assert (unapplied.returncode, unapplied.stdout, unapplied.stderr) == (0, "", "")


@pytest.mark.parametrize("role", ["web", "worker", "beat", "valkey", "postgres"])
def test_a_killed_process_is_started_again(own: Platform, role: str) -> None:
    killed = own.kill(role)

    own.wait_restarted(role, killed)
    own.wait_ready()
    assert answer(own) == "You said: Hello there"


def test_ctrl_c_stops_everything_and_a_second_start_has_the_data(own: Platform) -> None:
    before = own.run

    status = own.stop(signal.SIGINT)

    assert status == 0
    assert processes_of(own.var) == []
    assert not (own.var / "run.json").exists()
    own.start()
    assert {**own.run, "url": "", "pids": ""} == {**before, "url": "", "pids": ""}
    assert own.output.count("shown this once") == 1


def test_ctrl_c_while_it_starts_leaves_nothing_either(own: Platform) -> None:
    own.stop()
    said_before = len(own.output)
    with own.begin() as supervisor:
        while "Bringing the database up to date" not in own.output[said_before:]:
            assert supervisor.poll() is None

        supervisor.send_signal(signal.SIGINT)

        assert supervisor.wait(30) == 1
    assert own.output.endswith("Stopped before it was ready\n")
    assert processes_of(own.var) == []


def test_a_killed_supervisor_leaves_nothing_that_a_second_start_cannot_take_over(own: Platform) -> None:
    before = own.run
    own.stop(signal.SIGKILL)

    own.start()

    assert own.api_key == before["apiKey"]
    assert answer(own) == "You said: Hello there"
    assert len(processes_of(own.var)) >= len(own.pids)
    assert not set(before["pids"].values()) & set(own.pids.values())


def test_a_second_supervisor_is_refused_and_told_who_runs(own: Platform) -> None:
    second = manage(own, "up")

    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"already runs in {own.var}: process {own.pids['supervisor']} at {own.url}" in second.stderr
    assert own.call("GET", "/health", key=None).status == 200


def test_stop_says_what_it_did_and_nothing_to_stop_is_no_error(own: Platform) -> None:
    url = own.url

    stopped = manage(own, "stop")
    again = manage(own, "stop")

    assert (stopped.returncode, again.returncode) == (0, 0)
    assert url in stopped.stdout
    assert again.stdout == f"Nothing runs in {own.var}\n"
    assert processes_of(own.var) == []
