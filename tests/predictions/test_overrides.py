"""Callers change of a flow what its owner has enabled, for one run, and are told what was ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow

MODEL, CHAIN = "chatOpenAI", "conversationChain"  # labels of `drawing.conversation`


def enabling(status: bool = True, variables: tuple[str, ...] = (), **labels: tuple[str, ...]) -> str:
    rows = {
        label: [{"label": n, "name": n, "type": "string", "enabled": True} for n in names]
        for label, names in labels.items()
    }
    known = [{"id": n, "name": n, "type": "static", "enabled": True} for n in variables]
    return json.dumps({"overrideConfig": {"status": status, "nodes": rows, "variables": known}})


@pytest.fixture
def bot(new_flow: NewFlow, model: ScriptedModel) -> str:
    """A conversation of which the temperature and the system message may be changed."""
    rules = enabling(chatOpenAI=("temperature", "basepath"), conversationChain=("systemMessagePrompt",))
    return new_flow(drawing.conversation(model.url), apiConfig=rules)


def told(model: ScriptedModel) -> tuple[Any, str]:
    """The temperature and the system message of the last call."""
    request = model.requests[-1]
    return request.body.get("temperature"), next(m["content"] for m in request.messages if m["role"] == "system")


def test_what_is_enabled_holds_for_this_run_and_no_other(holder: Caller, bot: str, model: ScriptedModel) -> None:
    asked = {"temperature": 0.1, "systemMessagePrompt": "You are {{question}}."}

    answer = holder.answer(bot, "Hi", overrideConfig=asked)
    changed = told(model)
    holder.answer(bot, "Hi")

    assert changed == (0.1, "You are {{question}}.")
    assert "warnings" not in answer
    assert told(model) == (0.9, "You are the house's own secret persona.")


@pytest.mark.parametrize(
    "value", [0.1, [0.1], {"chatOpenAI_0": 0.1}, {"x": 0.1}, "FILE-STORAGE::x", {"chatOpenAI_0": "FILE-STORAGE::x"}]
)
def test_what_is_not_enabled_is_ignored_in_every_shape(
    holder: Caller, chat: str, model: ScriptedModel, value: Any
) -> None:
    answer = holder.answer(chat, "Hi", overrideConfig={"temperature": value, "__proto__": {"a": 1}, "constructor": "x"})

    assert told(model)[0] == 0.9
    (warning,) = answer["warnings"]
    assert warning.startswith("overrideConfig: not enabled for this flow, ignored: __proto__, constructor, temperature")


def test_rules_that_are_switched_off_enable_nothing(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    flow_id = new_flow(drawing.conversation(model.url), apiConfig=enabling(False, chatOpenAI=("temperature",)))

    answer = holder.answer(flow_id, "Hi", overrideConfig={"temperature": 0.1})

    assert told(model)[0] == 0.9
    assert answer["warnings"] == ["overrideConfig: not enabled for this flow, ignored: temperature"]


def test_a_model_stays_where_it_is_even_if_its_address_is_enabled(
    holder: Caller, bot: str, model: ScriptedModel
) -> None:
    answer = holder.answer(bot, "Hi", overrideConfig={"basepath": "http://127.0.0.1:1/v1"})

    assert answer["text"] == "You said: Hi"
    assert "can open 'chatOpenAI.basepath' (OVERRIDABLE_FIELDS)" in answer["warnings"][0]


def test_what_the_administrator_has_opened_is_the_flows_to_enable(holder: Caller, new_flow: NewFlow) -> None:
    name = "customFunctionJavascriptFunction"
    function = drawing.step("customFunctionAgentflow_0", "Function", {name: "return 'one'"})
    drawn = drawing.flow([drawing.start(), function], drawing.path("startAgentflow_0", "customFunctionAgentflow_0"))
    enabled, closed = new_flow(drawn, apiConfig=enabling(Function=(name,))), new_flow(drawn)

    changed = holder.answer(enabled, "Hi", overrideConfig={name: "return 'two'"})
    same = holder.answer(closed, "Hi", overrideConfig={name: "return 'two'"})

    assert (changed["text"], same["text"]) == ("two", "one")
    assert same["warnings"] == [f"overrideConfig: not enabled for this flow, ignored: {name}"]


def test_fields_of_a_multipart_body_pass_the_same_check(holder: Caller, bot: str, model: ScriptedModel) -> None:
    fields = {"question": "Hi", "temperature": "0.1", "topP": "0.2", "overrideConfig": '{"maxTokens": 5}'}

    response = holder.http.post(f"/prediction/{bot}", files={name: (None, text) for name, text in fields.items()})

    assert told(model)[0] == 0.1
    assert {"top_p", "max_tokens"}.isdisjoint(model.requests[-1].body)
    assert response.json()["warnings"] == ["overrideConfig: not enabled for this flow, ignored: maxTokens, topP"]


def test_a_stream_tells_what_was_ignored_in_its_metadata(holder: Caller, bot: str, agent: str) -> None:
    for flow_id in (bot, agent):
        frames = holder.stream(flow_id, "Hi", overrideConfig={"maxTokens": 5})

        (metadata,) = [frame.data for frame in frames if frame.event == "metadata"]
        assert metadata["warnings"] == ["overrideConfig: not enabled for this flow, ignored: maxTokens"]


def test_an_agentflow_takes_a_state_a_models_settings_and_variables(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    messages = [{"role": "system", "content": "{{ $flow.state.mood }} {{ $flow.state.name }} {{ $vars.town }}"}]
    start = {
        "startInputType": "chatInput",
        "startState": [{"key": "mood", "value": "calm"}, {"key": "name", "value": "Bo"}],
    }
    flow_data = drawing.flow(
        [drawing.step("startAgentflow_0", "Start", start), drawing.llm_step(model.url, llmMessages=messages)],
        drawing.path("startAgentflow_0", "llmAgentflow_0"),
    )
    rules = enabling(variables=("town",), Start=("startState",), Ask=("llmModelConfig",))
    flow_id = new_flow(flow_data, type="AGENTFLOW", apiConfig=rules)
    asked = {
        "startState": {"mood": "wild"},
        "llmModelConfig": {"temperature": 0.1},
        "vars": {"town": "Oslo", "key": "x"},
    }

    answer = holder.answer(flow_id, "Hi", overrideConfig=asked)

    assert told(model) == (0.1, "wild Bo Oslo")
    assert answer["warnings"] == ["overrideConfig: not enabled for this flow, ignored: vars.key"]


def test_a_refused_type_says_what_is_expected(holder: Caller, bot: str, model: ScriptedModel) -> None:
    answer = holder.answer(bot, "Hi", overrideConfig={"temperature": {"$gt": 0}})

    assert told(model)[0] == 0.9
    assert answer["warnings"] == ["overrideConfig: ignored temperature: expected a number, got an object"]
