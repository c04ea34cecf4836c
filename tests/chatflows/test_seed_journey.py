"""What the published pages on keys, predictions and agent flows promise, from a new flow to its answer."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from tests.platform import Platform
from tests.predictions import drawing


def make_flow(platform: Platform, path: str = "/chatflows", **fields: Any) -> str:
    body = {"name": "Customer Support Bot", "flowData": drawing.conversation(platform.model.url), **fields}
    created = platform.call("POST", f"/api/v1{path}", body)
    assert created.status == 200, created.body
    flow_id = str(created.json()["id"])
    assert platform.call("PUT", f"/api/v1{path}/{flow_id}", {"deployed": True}).status == 200
    return flow_id


def ask(platform: Platform, flow_id: str, key: str | None = None, **body: Any) -> tuple[int, dict[str, Any]]:
    response = platform.call("POST", f"/api/v1/prediction/{flow_id}", {"question": "Hello", **body}, key=key)
    answered: dict[str, Any] = response.json()
    return response.status, answered


def test_a_key_goes_into_the_header_or_the_query(platform: Platform) -> None:
    path = "/api/v1/chatflows"

    header = platform.call("GET", path, headers={"Authorization": f"Bearer {platform.api_key}"}, key=None)
    query = platform.call("GET", f"{path}?apiKey={platform.api_key}", key=None)

    assert (header.status, query.status) == (200, 200)
    assert header.json() == query.json()


def test_a_public_flow_needs_no_key_for_predictions_and_for_everything_else_it_does(platform: Platform) -> None:
    flow_id = make_flow(platform, isPublic=True)

    status, _ = ask(platform, flow_id)
    others = [platform.call(method, f"/api/v1/chatflows/{flow_id}", {}, key=None) for method in ("GET", "PUT")]

    assert status == 200
    assert [(other.status, other.json()["message"]) for other in others] == [
        (401, "API key missing: send Authorization: Bearer <key>")
    ] * 2


def test_a_prediction_answers_with_text_and_a_chat_id_that_leads_on(platform: Platform) -> None:
    flow_id = make_flow(platform)

    _, first = ask(platform, flow_id, key=platform.api_key, question="My name is Ann.")
    _, second = ask(platform, flow_id, key=platform.api_key, question="And now?", chatId=first["chatId"])

    assert UUID(first["chatId"])
    assert (first["text"], second["text"]) == ("You said: My name is Ann.", "You said: And now?")
    assert second["chatId"] == first["chatId"]
    told = [message["content"] for message in platform.model.requests[-1].messages]
    assert told[-3:] == ["My name is Ann.", "You said: My name is Ann.", "And now?"]


def test_session_id_is_another_word_for_chat_id(platform: Platform) -> None:
    flow_id = make_flow(platform)

    _, answer = ask(platform, flow_id, key=platform.api_key, sessionId="support-42")

    assert answer["chatId"] == answer["sessionId"] == "support-42"


def test_history_in_the_documented_spelling_comes_first(platform: Platform) -> None:
    history = [{"message": "Hi", "type": "userMessage"}, {"message": "Hello!", "type": "apiMessage"}]

    ask(platform, make_flow(platform), key=platform.api_key, history=history, leadEmail="ann@example.com")

    told = [(message["role"], message["content"]) for message in platform.model.requests[-1].messages]
    assert told[-3:] == [("user", "Hi"), ("assistant", "Hello!"), ("user", "Hello")]


def test_a_stream_brings_tokens_metadata_and_the_end(platform: Platform) -> None:
    with platform.stream(make_flow(platform), "Hello") as stream:
        frames = list(stream)

    assert "".join(frame.data for frame in frames if frame.event == "token") == "You said: Hello"
    [metadata] = [frame.data for frame in frames if frame.event == "metadata"]
    assert metadata.keys() >= {"chatId", "chatMessageId", "question", "sessionId"}
    assert (frames[-1].event, frames[-1].data) == ("end", "[DONE]")


@pytest.mark.parametrize("missing", [{"question": None}, {"question": 5}])
def test_a_prediction_without_a_question_is_a_400(platform: Platform, missing: dict[str, Any]) -> None:
    status, body = ask(platform, make_flow(platform), key=platform.api_key, **missing)

    assert status == 400
    assert body["message"].startswith("question: ")


def test_an_agent_flow_is_managed_and_asked_like_any_other(platform: Platform) -> None:
    graph = drawing.agentflow(platform.model.url)
    flow_id = make_flow(platform, "/agentflows", flowData=graph)

    one = platform.call("GET", f"/api/v1/agentflows/{flow_id}").json()
    listed = platform.call("GET", "/api/v1/agentflows?type=AGENTFLOW&page=1&limit=20").json()
    _, answer = ask(platform, flow_id, key=platform.api_key)
    deleted = platform.call("DELETE", f"/api/v1/agentflows/{flow_id}")

    assert (one["type"], one["deployed"], json.loads(one["flowData"])) == ("AGENTFLOW", True, json.loads(graph))
    assert flow_id in [row["id"] for row in listed]
    assert answer["text"] == "You said: Hello"
    assert answer.keys() >= {"question", "chatMessageId", "sessionId", "executionId", "agentFlowExecutedData"}
    assert deleted.status == 200
    assert ask(platform, flow_id, key=platform.api_key)[0] == 404


def test_whatever_is_refused_says_so_in_one_shape(platform: Platform) -> None:
    refusals = [
        platform.call("POST", "/api/v1/chatflows", {"name": "No graph"}),
        platform.call("GET", "/api/v1/chatflows", key="fj-abc123def456"),
        platform.call("GET", "/api/v1/chatflows/a1b2c3d4-e5f6-7890-abcd-ef1234567890"),
        platform.call("GET", "/api/v1/nothing"),
        platform.call("PATCH", "/api/v1/chatflows"),
    ]

    assert [refusal.status for refusal in refusals] == [400, 401, 404, 404, 405]
    assert all(isinstance(refusal.json()["message"], str) for refusal in refusals)
