"""Tools of a workspace on the whole platform: agents call them by their id, in the sandbox."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow

WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather.",
    "schema": '[{"id":1,"property":"city","type":"string","description":"Which.","required":true}]',
    "func": "return `Sun in ${$city}, ${$flow.chatId}`",
}
CALL = Reply(tool_calls=[("get_weather", {"city": "Rome"})])


def keep(caller: Caller, **change: Any) -> str:
    kept = caller.http.post("/tools", json={**WEATHER, **change})
    assert kept.status_code == 200, kept.text
    return str(kept.json()["id"])


def classic_agent(model_url: str, tool_id: str) -> str:
    inputs = {"tools": ["{{customTool_0.data.instance}}"], "model": "{{chatOpenAI_0.data.instance}}"}
    tool = drawing.classic("customTool_0", "Tools", {"selectedTool": tool_id}, "CustomTool", "Tool")
    nodes = [drawing.chat_model(model_url), tool, drawing.classic("toolAgent_0", "Agents", inputs, "AgentExecutor")]
    edges = [
        drawing.wire("chatOpenAI_0", "toolAgent_0", "model"),
        drawing.wire("customTool_0", "toolAgent_0", "tools"),
    ]
    return drawing.flow(nodes, edges)


@pytest.mark.parametrize("draw", [drawing.tool_agent, classic_agent])
def test_an_agent_calls_a_tool_that_its_workspace_keeps(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel, draw: Any
) -> None:
    model.script(CALL, "It is sunny.")
    flow_id = new_flow(draw(model.url, keep(holder)), type="AGENTFLOW" if draw is drawing.tool_agent else "CHATFLOW")

    answer = holder.answer(flow_id, "How is Rome?", chatId="c-tools")

    [offered] = model.requests[0].body["tools"]
    assert answer["text"] == "It is sunny."
    assert offered["function"]["name"] == "get_weather"
    assert offered["function"]["parameters"]["required"] == ["city"]
    assert "Sun in Rome, c-tools" in json.dumps(model.requests[1].messages)


def test_a_changed_tool_is_called_as_it_is_now(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    tool_id = keep(holder)
    flow_id = new_flow(drawing.tool_agent(model.url, tool_id), type="AGENTFLOW")
    model.script(CALL, "Sunny.", CALL, "Rainy.")
    holder.answer(flow_id, "How is Rome?")

    assert holder.http.put(f"/tools/{tool_id}", json={"func": "return 'Rain'"}).status_code == 200
    holder.answer(flow_id, "And now?")

    assert "Rain" in json.dumps(model.requests[3].messages)


def test_a_strangers_tool_is_not_there(
    holder: Caller, neighbour: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    tool_id = keep(neighbour)
    flow_id = new_flow(drawing.tool_agent(model.url, tool_id), type="AGENTFLOW")

    refused = holder.predict(flow_id, "How is Rome?")

    assert refused.status_code == 422
    assert f"There is no tool '{tool_id}' in this workspace: import it" in refused.json()["message"]
    assert not model.requests


def test_a_tool_that_fails_tells_the_model(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    model.script(CALL, "I cannot say.")
    tool_id = keep(holder, func="throw new Error('no such city')")

    answer = holder.answer(new_flow(drawing.tool_agent(model.url, tool_id), type="AGENTFLOW"), "How is Rome?")

    assert answer["text"] == "I cannot say."
    assert "no such city" in json.dumps(model.requests[1].messages)
