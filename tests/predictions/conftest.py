"""The cast of predictions: a scripted model of each test's own, flows on it, and people who ask them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller

NewFlow = Callable[..., str]


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as scripted:
        yield scripted


@pytest.fixture(scope="session")
def holder(platform: Platform) -> Iterator[Caller]:
    """The holder of the workspace's key."""
    caller = Caller(platform.url, platform.api_key)
    yield caller
    caller.http.close()


@pytest.fixture(scope="session")
def visitor(platform: Platform) -> Iterator[Caller]:
    """Somebody without a key."""
    caller = Caller(platform.url)
    yield caller
    caller.http.close()


@pytest.fixture(scope="session")
def new_flow(holder: Caller) -> NewFlow:
    """Saves a flow, deployed unless `deployed=False` is said, and returns its id."""

    def create(flow_data: str, **fields: Any) -> str:
        deployed = fields.pop("deployed", True)
        created = holder.http.post("/chatflows", json={"name": "Test flow", "flowData": flow_data, **fields})
        assert created.status_code == 200, created.text
        flow_id = str(created.json()["id"])
        if deployed:
            assert holder.http.put(f"/chatflows/{flow_id}", json={"deployed": True}).status_code == 200
        return flow_id

    return create


@pytest.fixture
def chat(new_flow: NewFlow, model: ScriptedModel) -> str:
    """A classic conversation on the test's model."""
    return new_flow(drawing.conversation(model.url))


@pytest.fixture
def agent(new_flow: NewFlow, model: ScriptedModel) -> str:
    """An AgentFlow v2 on the test's model."""
    return new_flow(drawing.agentflow(model.url), type="AGENTFLOW")
