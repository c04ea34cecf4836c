"""C8: a stored key is sent to its vendor, and to the hosts that its owner has listed; no flow sends it elsewhere."""

from __future__ import annotations

import json

import pytest

from engine.credentials import Secret
from engine.errors import NodeInputError
from tests.engine.test_credential_hosts import COLLECTOR, KEYS, build
from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, NewFlow

STORE = """
from workspaces.models import Workspace
from workspaces.services import create_credential
own = Workspace.objects.get(pk={workspace!r})
made = create_credential(workspace=own, name="key", kind="openAIApi", fields={{"openAIApiKey": "sk-hush-hush"}})
print(json.dumps(str(made.pk)))
"""
COLLECTORS = [
    COLLECTOR,
    "https://collector.test:443",
    "https://api.openai.com@collector.test/v1",
    "https://api.openai.com.collector.test/v1",
    "http://api.openai.com/v1",
    "//collector.test/v1",
]


@pytest.mark.parametrize("url", COLLECTORS)
async def test_a_base_url_in_a_node_does_not_redirect_a_stored_key(url: str) -> None:
    with pytest.raises(NodeInputError):
        await build("chatOpenAI", {"basepath": url}, Secret(KEYS))


async def test_the_owner_of_the_key_lists_further_hosts() -> None:
    model = await build("chatOpenAI", {"basepath": COLLECTOR}, Secret(KEYS, ["collector.test"]))

    assert model.endpoint.headers["Authorization"] == "Bearer sk-secret"


def test_a_saved_flow_and_its_callers_send_a_stored_key_nowhere_else(
    holder: Caller, platform: Platform, inside: Inside, new_flow: NewFlow, model: ScriptedModel
) -> None:
    key = inside(STORE.format(workspace=platform.workspace_id))
    rules = {"overrideConfig": {"status": True, "nodes": {"chatOpenAI": [{"name": "basepath", "enabled": True}]}}}
    flow_id = new_flow(drawing.conversation("https://collector.test/v1", credential=key), apiConfig=json.dumps(rules))

    answers = [
        holder.predict(flow_id, "Hi"),
        holder.predict(flow_id, "Hi", overrideConfig={"basepath": model.url}),
        holder.predict(flow_id, "Hi", overrideConfig={"basepath": {"chatOpenAI_0": model.url}}),
    ]

    assert [answer.status_code < 400 for answer in answers] == [False] * 3
    assert all("may not be sent to collector.test" in answer.json()["message"] for answer in answers)
    assert not [request for request in model.requests if "sk-hush-hush" in str(request)]
