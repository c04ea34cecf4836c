"""The events that single kinds of node and edge are told in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from forjinn.core.errors import AppError, Conflict, Unavailable
from predictions.doors.interactly.refusals import shape
from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.doors.interactly_calls import TurnClient, Workflows, names, said


def of_type(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [event for event in body["events"] if event["type"] == name]


def test_a_call_of_an_http_node_is_told(turns: TurnClient, workflows: Workflows, platform: Platform) -> None:
    call = drawing.step("httpAgentflow_0", "Look", {"method": "GET", "url": f"{platform.url}/health"})
    nodes = [drawing.start(), call, drawing.reply(0, "Looked")]
    workflow = workflows.new(drawing.flow(nodes, drawing.path(*(node["id"] for node in nodes))))

    body = turns.turn(workflow)

    [told] = of_type(body, "http_request")
    assert (told["status_code"], told["error"], told["response_body"]["status"]) == (200, None, "ok")
    assert said(body) == ["Looked"]


def test_a_loop_tells_each_pass(turns: TurnClient, workflows: Workflows) -> None:
    back = {"loopBackToNode": "directReplyAgentflow_0-Reply 0", "maxLoopCount": 2}
    nodes = [drawing.start(), drawing.reply(0, "Again"), drawing.step("loopAgentflow_0", "Back", back)]
    workflow = workflows.new(drawing.flow(nodes, drawing.path(*(node["id"] for node in nodes))))

    body = turns.turn(workflow)

    runs = [(e["origin_node_name"], e["origin_node_run_id"]) for e in of_type(body, "start_node_run")]
    assert runs == [("Reply 0", "1"), ("Back", "1"), ("Reply 0", "2"), ("Back", "2")]
    edges = [
        (e["source_node_name"], e["destination_node_name"], e["edge_run_id"]) for e in of_type(body, "direct_edge")
    ]
    assert edges == [("Reply 0", "Back", "1"), ("Back", "Reply 0", "2"), ("Reply 0", "Back", "2")]


def test_the_way_out_of_a_decision_is_a_conditional_edge(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.approving()
    run_id = turns.turn(workflow)["run_id"]

    body = turns.turn(workflow, run_id, "reject")

    [edge] = of_type(body, "conditional_edge")
    assert (edge["source_node_name"], edge["destination_node_name"]) == ("Approval 0", "Reply 1")
    assert (edge["reason"], edge["args_filled"], edge["super_node_exit_origin"]) == ("reject", {}, None)
    assert edge["edge_logical_id"] == "humanInputAgentflow_0-1-directReplyAgentflow_1"


def test_what_models_used_is_told_with_the_turn(turns: TurnClient, workflows: Workflows, model: ScriptedModel) -> None:
    body = turns.turn(workflows.new(drawing.agentflow(model.url)), None, "Hello")

    [told] = of_type(body, "say_llm")
    usage = told["llm_usage_info"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (12, 5, 17)
    [metrics] = [event["iteration_metrics"] for event in of_type(body, "end_workflow_iteration")]
    assert (metrics["nodes_executed_count"], metrics["llm_call_count"], metrics["tool_call_count"]) == (1, 1, 0)
    assert metrics["llm_call_latency_stats"]["median_milliseconds"] >= 0
    [end] = of_type(body, "end_workflow")
    assert end["llm_token_usage"] == {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}


def test_ids_are_uuids_behind_their_kind(turns: TurnClient, workflows: Workflows) -> None:
    body = turns.turn(workflows.replies("Hello", "Bye"))

    for event in body["events"]:
        kind, _, text = event["logical_id"].rpartition("_")
        assert kind == ("assistant_message" if event["type"] == "assistant_response" else "event")
        assert str(UUID(text)) == text
    assert names(body)[-1] == "end_workflow"


@pytest.mark.parametrize("error", [AppError("It broke"), Unavailable("It is away"), Conflict("It has ended")])
def test_whatever_else_goes_wrong_is_a_detail(error: AppError) -> None:
    assert shape(error, None) == {"detail": error.message}
