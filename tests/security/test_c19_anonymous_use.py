"""C19: what strangers may ask of a public flow is little, and bounded by its owner."""

from __future__ import annotations

import json

import pytest

from forjinn.core.permissions import BY_FLOW, PUBLIC
from tests.model_server import ScriptedModel
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow
from tests.security.walk import calls

# All that takes no key for a public flow; speech in and out, which has spent owners' money elsewhere, is not among it.
OPEN_FOR_FLOWS = {
    "GET /api/v1/executions/{execution_id}/stream",
    "GET /api/v1/public-chatbotConfig/{chatflow_id}",
    "POST /api/v1/prediction/{chatflow_id}",
    "PUT /api/v1/chatmessage/abort/{chatflow_id}/{chat_id}",
    *(f"{method} /api/v1/webhook/{{chatflow_id}}" for method in ("DELETE", "GET", "PATCH", "POST", "PUT")),
}


def test_a_public_flow_opens_these_calls_and_no_other() -> None:
    assert {str(call) for call in calls() if call.rule == BY_FLOW} == OPEN_FOR_FLOWS
    assert not [
        str(call) for call in calls() if call.rule == PUBLIC and call.method != "GET" and "stepflow" not in str(call)
    ]


@pytest.mark.parametrize("call", ["vector/upsert", "vector/internal-upsert"])
def test_a_stranger_fills_no_store_of_a_public_flow(
    visitor: Caller, new_flow: NewFlow, model: ScriptedModel, call: str
) -> None:
    flow_id = new_flow(drawing.conversation(model.url), isPublic=True)

    assert visitor.http.post(f"/{call}/{flow_id}", json={}).status_code == 401
    assert model.requests == []


def test_an_owner_says_how_often_a_public_flow_is_asked(
    visitor: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    limit = {"rateLimit": {"status": True, "limitMax": "2", "limitDuration": "60", "limitMsg": "Enough for now"}}
    flow_id = new_flow(drawing.conversation(model.url), isPublic=True, apiConfig=json.dumps(limit))

    answers = [visitor.predict(flow_id, "Hi") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "Enough for now" in answers[-1].text
    assert answers[-1].headers["Retry-After"]
    assert len(model.requests) == 2


def test_a_public_flows_files_and_credentials_are_not_read_by_strangers(
    visitor: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    flow_id = new_flow(drawing.conversation(model.url), isPublic=True)

    reads = (f"/chatflows/{flow_id}", f"/chatmessage/{flow_id}", f"/flow-config/{flow_id}", "/executions")
    assert {visitor.http.get(path).status_code for path in reads} == {401}
