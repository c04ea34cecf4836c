"""What a caller is told when there is no answer."""

from __future__ import annotations

import json

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller, data_of, names, text_of
from tests.predictions.conftest import NewFlow

KEY = "sk-proj-4f9d8s7a6f5d4s3a2"
REFUSED = Reply(status=400, error=f"Rejected for key {KEY}: the prompt is not allowed")
UNAUTHORIZED = Reply(status=401, error=f"Incorrect API key provided: {KEY}. Find yours at https://x.example")


def test_a_model_that_refuses_is_a_bad_gateway_and_shows_no_key(
    holder: Caller, chat: str, model: ScriptedModel
) -> None:
    model.script(REFUSED)

    response = holder.predict(chat, "Hi")

    body = response.json()
    assert (response.status_code, body["code"]) == (502, "provider_error")
    assert "the prompt is not allowed" in body["message"]
    assert body["requestId"] == response.headers["Request-Id"]
    assert KEY[:12] not in response.text


def test_a_model_that_does_not_know_the_key_says_what_to_check(
    holder: Caller, agent: str, model: ScriptedModel
) -> None:
    model.script(UNAUTHORIZED)

    response = holder.predict(agent, "Hi")

    assert response.status_code == 502
    assert "check your API key and ensure it has access to the requested model" in response.json()["message"]
    assert response.json()["message"].startswith("Error in LLM node: ")
    assert KEY[:12] not in response.text


