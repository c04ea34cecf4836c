"""Credentials that callers bring with a run: used in it, shown nowhere, forgotten with its end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside
from tests.predictions.doors.chatterfly_calls import Client
from tests.predictions.doors.conftest import Deploy

SECRET = "sk-only-for-this-run-7"
GIVEN = {"vendor": {"openAIApiKey": SECRET}}
CREATE = """
from workspaces.models import Workspace
from workspaces.services import create_caller_credential
own = Workspace.objects.get(pk={workspace_id!r})
made = create_caller_credential(
    workspace=own, name="Vendor", kind="openAIApi", slug="vendor", allowed_hosts=["127.0.0.1"]
)
print(json.dumps(str(made.pk)))
"""
KEPT = """
from predictions.models import Execution
print(json.dumps(Execution.objects.get(pk={id!r}).request))
"""


@pytest.fixture(scope="session")
def credential_id(platform: Platform, inside: Inside) -> str:
    return str(inside(CREATE.format(workspace_id=platform.workspace_id)))


@pytest.fixture
def client(deploy: Deploy, model: ScriptedModel, credential_id: str) -> Client:
    """A flow whose model takes its key from callers."""
    config = {"credential": credential_id}
    asked = drawing.llm_step(model.url, llmModelConfig=config, llmMessages=[{"role": "user", "content": "Hi"}])
    return deploy(drawing.flow([drawing.start(), asked], drawing.path("startAgentflow_0", "llmAgentflow_0")))


def request_of(inside: Inside, run_id: str) -> dict[str, Any]:
    kept: dict[str, Any] = inside(KEPT.format(id=run_id.removeprefix("run_")))
    return kept


def test_the_runs_own_credential_is_used(client: Client, model: ScriptedModel) -> None:
    run = client.until(client.start({"question": "Hi"}, connections=GIVEN))

    assert run["status"] == "completed"
    assert model.requests[-1].headers["authorization"] == f"Bearer {SECRET}"


def test_it_is_sealed_while_the_run_goes_on_and_gone_behind_its_end(
    client: Client, model: ScriptedModel, inside: Inside
) -> None:
    model.script(Reply("Hi", stall_after=0))
    run_id = client.start({"question": "Hi"}, connections=GIVEN)
    assert model.stalled.wait(30)

    during = request_of(inside, run_id)
    model.release()
    client.until(run_id)

    assert during["connections"].keys() == {"vendor"}
    assert SECRET not in json.dumps(during)
    assert "connections" not in request_of(inside, run_id)


def test_it_is_in_nothing_that_can_be_read(client: Client, holder: Caller, platform: Platform) -> None:
    run_id = client.start({"question": "Hi"}, connections=GIVEN)
    frames = client.frames(run_id)

    run = holder.http.get(f"/executions/{run_id.removeprefix('run_')}").text
    logs = "".join(log.read_text() for log in (platform.var / "log").glob("*.log"))

    for text in (json.dumps(frames), run, logs, json.dumps(client.look(run_id)), json.dumps(client.messages(run_id))):
        assert SECRET not in text


@pytest.mark.parametrize(
    ("connections", "field", "message"),
    [
        (None, "connections.vendor", "is required"),
        ({"vendor": "text"}, "connections.vendor", "must be an object of texts"),
        ({"vendor": {}}, "connections.vendor.openAIApiKey", "is required"),
        ({"vendor": {"openAIApiKey": "k", "color": "red"}}, "connections.vendor.color", "is not known"),
        ({**GIVEN, "elsewhere": {}}, "connections.elsewhere", "is not known; this workflow takes: vendor"),
    ],
)
def test_a_run_without_what_its_flow_needs_is_refused(
    client: Client, model: ScriptedModel, connections: Any, field: str, message: str
) -> None:
    refused = client.http.post("/runs", json={"input": {}, "connections": connections})

    assert refused.status_code == 422
    [problem] = refused.json()["errors"]
    assert problem["field"] == field
    assert problem["message"].startswith(message)
    assert SECRET not in refused.text
    assert model.requests == []


def test_another_door_says_how_such_a_flow_is_started(client: Client, holder: Caller) -> None:
    refused = holder.predict(client.flow_id, "Hi")

    assert refused.status_code == 422
    assert "start it through POST /api/v1/runs with connections.vendor" in refused.json()["message"]
