"""Users' JavaScript on the whole platform: in flows, and on finished answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow


def utility(node_id: str, name: str, output: str = "output", **inputs: Any) -> dict[str, Any]:
    data = {"id": node_id, "label": node_id, "name": name, "category": "Utilities", "inputs": inputs}
    return {"id": node_id, "type": "customNode", "data": {**data, "outputs": {"output": output}}}


def variable_flow() -> str:
    """A variable that is set, shown, and read by the function that ends the flow."""
    end = "return `${$flow.tone}: ${$said}`"
    nodes = [
        utility("value", "customFunction", javascriptFunction="return 'warm'"),
        utility("set", "setVariable", input=["{{value.data.instance}}"], variableName="tone", showOutput=True),
        utility(
            "end",
            "customFunction",
            "EndingNode",
            javascriptFunction=end,
            functionInputVariables='{"said": "{{set.data.instance}}, {{question}}"}',
        ),
    ]
    edges = [
        {
            "source": source,
            "target": target,
            "sourceHandle": f"{source}-output-output-string",
            "targetHandle": f"{target}-input-{param}-string",
        }
        for source, target, param in (("value", "set", "input"), ("set", "end", "functionInputVariables"))
    ]
    return drawing.flow(nodes, edges)


def function_flow(code: str) -> str:
    """start -> function, as an AgentFlow v2."""
    variables = [{"variableName": "asked", "variableValue": "{{ question }}"}]
    inputs = {"customFunctionJavascriptFunction": code, "customFunctionInputVariables": variables}
    function = drawing.step("customFunctionAgentflow_0", "Function", inputs)
    return drawing.flow([drawing.start(), function], drawing.path("startAgentflow_0", "customFunctionAgentflow_0"))


def process_with(holder: Caller, flow_id: str, code: str, *, enabled: bool = True) -> None:
    """Give the flow a function that has the last word, as the editor stores it."""
    config = {"postProcessing": {"enabled": enabled, "customFunction": json.dumps(code)}}
    saved = holder.http.put(f"/chatflows/{flow_id}", json={"chatbotConfig": json.dumps(config)})
    assert saved.status_code == 200, saved.text


def test_a_function_answers(holder: Caller, new_flow: NewFlow) -> None:
    flow_id = new_flow(function_flow("return `${$asked} again, ${$flow.chatId}`"), type="AGENTFLOW")

    answer = holder.answer(flow_id, "Hello", chatId="c-function")

    assert answer["text"] == "Hello again, c-function"


def test_a_function_that_fails_says_where(holder: Caller, new_flow: NewFlow) -> None:
    flow_id = new_flow(function_flow("\nthrow new Error('out of stock')"), type="AGENTFLOW")

    response = holder.predict(flow_id, "Hello")

    assert response.status_code == 500
    assert "The function failed (near line 2): Error: out of stock" in response.json()["message"]


def test_variables_come_with_the_answer(holder: Caller, new_flow: NewFlow) -> None:
    answer = holder.answer(new_flow(variable_flow()), "Hello")

    assert answer["text"] == "warm: warm, Hello"
    assert answer["flowVariables"] == {"tone": "warm"}


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("return $flow.rawOutput.toUpperCase()", "YOU SAID: HELLO"),
        ("return `${$flow.input} / ${$flow.sessionId}`", "Hello / c-post"),
        ("return { length: $flow.rawOutput.length }", '```json\n{\n  "length": 15\n}\n```'),
        ("return $flow.chatHistory.length", "0"),
        ("return undefined", "You said: Hello"),
        ("throw new Error('no')", "You said: Hello"),
        ("not javascript", "You said: Hello"),
    ],
)
def test_a_function_has_the_last_word_unless_it_fails(
    holder: Caller, chat: str, model: ScriptedModel, code: str, text: str
) -> None:
    process_with(holder, chat, code)

    answer = holder.answer(chat, "Hello", chatId="c-post")

    assert answer["text"] == text
    listed = holder.http.get(f"/chatmessage/{chat}", params={"chatId": "c-post"}).json()
    assert [message["content"] for message in listed] == ["Hello", text]


def test_a_function_that_is_switched_off_has_not(holder: Caller, chat: str, model: ScriptedModel) -> None:
    process_with(holder, chat, "return 'rewritten'", enabled=False)

    assert holder.answer(chat, "Hello")["text"] == "You said: Hello"


def test_what_is_rewritten_is_not_streamed_before(holder: Caller, chat: str, model: ScriptedModel) -> None:
    process_with(holder, chat, "return 'rewritten'")

    assert holder.http.get(f"/chatflows-streaming/{chat}").json() == {"isStreaming": False}
    response = holder.predict(chat, "Hello", streaming=True)

    assert "You said" not in response.text
    assert "rewritten" in response.text


def test_the_function_is_not_published(holder: Caller, visitor: Caller, chat: str) -> None:
    process_with(holder, chat, "return 'secret recipe'")
    holder.http.put(f"/chatflows/{chat}", json={"isPublic": True})

    shown = visitor.http.get(f"/public-chatbotConfig/{chat}")

    assert shown.status_code == 200
    assert "secret recipe" not in shown.text


def test_an_internal_host_is_refused_with_the_way_out(holder: Caller, new_flow: NewFlow) -> None:
    flow_id = new_flow(function_flow("return (await fetch('http://169.254.169.254/')).text()"), type="AGENTFLOW")

    response = holder.predict(flow_id, "Hello")

    assert "EGRESS_ALLOW=169.254.169.254:80" in response.json()["message"]
