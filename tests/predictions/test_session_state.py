"""What a session keeps from run to run: the flow's state, the form that was filled in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow

STATE = [{"key": "mood", "value": "calm"}]


def remembering(model_url: str, **start: Any) -> str:
    """The model's answer becomes the state's mood; the reply tells the one before and the one after."""
    llm = drawing.llm_step(
        model_url,
        llmUpdateState=[{"key": "mood", "value": "{{ output }}"}],
        llmMessages=[{"role": "user", "content": "It was {{ $flow.state.mood }}"}],
        llmEnableMemory=False,
    )
    nodes = [drawing.start(startState=STATE, **start), llm, drawing.reply(0, "Now {{ $flow.state.mood }}")]
    return drawing.flow(nodes, drawing.path("startAgentflow_0", "llmAgentflow_0", "directReplyAgentflow_0"))


@pytest.mark.parametrize(("persists", "second"), [(True, "It was glad"), (False, "It was calm")])
def test_a_flow_may_begin_with_the_state_that_the_session_ended_in(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel, persists: bool, second: str
) -> None:
    flow_id = new_flow(remembering(model.url, startPersistState=persists), type="AGENTFLOW")
    model.script("glad", "sad")

    answers = [holder.answer(flow_id, "Hi", chatId="c")["text"] for _ in range(2)]

    assert answers == ["Now glad", "Now sad"]
    assert [request.question for request in model.requests] == ["It was calm", second]


def test_another_session_begins_anew(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    flow_id = new_flow(remembering(model.url, startPersistState=True), type="AGENTFLOW")
    model.script("glad", "sad")

    for session in ("one", "two"):
        holder.answer(flow_id, "Hi", overrideConfig={"sessionId": session})

    assert [request.question for request in model.requests] == ["It was calm", "It was calm"]


def test_a_form_is_known_for_the_rest_of_its_session(holder: Caller, new_flow: NewFlow) -> None:
    nodes = [
        drawing.step("startAgentflow_0", "Start", drawing.FORM),
        drawing.reply(0, "{{ $form.name }}, {{ question }}"),
    ]
    flow_id = new_flow(
        drawing.flow(nodes, drawing.path("startAgentflow_0", "directReplyAgentflow_0")), type="AGENTFLOW"
    )
    holder.answer(flow_id, form={"name": "Ada", "guests": 2, "meal": "lunch"}, chatId="c")

    answers = [holder.answer(flow_id, question, chatId="c")["text"] for question in ("when?", "where?")]

    assert answers == ["Ada, when?", "Ada, where?"]


def test_a_run_that_waits_leaves_its_state_to_the_next(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    llm = drawing.llm_step(model.url, llmUpdateState=[{"key": "mood", "value": "{{ output }}"}])
    nodes = [drawing.start(startState=STATE, startPersistState=True), drawing.reply(0, "{{ $flow.state.mood }}")]
    edges = drawing.path("startAgentflow_0", "directReplyAgentflow_0", "llmAgentflow_0", "humanInputAgentflow_0")
    flow_id = new_flow(drawing.flow([*nodes, llm, drawing.human()], edges), type="AGENTFLOW")
    model.script("glad", "sad")

    first, second = (holder.answer(flow_id, "Hi", chatId="c") for _ in range(2))

    said = [answer["agentFlowExecutedData"][1]["data"]["output"]["content"] for answer in (first, second)]
    assert said == ["calm", "glad"]


def test_the_text_of_attached_files_has_a_name_of_its_own(holder: Caller, new_flow: NewFlow) -> None:
    reply = drawing.reply(0, "[{{ file_attachment }}] {{ question }}")
    edges = drawing.path("startAgentflow_0", "directReplyAgentflow_0")
    flow_id = new_flow(drawing.flow([drawing.start(), reply], edges), type="AGENTFLOW")
    upload = {"type": "file:full", "name": "a.txt", "mime": "text/plain", "data": "Ahoy"}

    answer = holder.answer(flow_id, "What does it say?", uploads=[upload])

    doc = "<doc name='a.txt'>Ahoy</doc>\n\n"
    assert answer["text"] == f"[{doc}] {doc}What does it say?"
    assert answer["question"] == "What does it say?"
