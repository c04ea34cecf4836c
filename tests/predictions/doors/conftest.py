"""The cast of the run protocols: a client of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions.calls import Caller
from tests.predictions.conftest import Keys, NewFlow
from tests.predictions.doors import chatterfly_flows
from tests.predictions.doors.chatterfly_calls import Client, Deployer
from tests.predictions.doors.interactly_calls import TurnClient, Workflows
from tests.predictions.doors.stepflow_calls import Stepflow

Deploy = Callable[..., Client]


@pytest.fixture(scope="session")
def stepflow(platform: Platform) -> Iterator[Stepflow]:
    """The holder of the workspace's key, as a Stepflow client."""
    with Stepflow(platform.url, platform.api_key) as client:
        yield client


@pytest.fixture(scope="session")
def keyless(platform: Platform) -> Iterator[Stepflow]:
    with Stepflow(platform.url) as client:
        yield client


@pytest.fixture(scope="session")
def foreigner(platform: Platform, keys: Keys) -> Iterator[Stepflow]:
    """The holder of another workspace's key."""
    with Stepflow(platform.url, keys.foreign.raw) as client:
        yield client


@pytest.fixture(scope="session")
def turns(platform: Platform) -> Iterator[TurnClient]:
    """The holder of the workspace's key, as a client of the turn API."""
    with TurnClient(platform.url, platform.api_key) as client:
        yield client


@pytest.fixture(scope="session")
def neighbours_turns(platform: Platform, keys: Keys) -> Iterator[TurnClient]:
    """The holder of another workspace's key."""
    with TurnClient(platform.url, keys.foreign.raw) as client:
        yield client


@pytest.fixture(scope="session")
def workflows(holder: Caller, new_flow: NewFlow) -> Workflows:
    return Workflows(holder, new_flow)


@pytest.fixture(scope="session")
def deploy(platform: Platform, new_flow: NewFlow) -> Iterator[Deploy]:
    """Saves a flow, makes a deployment of it, and returns the holder of the deployment's key, a Chatterfly client."""
    clients = []

    def create(flow_data: str, **fields: object) -> Client:
        flow_id = new_flow(flow_data, **{"type": "AGENTFLOW", **fields})
        clients.append(Client(platform.url, deployer.deploy(flow_id), flow_id))
        return clients[-1]

    with Deployer(platform) as deployer:
        yield create
    for client in clients:
        client.http.close()


@pytest.fixture
def greeter(deploy: Deploy, model: ScriptedModel) -> Client:
    return deploy(chatterfly_flows.greeting(model.url))


@pytest.fixture(scope="session")
def approver(deploy: Deploy) -> Client:
    return deploy(chatterfly_flows.approval())


@pytest.fixture(scope="session")
def asker(deploy: Deploy) -> Client:
    return deploy(chatterfly_flows.question())
