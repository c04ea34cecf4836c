"""Assistants over HTTP: saved as settings or as a graph, asked like any other flow."""

from __future__ import annotations

import json

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions.calls import Caller, text_of
from tests.predictions.conftest import NewFlow


def settings(model_url: str) -> str:
    model = {"name": "chatOpenAI", "inputs": {"modelName": "scripted", "basepath": model_url}}
    return json.dumps({"chatModel": model, "instruction": "Be kind.", "tools": [{"name": "calculator", "inputs": {}}]})


def test_an_assistant_answers_with_its_tools_and_remembers(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    flow_id = new_flow(settings(model.url), type="ASSISTANT")
    model.script(Reply(tool_calls=[("calculator", {"input": "6 * 7"})]), "It is 42.")

    body = holder.answer(flow_id, "6 times 7?", chatId="c")
    holder.answer(flow_id, "And again?", chatId="c")

    assert body["text"] == "It is 42."
    assert body["usedTools"][0]["toolOutput"] == "42"
    contents = [message["content"] for message in model.requests[-1].messages]
    assert contents == ["Be kind.", "6 times 7?", "It is 42.", "And again?"]


def test_an_assistant_streams(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    flow_id = new_flow(settings(model.url), type="ASSISTANT")
    model.script("one two three")

    assert text_of(holder.stream(flow_id, "Hi")) == "one two three"


def test_an_assistant_without_a_model_is_not_saved(holder: Caller) -> None:
    body = {"name": "Empty", "type": "ASSISTANT", "flowData": json.dumps({"chatModel": {}, "instruction": "Be kind."})}

    refused = holder.http.post("/chatflows", json=body)

    assert refused.status_code == 400
    assert "no chat model" in refused.text
