"""Agent flows that other people drew run as they are, but for the models, which are scripted."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chatflows.interchange import read_flow_file
from tests.model_server import ScriptedModel
from tests.model_wire import Reply

FLOWS = Path(__file__).resolve().parents[1] / "flows"


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as running:
        yield running


def run(path: str | Path, model: ScriptedModel, question: str = "", **form: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    file = FLOWS / f"{path}.json" if isinstance(path, str) else path
    asked: dict[str, Any] = {"question": question} if question else {"form": [f"{k}={v}" for k, v in form.items()]}
    call_command("flows", "run", str(file), **asked, model_url=model.url, stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue()


def supervised(worker: str, instructions: str) -> str:
    return json.dumps({"next": worker, "instructions": instructions, "reasoning": "because"})


def test_a_supervisor_hands_work_to_its_workers_until_it_is_finished(model: ScriptedModel) -> None:
    model.script(
        supervised("SOFTWARE", "Write it"),
        "def f(): ...",
        supervised("REVIEWER", "Review it"),
        "Looks good.",
        supervised("FINISH", ""),
        "# The solution",
    )

    answer, told = run("Supervisor Worker", model, "Write a function")

    assert answer == "# The solution"
    assert model.requests[1].question == "Write it"
    assert model.requests[3].question == "Review it"
    assert any("def f(): ..." in str(message["content"]) for message in model.requests[5].messages)
    assert told.count("· Supervisor:") == 3


def test_a_supervisor_that_never_finishes_is_stopped_by_its_loops(model: ScriptedModel) -> None:
    model.script(*[supervised("SOFTWARE", "Again"), "code"] * 9)

    answer, told = run("Supervisor Worker", model, "Write a function")

    assert answer == "Loop completed after reaching maximum iteration count of 5."
    assert told.count("· Supervisor:") == 5


@pytest.mark.parametrize(
    ("scenario", "system"),
    [
        ("User is asking for refund", "You are a refund agent"),
        ("User is looking for item", "You are a sales assistant"),
        ("nothing of the kind", "You are helpful assistant"),
    ],
)
def test_a_question_is_handed_to_the_agent_it_is_for(model: ScriptedModel, scenario: str, system: str) -> None:
    model.script(json.dumps({"output": scenario}), "At your service.")

    answer, _ = run("Agents Handoff", model, "Hello")

    assert answer == "At your service."
    assert str(model.requests[1].messages[0]["content"]).startswith(system)


def test_agents_talk_in_turns_before_the_white_paper_is_written(model: ScriptedModel) -> None:
    model.script("The era of AI", *[f"turn {number}" for number in range(20)])

    answer, told = run("Deep Research With Multi-turn Conversations", model, "AI")

    assert told.count("· Agent 0:") == told.count("· Agent 1:") == 6
    assert answer == "turn 12"
    conversation = str(model.requests[-1].messages)
    assert all(f"turn {number}" in conversation for number in range(12))


def test_a_researcher_may_read_the_web(model: ScriptedModel) -> None:
    wanted = ("web_scraper_tool", {"url": f"{model.root}/nothing"})
    model.script("The era of AI", Reply(tool_calls=[wanted]))

    run("Deep Research With Multi-turn Conversations", model, "AI")

    names = {tool["function"]["name"] for tool in model.requests[1].body["tools"]}
    assert names == {"web_scraper_tool", "brave-search"}
    assert any("answered 404" in str(message["content"]) for message in model.requests[2].messages)


def test_a_reply_to_a_mail_waits_for_a_person(model: ScriptedModel) -> None:
    model.script("Dear Ann, hello. Samantha")

    with pytest.raises(CommandError, match="waits for a human"):
        run("Human In The Loop", model, subject="Hi", body="Hello", **{"from": "ann@example.org"})

    assert "from: ann@example.org" in model.requests[0].question


def test_an_agent_calls_an_api_by_its_requests_and_its_document(model: ScriptedModel, tmp_path: Path) -> None:
    document = {
        "openapi": "3.0.0",
        "servers": [{"url": model.root}],
        "paths": {"/events": {"get": {"operationId": "all"}}},
    }
    uri = f"data:application/json;base64,{base64.b64encode(json.dumps(document).encode()).decode()},filename:a.json"
    flow = json.loads(read_flow_file(FLOWS / "Interacting With API.json").flow_data)
    for node in flow["nodes"]:
        if node["id"] == "agentAgentflow_1":
            node["data"]["inputs"]["agentTools"][0]["agentSelectedToolConfig"]["yamlFile"] = uri
        if node["id"] == "httpAgentflow_0":
            node["data"]["inputs"]["url"] = f"{model.root}/{{{{ agentAgentflow_1 }}}}"
    file = tmp_path / "Interacting.json"
    file.write_text(json.dumps(flow))
    model.script("No events yet", Reply(tool_calls=[("all", {})]), "none")

    _, told = run(file, model, "What is on?")

    names = [tool["function"]["name"] for tool in model.requests[0].body["tools"]]
    assert names == ["get_events", "create_event", "update_event", "delete_event"]
    assert [tool["function"]["name"] for tool in model.requests[1].body["tools"]] == ["all"]
    assert "The server answered 404" in str(model.requests[2].messages[-1]["content"])
    assert "· Send HTTP Request:" in told


def test_a_toolkit_without_its_document_says_what_is_missing(model: ScriptedModel) -> None:
    with pytest.raises(CommandError, match="exported flows leave files out, so add it again"):
        run("Interacting With API", model, "What is on?")
