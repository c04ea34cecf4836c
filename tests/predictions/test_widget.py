"""What a chat widget on somebody's page asks beside the question itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow

UNKNOWN = "00000000-0000-7000-8000-000000000000"
SECRETS = ("11111111-1111-4111-8111-111111111111", "s3cr3t-header", "secret persona", "whole prompt", "sk-", "basepath")
CONFIG = {
    "starterPrompts": {"0": {"prompt": "What are your hours?"}},
    "chatFeedback": {"status": True},
    "leads": {"status": True, "title": "Who are you?", "email": True},
    "followUpPrompts": {"status": True, "openAI": {"credentialId": SECRETS[0], "prompt": "the whole prompt"}},
    "postProcessing": {"enabled": False, "customFunction": "return 's3cr3t-header'"},
    "allowedOrigins": ["https://shop.example"],
    "allowedOriginsError": "Only from our shop.",
    "backgroundColor": "#ffffff",
}


@pytest.mark.parametrize(("streaming", "expected"), [(True, True), ("false", False)])
def test_whether_a_flow_streams_is_told_to_everybody(
    visitor: Caller, new_flow: NewFlow, model: ScriptedModel, streaming: object, expected: bool
) -> None:
    flow_id = new_flow(drawing.conversation(model.url, streaming=streaming))

    assert visitor.http.get(f"/chatflows-streaming/{flow_id}").json() == {"isStreaming": expected}


def test_an_agentflow_always_streams(visitor: Caller, agent: str) -> None:
    assert visitor.http.get(f"/chatflows-streaming/{agent}").json() == {"isStreaming": True}


@pytest.mark.parametrize("address", ["/chatflows-streaming", "/public-chatbotConfig"])
def test_of_an_unknown_flow_nothing_is_told(visitor: Caller, address: str) -> None:
    unknown, nonsense = visitor.http.get(f"{address}/{UNKNOWN}"), visitor.http.get(f"{address}/nonsense")

    assert (unknown.status_code, nonsense.status_code) == (404, 400)
    assert unknown.json()["message"] == f"Chatflow {UNKNOWN} not found"


def config_of(visitor: Caller, flow_id: str) -> tuple[dict[str, Any], str]:
    response = visitor.http.get(f"/public-chatbotConfig/{flow_id}")
    assert response.status_code == 200
    return response.json(), response.text


def test_a_widget_learns_its_settings_and_no_secret(visitor: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    secrets = {
        "baseOptions": '{"X-Key": "s3cr3t-header"}',
        "credential": SECRETS[0],
        "modelName": "gpt-5",
        "FLOWISE_CREDENTIAL_ID": SECRETS[0],
    }
    flow_id = new_flow(drawing.conversation(model.url, **secrets), isPublic=True, chatbotConfig=json.dumps(CONFIG))

    config, text = config_of(visitor, flow_id)

    assert config.keys() == {
        "starterPrompts", "chatFeedback", "leads", "followUpPrompts", "backgroundColor",
        "uploads", "flowData", "isTTSEnabled",
    }  # fmt: skip
    assert config["followUpPrompts"] == {"status": True}
    assert json.loads(config["flowData"]) == {"nodes": [], "edges": []}
    assert not [secret for secret in SECRETS if secret in text]


def test_a_widget_can_draw_the_form(visitor: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    config, text = config_of(visitor, new_flow(drawing.form_flow(model.url), type="AGENTFLOW", isPublic=True))

    [start] = json.loads(config["flowData"])["nodes"]
    assert start["data"]["name"] == "startAgentflow"
    assert start["data"]["inputs"] == drawing.FORM
    assert "A table for" not in text


@pytest.mark.parametrize("allowed", [True, False])
def test_a_widget_learns_whether_images_may_be_sent(
    visitor: Caller, new_flow: NewFlow, model: ScriptedModel, allowed: bool
) -> None:
    config, _ = config_of(visitor, new_flow(drawing.conversation(model.url, allowImageUploads=allowed), isPublic=True))

    uploads = config["uploads"]
    assert uploads["isImageUploadAllowed"] is allowed
    assert bool(uploads["imgUploadSizeAndTypes"]) is allowed
    assert uploads["isRAGFileUploadAllowed"] is uploads["isSpeechToTextEnabled"] is False


def test_the_settings_of_a_private_flow_are_for_its_keys(holder: Caller, visitor: Caller, chat: str) -> None:
    assert visitor.http.get(f"/public-chatbotConfig/{chat}").status_code == 401
    assert holder.http.get(f"/public-chatbotConfig/{chat}").status_code == 200


def test_a_page_of_another_site_may_ask(visitor: Caller, chat: str) -> None:
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,authorization,last-event-id",
    }

    preflight = visitor.http.options(f"/prediction/{chat}", headers=asked)
    answer = visitor.predict(chat, "Hi", headers={"Origin": "https://shop.example"})

    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    allowed = preflight.headers["Access-Control-Allow-Headers"]
    assert all(name in allowed for name in ("content-type", "authorization", "last-event-id"))
    # Also on a refusal: without the header the page could not read why.
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Request-Id" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_the_chat_page_is_for_public_and_deployed_flows(
    visitor: Caller, new_flow: NewFlow, model: ScriptedModel, chat: str
) -> None:
    config = json.dumps({"starterPrompts": {"0": {"prompt": "What <hours>?"}}})
    public = new_flow(drawing.conversation(model.url), name="Ask <us>", isPublic=True, chatbotConfig=config)
    hidden = new_flow(drawing.conversation(model.url), isPublic=True, deployed=False)

    def page(flow_id: str) -> tuple[int, str]:
        response = visitor.http.get(str(visitor.http.base_url).replace("/api/v1/", f"/chat/{flow_id}"))
        return response.status_code, response.text

    status, text = page(public)
    assert status == 200
    assert "<h1>Ask &lt;us&gt;</h1>" in text
    assert "What &lt;hours&gt;?" in text
    assert "secret persona" not in text
    assert [page(flow_id)[0] for flow_id in (hidden, chat, UNKNOWN, "nonsense")] == [404, 404, 404, 404]
