"""Graphs of agents over HTTP: what their answers carry, what is kept of them, and how they wait for a person."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller, names
from tests.predictions.conftest import NewFlow

ROUTE = ("route", {"reasoning": "so", "next": "coder", "instructions": "Write it."})
CALL = ("calculator", {"input": "6 * 7"})


def member(node_id: str, category: str, inputs: dict[str, Any]) -> drawing.Node:
    return drawing.classic(node_id, category, inputs, "Agent")


@pytest.fixture
def crew(new_flow: NewFlow, model: ScriptedModel) -> str:
    """A supervisor with one worker."""
    nodes = [
        drawing.chat_model(model.url),
        member("supervisor_0", "Multi Agents", {"supervisorName": "Boss", "model": "{{chatOpenAI_0.data.instance}}"}),
        member("worker_0", "Multi Agents", {"workerName": "Coder", "workerPrompt": "You write code."}),
    ]
    edges = [
        drawing.wire("chatOpenAI_0", "supervisor_0", "model"),
        drawing.wire("supervisor_0", "worker_0", "supervisor"),
    ]
    return new_flow(drawing.flow(nodes, edges), type="MULTIAGENT")


@pytest.fixture
def careful(new_flow: NewFlow, model: ScriptedModel) -> str:
    """An agent that asks before it calculates, and remembers."""
    start = {"model": "{{chatOpenAI_0.data.instance}}", "agentMemory": "{{agentMemory_0.data.instance}}"}
    agent = {"agentName": "Clerk", "tools": ["{{calculator_0.data.instance}}"], "interrupt": True}
    nodes = [
        drawing.chat_model(model.url),
        drawing.classic("agentMemory_0", "Memory", {}, "AgentMemory", label="Agent Memory"),
        drawing.classic("calculator_0", "Tools", {}, "Calculator", "Tool"),
        member("seqStart_0", "Sequential Agents", start),
        member("seqAgent_0", "Sequential Agents", agent),
        member("seqEnd_0", "Sequential Agents", {}),
    ]
    edges = [
        drawing.wire("chatOpenAI_0", "seqStart_0", "model"),
        drawing.wire("agentMemory_0", "seqStart_0", "agentMemory"),
        drawing.wire("calculator_0", "seqAgent_0", "tools"),
        drawing.wire("seqStart_0", "seqAgent_0", "sequentialNode"),
        drawing.wire("seqAgent_0", "seqEnd_0", "sequentialNode"),
    ]
    return new_flow(drawing.flow(nodes, edges), type="MULTIAGENT")


def test_an_answer_carries_the_reasoning_of_all_agents(holder: Caller, crew: str, model: ScriptedModel) -> None:
    model.script(Reply(tool_calls=[ROUTE]), "code", "Done: code")

    body = holder.predict(crew, "a program", chatId="c").json()

    assert body["text"] == "Done: code"
    assert [step["agentName"] for step in body["agentReasoning"]] == ["Boss", "Coder", "Boss"]
    assert body["agentReasoning"][0]["next"] == "Coder"
    assert "agentFlowExecutedData" not in body
    said = holder.http.get(f"/chatmessage/{crew}", params={"chatId": "c"}).json()[-1]
    assert said["agentReasoning"] == body["agentReasoning"]


def test_a_stream_shows_who_is_next_and_the_answer_in_one_token(
    holder: Caller, crew: str, model: ScriptedModel
) -> None:
    model.script(Reply(tool_calls=[ROUTE]), "code", "Done: all of the code")

    frames = holder.stream(crew, "a program")

    assert names(frames) == [
        "start",
        "agentReasoning",
        "nextAgent",
        "agentReasoning",
        "agentReasoning",
        "token",
        "metadata",
        "end",
    ]


def test_a_person_lets_the_tools_run_by_the_label_of_a_button(
    holder: Caller, careful: str, model: ScriptedModel
) -> None:
    model.script(Reply(tool_calls=[CALL]), "May I calculate?", "It is 42.")
    asked = holder.answer(careful, "6 times 7?", chatId="c")

    body = holder.predict(careful, "Yes", chatId="c", action=asked["action"]).json()

    assert asked["text"] == "May I calculate?"
    assert body["text"] == "It is 42."
    assert body["usedTools"] == [{"tool": "calculator", "toolInput": {"input": "6 * 7"}, "toolOutput": "42"}]
    assert body["memoryType"] == "Agent Memory"


def test_an_agent_that_waited_stands_in_the_trace_once(holder: Caller, careful: str, model: ScriptedModel) -> None:
    model.script(Reply(tool_calls=[CALL]), "May I calculate?", "It is 42.")
    asked = holder.answer(careful, "6 times 7?", chatId="c")

    waiting = traced(holder, asked)
    ended = traced(holder, holder.answer(careful, "Yes", chatId="c", action=asked["action"]))

    assert waiting == [("seqStart_0", "FINISHED"), ("seqAgent_0", "STOPPED")]
    assert ended == [("seqStart_0", "FINISHED"), ("seqAgent_0", "FINISHED"), ("seqEnd_0", "FINISHED")]


def traced(holder: Caller, answer: dict[str, Any]) -> list[tuple[str, str]]:
    run = holder.http.get(f"/executions/{answer['executionId']}").json()
    return [(entry["nodeId"], entry["status"]) for entry in json.loads(run["executionData"])]


def test_what_a_person_refuses_does_not_run(holder: Caller, careful: str, model: ScriptedModel) -> None:
    model.script(Reply(tool_calls=[CALL]), "May I calculate?", "As you wish.")
    asked = holder.answer(careful, "6 times 7?", chatId="c")

    body = holder.predict(careful, "No", chatId="c", action=asked["action"]).json()

    assert body["text"] == "As you wish."
    assert "usedTools" not in body
    assert "denied by user" in str(model.requests[-1].messages[-1]["content"])


def test_a_word_that_is_on_no_button_is_refused(holder: Caller, careful: str, model: ScriptedModel) -> None:
    model.script(Reply(tool_calls=[CALL]), "May I calculate?")
    asked = holder.answer(careful, "6 times 7?", chatId="c")

    response = holder.predict(careful, "Perhaps", chatId="c", action=asked["action"])

    assert response.status_code == 400
    assert "expected 'Yes' or 'No'" in response.text


def test_agents_with_a_memory_hear_what_was_said_before(holder: Caller, careful: str, model: ScriptedModel) -> None:
    holder.predict(careful, "I am Ann", chatId="c")

    holder.predict(careful, "Who am I?", chatId="c")

    contents = [message["content"] for message in model.requests[-1].messages]
    assert contents == ["I am Ann", "You said: I am Ann", "Who am I?"]


@pytest.fixture
def noting(new_flow: NewFlow, model: ScriptedModel) -> str:
    """An agent that keeps the last question in the state of its session."""
    start = {
        "model": "{{chatOpenAI_0.data.instance}}",
        "agentMemory": "{{agentMemory_0.data.instance}}",
        "state": "{{seqState_0.data.instance}}",
    }
    agent = {
        "agentName": "Clerk",
        "systemMessagePrompt": "Before: {before}",
        "promptValues": {"before": "$flow.state.before"},
        "updateStateMemoryUI": [{"key": "before", "value": "$flow.input"}],
    }
    declared = [{"key": "before", "type": "Replace", "defaultValue": "nothing"}]
    nodes = [
        drawing.chat_model(model.url),
        drawing.classic("agentMemory_0", "Memory", {}, "AgentMemory"),
        member("seqState_0", "Sequential Agents", {"stateMemoryUI": declared}),
        member("seqStart_0", "Sequential Agents", start),
        member("seqAgent_0", "Sequential Agents", agent),
        member("seqEnd_0", "Sequential Agents", {}),
    ]
    edges = [
        drawing.wire("seqStart_0", "seqAgent_0", "sequentialNode"),
        drawing.wire("seqAgent_0", "seqEnd_0", "sequentialNode"),
    ]
    return new_flow(drawing.flow(nodes, edges), type="MULTIAGENT")


def test_the_state_of_a_session_goes_on_and_that_of_another_does_not(
    holder: Caller, noting: str, model: ScriptedModel
) -> None:
    for chat_id in ("c", "c", "d"):
        holder.answer(noting, "I am Ann", chatId=chat_id)

    systems = [request.messages[0]["content"] for request in model.requests]
    assert systems == ["Before: nothing", "Before: I am Ann", "Before: nothing"]
