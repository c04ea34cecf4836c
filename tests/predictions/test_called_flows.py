"""Flows call the flows of their own workspace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow


def calling(flow_id: str, **inputs: Any) -> str:
    call = drawing.step("executeFlowAgentflow_0", "Call", {"executeFlowSelectedFlow": flow_id, **inputs})
    return drawing.flow(
        [drawing.start(), call, drawing.reply(0, "They say: {{ executeFlowAgentflow_0 }}")],
        drawing.path("startAgentflow_0", "executeFlowAgentflow_0", "directReplyAgentflow_0"),
    )


def test_a_flow_calls_another_one(holder: Caller, new_flow: NewFlow, chat: str) -> None:
    caller = new_flow(calling(chat, executeFlowInput="{{ question }}, please"), type="AGENTFLOW")

    answer = holder.answer(caller, "Tea")

    assert answer["text"] == "They say: You said: Tea, please"


def test_a_called_flow_runs_in_the_version_that_was_saved_last(
    holder: Caller, new_flow: NewFlow, chat: str, model: ScriptedModel
) -> None:
    caller = new_flow(calling(chat), type="AGENTFLOW")
    holder.answer(caller, "Tea")

    child = drawing.flow(
        [drawing.start(), drawing.reply(0, "new")], drawing.path("startAgentflow_0", "directReplyAgentflow_0")
    )
    assert holder.http.put(f"/chatflows/{chat}", json={"flowData": child}).status_code == 200

    assert holder.answer(caller, "Tea")["text"] == "They say: new"


@pytest.mark.parametrize("flow_id", ["00000000-0000-4000-8000-000000000000", "no id"])
def test_a_flow_that_is_not_there_is_named(holder: Caller, new_flow: NewFlow, flow_id: str) -> None:
    caller = new_flow(calling(flow_id), type="AGENTFLOW")

    refused = holder.predict(caller, "Tea")

    assert f"There is no flow '{flow_id}' in this workspace" in refused.text


def test_a_flow_of_another_workspace_is_not_there(holder: Caller, neighbour: Caller, new_flow: NewFlow) -> None:
    flow_data = drawing.flow(
        [drawing.start(), drawing.reply(0, "secret")], drawing.path("startAgentflow_0", "directReplyAgentflow_0")
    )
    created = neighbour.http.post("/agentflows", json={"name": "Theirs", "flowData": flow_data})
    assert created.status_code == 200, created.text
    theirs = created.json()["id"]
    caller = new_flow(calling(theirs), type="AGENTFLOW")

    refused = holder.predict(caller, "Tea")

    assert f"There is no flow '{theirs}' in this workspace" in refused.text
    assert "secret" not in refused.text
