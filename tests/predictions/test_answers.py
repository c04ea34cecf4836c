"""A whole answer in JSON, from each kind of flow."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow


def test_a_classic_answer_says_what_belongs_to_it(holder: Caller, chat: str) -> None:
    answer = holder.answer(chat, "Good morning")

    ids = {name: UUID(answer.pop(name)) for name in ("chatId", "chatMessageId", "sessionId", "executionId")}
    assert answer == {
        "text": "You said: Good morning",
        "question": "Good morning",
        "memoryType": "Buffer Memory",
        "isStreamValid": False,
    }
    assert ids["sessionId"] == ids["chatId"]


def test_an_agentflows_answer_carries_its_trace(holder: Caller, agent: str) -> None:
    answer = holder.answer(agent, "Good morning")

    assert answer["text"] == "You said: Good morning"
    assert answer.keys() == {
        "text", "question", "chatId", "chatMessageId", "sessionId", "executionId", "agentFlowExecutedData",
    }  # fmt: skip
    start, asked = answer["agentFlowExecutedData"]
    assert start.keys() >= {"nodeId", "nodeLabel", "data", "previousNodeIds", "status"}
    assert (start["nodeId"], start["previousNodeIds"], start["status"]) == ("startAgentflow_0", [], "FINISHED")
    assert (asked["nodeLabel"], asked["previousNodeIds"]) == ("Ask", ["startAgentflow_0"])
    assert asked["data"]["id"] == "llmAgentflow_0"
    assert asked["data"]["name"] == "llmAgentflow"
    assert asked["data"]["output"]["content"] == "You said: Good morning"
    assert asked["data"].keys() >= {"id", "name", "input", "output", "state"}


def test_an_answer_is_that_of_the_last_node(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    flow_id = new_flow(drawing.reply_flow(model.url), type="AGENTFLOW")

    answer = holder.answer(flow_id, "Hi")

    assert answer["text"] == "So: You said: Hi"
    assert len(answer["agentFlowExecutedData"]) == 3


def test_the_trace_names_no_credential(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    config = {"credential": "", "FLOWISE_CREDENTIAL_ID": ""}
    ask = drawing.llm_step(model.url, llmModelConfig=config)
    start = drawing.step("startAgentflow_0", "Start", {"startInputType": "chatInput"})
    flow_data = drawing.flow([start, ask], drawing.path("startAgentflow_0", "llmAgentflow_0"))

    answer = holder.predict(new_flow(flow_data, type="AGENTFLOW"), "Hi").text

    assert "agentFlowExecutedData" in answer
    assert "FLOWISE_CREDENTIAL_ID" not in answer


def test_an_earlier_conversation_in_either_spelling_reaches_the_model(
    holder: Caller, chat: str, agent: str, model: ScriptedModel
) -> None:
    older = [{"type": "userMessage", "message": "I am Ann."}, {"type": "apiMessage", "message": "Hello Ann."}]
    newer = [{"role": "userMessage", "content": "I am Ann."}, {"role": "apiMessage", "content": "Hello Ann."}]
    # The Python client fills in every field of its own type.
    mixed = [{**turn, "role": None, "content": None} for turn in older]

    for flow_id in (chat, agent):
        for history in (older, newer, mixed):
            holder.answer(flow_id, "Who am I?", history=history)

    told = [[(m["role"], m["content"]) for m in request.messages][-3:] for request in model.requests]
    assert len(told) == 6
    assert all(
        messages == [("user", "I am Ann."), ("assistant", "Hello Ann."), ("user", "Who am I?")] for messages in told
    )


def test_an_earlier_conversation_that_came_along_is_not_stored(holder: Caller, chat: str, model: ScriptedModel) -> None:
    history = [{"role": "userMessage", "content": "I am Ann."}]
    holder.answer(chat, "First", chatId="c", history=history)

    holder.answer(chat, "Second", chatId="c")

    said = [message["content"] for message in model.requests[-1].messages if message["role"] != "system"]
    assert said == ["First", "You said: First", "Second"]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ("Hi", "history: expected a list, got text"),
        (["Hi"], "history[0]: expected an object, got text"),
        ([{"role": "system", "content": "x"}], "history[0]: role must be userMessage or apiMessage"),
        (
            [{"role": "userMessage", "type": "human", "content": "x"}],
            "history[0]: role must be userMessage or apiMessage",
        ),
        ([{"role": "userMessage"}], "history[0]: content must be text"),
        ([{"role": "userMessage", "content": {"$ne": ""}}], "history[0]: content must be text"),
    ],
)
def test_an_earlier_conversation_that_makes_no_sense_is_refused(
    holder: Caller, chat: str, history: Any, message: str
) -> None:
    response = holder.predict(chat, "Hi", history=history)

    assert (response.status_code, response.json()["message"]) == (400, message)


def test_nulls_and_fields_of_the_clients_own_are_taken(holder: Caller, chat: str) -> None:
    nothing = dict.fromkeys(["overrideConfig", "chatId", "sessionId", "form", "leadEmail", "action", "humanInput"])

    answer = holder.answer(
        chat, "Hi", **nothing, streaming=None, history=[], uploads=[], chatflowId=chat, socketIOClientId="x", extra={}
    )

    assert answer["text"] == "You said: Hi"
    assert UUID(answer["chatId"])


def test_an_ignored_override_is_told(holder: Caller, chat: str) -> None:
    answer = holder.answer(chat, "Hi", overrideConfig={"temperature": 2, "sessionId": "s"})

    assert answer["warnings"] == ["overrideConfig: not enabled for this flow, ignored: temperature"]
    assert "warnings" not in holder.answer(chat, "Hi", overrideConfig={"sessionId": "s"})


def test_a_flow_that_ends_in_a_parser_answers_in_json(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    model.script(Reply('["red", "green"]'), Reply("red, green"))
    chain = {
        "model": "{{chatOpenAI_0.data.instance}}",
        "prompt": "{{promptTemplate_0.data.instance}}",
        "outputParser": "{{csvOutputParser_0.data.instance}}",
    }
    flow_data = drawing.flow(
        [
            drawing.chat_model(model.url),
            drawing.classic("promptTemplate_0", "Prompts", {"template": "Name {thing}"}, "PromptTemplate"),
            drawing.classic("csvOutputParser_0", "Output Parsers", {}, "CSVListOutputParser", "BaseLLMOutputParser"),
            drawing.classic("llmChain_0", "Chains", chain, "LLMChain", "BaseChain"),
        ],
        [
            drawing.wire("chatOpenAI_0", "llmChain_0", "model"),
            drawing.wire("promptTemplate_0", "llmChain_0", "prompt"),
            drawing.wire("csvOutputParser_0", "llmChain_0", "outputParser"),
        ],
    )

    answer = holder.answer(new_flow(flow_data), "two colours")

    assert isinstance(answer["json"], list)
    assert "text" not in answer


def test_an_answer_tells_of_the_model_that_stood_in(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    model.script(Reply(status=401), "I stood in.")
    ask = drawing.llm_step(model.url)
    config = {"modelName": "m-2", "basepath": model.url}
    ask["data"]["policy"] = {"fallbackModel": {"name": "chatOpenAI", "config": config}}
    start = drawing.step("startAgentflow_0", "Start", {"startInputType": "chatInput"})
    flow_data = drawing.flow([start, ask], drawing.path("startAgentflow_0", "llmAgentflow_0"))
    flow_id = new_flow(flow_data, type="AGENTFLOW")

    answer = holder.answer(flow_id, "Hi")

    assert answer["text"] == "I stood in."
    (warning,) = answer["warnings"]
    assert "failed, so m-2 was asked instead" in warning
    assert "warnings" not in holder.answer(flow_id, "Hi")