def test_a_classic_stream_that_fails_says_why_and_ends(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(REFUSED)

    frames = holder.stream(chat, "Hi", chatId="c")

    assert names(frames) == ["metadata", "error", "end"]
    assert data_of(frames, "metadata")["chatId"] == "c"
    assert "the prompt is not allowed" in data_of(frames, "error")
    assert KEY[:12] not in str(frames)


def test_an_agentflow_stream_that_fails_names_the_node(holder: Caller, agent: str, model: ScriptedModel) -> None:
    model.script(REFUSED)

    frames = holder.stream(agent, "Hi", chatId="c")

    assert names(frames)[-6:] == [
        "nextAgentFlow", "agentFlowExecutedData", "agentFlowEvent", "metadata", "error", "end",
    ]  # fmt: skip
    failed, trace, state = frames[-6:-3]
    assert (failed.data["nodeLabel"], failed.data["status"]) == ("Ask", "ERROR")
    assert failed.data["error"] == data_of(frames, "error")
    assert trace.data[-1]["status"] == "ERROR"
    assert trace.data[-1]["data"]["error"] == failed.data["error"]
    assert state.data == "ERROR"
    assert KEY[:12] not in str(frames)


@pytest.mark.parametrize("kind", ["chat", "agent"])
def test_a_model_that_breaks_off_leaves_what_it_said(
    holder: Caller, model: ScriptedModel, request: pytest.FixtureRequest, kind: str
) -> None:
    flow_id = request.getfixturevalue(kind)
    model.script(Reply("one two three", cut_after=2))

    frames = holder.stream(flow_id, "Hi")

    assert text_of(frames) == "one two"
    assert names(frames)[-2:] == ["error", "end"]
    assert "broke off" in data_of(frames, "error")
    assert len(model.requests) == 1


def test_a_model_that_cannot_be_reached_is_named(holder: Caller, new_flow: NewFlow) -> None:
    with ScriptedModel() as gone:
        address = gone.url

    response = holder.predict(new_flow(drawing.conversation(address)), "Hi")

    assert (response.status_code, response.json()["code"]) == (502, "provider_error")
    assert "127.0.0.1" in response.json()["message"]


def test_a_flow_that_needs_a_credential_it_lacks_is_the_authors_to_mend(holder: Caller, new_flow: NewFlow) -> None:
    missing = "11111111-1111-4111-8111-111111111111"
    flow_id = new_flow(drawing.conversation("", basepath="", credential=missing))

    response = holder.predict(flow_id, "Hi")

    assert response.status_code == 422
    assert "redential" in response.json()["message"]


@pytest.mark.parametrize(
    ("flow_data", "words"),
    [
        ('{"nodes":[],"edges":[]}', "The flow has no nodes"),
        (
            drawing.flow([drawing.classic("bufferMemory_0", "Memory", {}, "BufferMemory", "BaseMemory")], []),
            "end",
        ),
        (
            drawing.flow([drawing.step("startAgentflow_0", "Start", {})], []),
            "Start input type not found",
        ),
    ],
)
def test_a_graph_that_cannot_run_is_explained(holder: Caller, new_flow: NewFlow, flow_data: str, words: str) -> None:
    flow_id = new_flow(flow_data)

    response = holder.predict(flow_id, "Hi")

    assert response.status_code == 422, response.text
    assert words in response.json()["message"]


def test_unknown_node_types_are_kept_and_named_when_the_flow_is_asked(holder: Caller, new_flow: NewFlow) -> None:
    flow_data = drawing.unknown_types()
    flow_id = new_flow(flow_data, name="From elsewhere")

    response = holder.predict(flow_id, "Hi")

    body = response.json()
    assert (response.status_code, body["code"]) == (422, "missing_node_types")
    assert body["message"].endswith("not available here: chatMoonbeam, lunarMemory")
    assert holder.http.get(f"/chatflows/{flow_id}").json()["flowData"] == flow_data
    assert flow_id in [flow["id"] for flow in holder.http.get("/chatflows", params={"limit": 1000}).json()]


def test_unknown_node_types_end_a_stream_in_an_error(holder: Caller, new_flow: NewFlow) -> None:
    start = drawing.step("startAgentflow_0", "Start", {"startInputType": "chatInput"})
    oracle = drawing.step("oracleAgentflow_0", "Oracle", {})
    flow_data = drawing.flow([start, oracle], drawing.path("startAgentflow_0", "oracleAgentflow_0"))

    frames = holder.stream(new_flow(flow_data, type="AGENTFLOW"), "Hi")

    assert names(frames)[-2:] == ["error", "end"]
    assert data_of(frames, "error").endswith("not available here: oracleAgentflow")


@pytest.mark.parametrize("name", ["Ask", "llmAgentflow_0"])
def test_a_node_may_be_named_at_any_length(holder: Caller, new_flow: NewFlow, model: ScriptedModel, name: str) -> None:
    longer = name + "x" * 300
    flow_id = new_flow(drawing.agentflow(model.url).replace(name, longer), type="AGENTFLOW")

    answer = holder.answer(flow_id, "Hi")

    assert answer["text"] == "You said: Hi"
    assert longer in str(answer["agentFlowExecutedData"])


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 412, "The body is empty"),
        (b"{", 400, "The body is not valid JSON"),
        (b"[]", 400, "The body must be a JSON object"),
        (b'"Hi"', 400, "The body must be a JSON object"),
        (b'{"question": "\\ud800"}', 400, "The body is not valid JSON"),
        (b'{"question": NaN}', 400, "The body is not valid JSON"),
        (b"{}", 400, "question: required; a flow that starts from a form takes form instead"),
        (b'{"question": null, "chatId": "c"}', 400, "question: required"),
        (b'{"question": 7}', 400, "question: expected text, got a number"),
        (b'{"question": "a\\u0000b"}', 400, "question: the character NUL is not allowed"),
        (b'{"question": "Hi", "form": {"a": 1}}', 400, "Question and form cannot be provided at the same time"),
        (b'{"form": [1]}', 400, "form: expected an object, got a list"),
        (b'{"question": "Hi", "uploads": {}}', 400, "uploads: expected a list, got an object"),
        (b"[" * 100_000, 400, "The body is not valid JSON"),
    ],
)
def test_a_body_that_cannot_be_understood_is_refused(
    holder: Caller, chat: str, body: bytes, status: int, message: str
) -> None:
    response = holder.http.post(f"/prediction/{chat}", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code == status
    assert response.json()["message"].startswith(message)
    assert response.json()["requestId"] == response.headers["Request-Id"]


@pytest.mark.parametrize("name", ["overrideConfig", "form", "humanInput", "action"])
def test_a_field_that_is_nested_too_deeply_is_refused_by_its_name(holder: Caller, chat: str, name: str) -> None:
    deep = json.loads("[" * 300 + "]" * 300)

    response = holder.predict(chat, "", **{name: {"type": "proceed", "x": deep}})

    assert (response.status_code, response.json()["message"]) == (400, f"{name}: nested more than 100 levels deep")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("uploads", "7", "uploads: expected a list, got a number"),
        ("form", "[" * 300 + "]" * 300, "form: expected an object, got a list"),
        ("overrideConfig", '{"x": ' + "[" * 300 + "]" * 300 + "}", "overrideConfig: nested more than 100 levels deep"),
    ],
)
def test_a_part_that_is_not_what_it_should_be_is_refused_by_its_name(
    holder: Caller, chat: str, name: str, text: str, message: str
) -> None:
    parts = {"question": (None, "Hi"), name: (None, text)}

    response = holder.http.post(f"/prediction/{chat}", files=parts)

    assert (response.status_code, response.json()["message"]) == (400, message)


def test_a_multipart_body_that_is_broken_is_refused(holder: Caller, chat: str) -> None:
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        response = holder.http.post(
            f"/prediction/{chat}", content=b"--y\r\nrubbish", headers={"Content-Type": content_type}
        )

        assert response.status_code in (400, 412), response.text
        assert response.json()["message"]


def test_a_request_id_of_the_callers_own_comes_back(holder: Caller, chat: str) -> None:
    response = holder.predict(chat, "Hi", headers={"Request-Id": "trace-me-7f3a"}, form=7)

    assert response.status_code == 400
    assert response.headers["Request-Id"] == response.json()["requestId"] == "trace-me-7f3a"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_asks(holder: Caller, chat: str, method: str) -> None:
    response = holder.http.request(method, f"/prediction/{chat}")

    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    assert response.json()["message"] == f"{method} is not allowed here; use POST"
