"""WebSockets when the server stops, and when their readers are slow."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosedError

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform, running_platform
from tests.predictions.doors import chatterfly_flows
from tests.predictions.doors.chatterfly_calls import Client, Deployer, kinds, read, until


@pytest.fixture
def platform() -> Iterator[Platform]:
    """One of the test's own: it is stopped half-way."""
    with running_platform() as running:
        yield running


@pytest.fixture
def client(platform: Platform) -> Iterator[Client]:
    graph = chatterfly_flows.greeting(platform.model.url)
    flow = platform.call("POST", "/api/v1/agentflows", {"name": "Greeter", "flowData": graph}).json()
    with Deployer(platform) as deployer:
        key = deployer.deploy(flow["id"])
    client = Client(platform.url, key)
    with client.http:
        yield client


def test_a_server_that_stops_sends_its_viewers_away_and_they_continue(platform: Platform, client: Client) -> None:
    model: ScriptedModel = platform.model
    model.script(Reply("one two three four", stall_after=2))
    run_id = client.start(chatterfly_flows.INPUT)

    with client.connect(run_id) as stream:
        seen = until(stream, "message.delta")
        earlier = platform.kill("web", signal.SIGTERM)
        with pytest.raises(ConnectionClosedError) as closed:
            seen.extend(read(stream))
    platform.wait_restarted("web", earlier)
    platform.wait_ready()
    model.release()
    seen += client.frames(run_id, f"?last_event_id={seen[-1]['id']}")

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert kinds(seen)[-1] == "run.completed"
    assert len({frame["id"] for frame in seen}) == len(seen)
    assert (
        "".join(frame["payload"]["text"] for frame in seen if frame["type"] == "message.delta") == "one two three four"
    )


def test_a_reader_who_takes_nothing_holds_nobody_up_and_gets_all_in_the_end(client: Client) -> None:
    run_id = client.start({"name": "x" * 500_000, "issue": "long"})

    with client.connect(run_id) as stream:
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert client.until(run_id)["status"] == "completed"
        frames = list(read(stream))

    assert kinds(frames)[-1] == "run.completed"
    assert json.dumps(frames).count("x" * 500_000) >= 4
