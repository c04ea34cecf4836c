"""`manage.py flows run`: a flow out of a file, once, without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chatflows.demo import FOLDER
from chatflows.tools import create_tool
from chatflows.trial import with_models_at
from tests.factories import graph_text, make_chatflow, make_workspace
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from workspaces.services import create_credential

CHAT = FOLDER / "chat.json"
BRANCHES = FOLDER / "branches.json"


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as running:
        yield running


def run(path: Path, **options: Any) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("flows", "run", str(path), stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize("path", [CHAT, BRANCHES])
def test_the_answer_is_printed_and_the_nodes_are_told_apart_from_it(path: Path, model: ScriptedModel) -> None:
    out, err = run(path, question="Hello there", model_url=model.url)

    assert "You said" in out
    assert "Hello there" in out
    assert " ms" in err
    assert " ms" not in out


def test_without_a_model_of_its_own_it_asks_the_one_that_runs_here(model: ScriptedModel, settings: Any) -> None:
    settings.MODEL_URL = model.url

    run(CHAT, question="Hello", model_url="here")

    assert model.requests[0].question == "Hello"


def test_it_says_when_no_model_runs_here(settings: Any) -> None:
    settings.MODEL_URL = ""

    with pytest.raises(CommandError, match="No model runs here: start the platform with `make run`"):
        run(CHAT, question="Hello", model_url="here")


def test_types_that_are_missing_are_all_named(tmp_path: Path, model: ScriptedModel) -> None:
    flow = tmp_path / "exotic.json"
    start = {"id": "startAgentflow_0", "name": "startAgentflow", "inputs": {"startInputType": "chatInput"}}
    odd = [{"id": f"odd_{n}", "name": f"odd{n}Agentflow", "inputs": {}} for n in (1, 2)]
    edges = [{"source": "startAgentflow_0", "target": node["id"]} for node in odd]
    flow.write_text(graph_text(start, *odd, edges=edges))  # type: ignore[arg-type]

    with pytest.raises(CommandError, match="odd1Agentflow, odd2Agentflow"):
        run(flow, question="Hello", model_url=model.url)


def test_a_model_that_refuses_is_an_error_and_not_an_answer(model: ScriptedModel) -> None:
    model.script(Reply(status=400, error="no such model"))

    with pytest.raises(CommandError, match="no such model"):
        run(CHAT, question="Hello", model_url=model.url)


@pytest.mark.parametrize("given", [{}, {"question": "Hello", "form": ["name=Ada"]}])
def test_a_question_or_a_form_is_wanted_and_not_both(given: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match="either --question or --form"):
        run(CHAT, **given)


def test_a_forms_value_needs_a_name(model: ScriptedModel) -> None:
    with pytest.raises(CommandError, match="expected NAME=VALUE, got 'Ada'"):
        run(CHAT, form=["Ada"], model_url=model.url)


@pytest.mark.django_db(transaction=True)
def test_credentials_are_those_of_the_workspace_that_is_named(tmp_path: Path, model: ScriptedModel) -> None:
    workspace = make_workspace("Mine")
    credential = create_credential(
        workspace=workspace, name="key", kind="openAIApi", fields={"openAIApiKey": "sk-of-mine-0123456789"}
    )
    graph = json.loads(CHAT.read_text())
    for node in graph["nodes"]:
        if node["data"]["name"] == "chatOpenAI":
            node["data"]["inputs"]["basepath"] = model.url
            node["data"]["credential"] = str(credential.pk)
    flow = tmp_path / "mine.json"
    flow.write_text(json.dumps(graph))

    run(flow, question="Hello", workspace="Mine")

    assert model.requests[0].headers["authorization"] == "Bearer sk-of-mine-0123456789"
    with pytest.raises(CommandError, match="No workspace is named 'Other'"):
        run(flow, question="Hello", workspace="Other")
    with pytest.raises(CommandError, match="not found"):
        run(flow, question="Hello")


def test_every_model_of_a_flow_is_replaced_and_loses_its_key() -> None:
    classic = {"id": "m_0", "name": "chatAnthropic", "category": "Chat Models", "credential": "c", "inputs": {}}
    config = {"modelName": "x", "FLOWISE_CREDENTIAL_ID": "c"}
    v2 = {"id": "a_0", "name": "agentAgentflow", "inputs": {"agentModel": "chatMistralAI", "agentModelConfig": config}}

    graph = json.loads(with_models_at("http://127.0.0.1:9/v1", graph_text(classic, v2)))

    first, second = (node["data"] for node in graph["nodes"])
    assert (first["name"], first["credential"], first["inputs"]) == (
        "chatOpenAI",
        "",
        {"basepath": "http://127.0.0.1:9/v1"},
    )
    assert second["inputs"] == {
        "agentModel": "chatOpenAI",
        "agentModelConfig": {"modelName": "x", "basepath": "http://127.0.0.1:9/v1"},
    }


def test_with_stub_models_a_flow_runs_by_itself_and_prints_what_ran() -> None:
    out, err = run(BRANCHES, question="Hello there", stub_models=True)

    answer, _, table = out.rpartition("\n\n")
    head, *rows = [line.split() for line in table.splitlines()]
    assert answer.startswith("Stub answer to: ")
    assert head == ["node", "status", "ms", "output"]
    assert all("FINISHED" in row for row in rows)
    assert "way out" in table
    assert err == ""


def test_a_stub_gives_the_shape_that_is_asked_for(tmp_path: Path) -> None:
    rows = [{"key": "colour", "type": "enum", "enumValues": "red, blue"}, {"key": "sizes", "type": "jsonArray"}]
    rows[1]["jsonSchema"] = '{"width": {"type": "number"}}'
    config = {"modelName": "x", "FLOWISE_CREDENTIAL_ID": "gone"}
    inputs = {"llmModel": "chatMistralAI", "llmModelConfig": config, "llmStructuredOutput": rows}
    start = {"id": "startAgentflow_0", "name": "startAgentflow", "inputs": {"startInputType": "chatInput"}}
    ask = {"id": "llmAgentflow_0", "name": "llmAgentflow", "inputs": inputs}
    edges = [{"source": "startAgentflow_0", "target": "llmAgentflow_0"}]
    flow = tmp_path / "shaped.json"
    flow.write_text(graph_text(start, ask, edges=edges))

    out, _ = run(flow, question="Hello", stub_models=True)

    assert json.loads(out.split("\n")[0]) == {"colour": "red", "sizes": [{"width": 1}]}


def test_the_table_shows_where_a_run_failed(tmp_path: Path) -> None:
    start = {"id": "startAgentflow_0", "name": "startAgentflow", "inputs": {"startInputType": "chatInput"}}
    ask = {"id": "llmAgentflow_0", "name": "llmAgentflow", "label": "Ask", "inputs": {"llmModel": ""}}
    flow = tmp_path / "failing.json"
    flow.write_text(graph_text(start, ask, edges=[{"source": "startAgentflow_0", "target": "llmAgentflow_0"}]))
    out = StringIO()

    with pytest.raises(CommandError, match="Model is required"):
        call_command("flows", "run", str(flow), question="Hello", stub_models=True, stdout=out, stderr=StringIO())

    assert out.getvalue().splitlines()[-1].split()[:2] == ["Ask", "ERROR"]


def test_embedding_models_are_replaced_only_if_the_server_has_some() -> None:
    embeddings = {"id": "e_0", "name": "cohereEmbeddings", "category": "Embeddings", "credential": "c", "inputs": {}}
    knowledge = [{"embeddingModel": "voyageAIEmbeddings", "embeddingModelConfig": {"credential": "c"}}]
    agent = {"id": "a_0", "name": "agentAgentflow", "inputs": {"agentKnowledgeVSEmbeddings": knowledge}}
    text = graph_text(embeddings, agent)

    kept = json.loads(with_models_at("http://127.0.0.1:9/v1", text))
    replaced = json.loads(with_models_at("http://127.0.0.1:9/v1", text, embeddings=True))

    assert kept == json.loads(text)
    first, second = (node["data"] for node in replaced["nodes"])
    assert (first["name"], first["credential"]) == ("openAIEmbeddings", "")
    assert second["inputs"]["agentKnowledgeVSEmbeddings"] == [
        {"embeddingModel": "openAIEmbeddings", "embeddingModelConfig": {"basepath": "http://127.0.0.1:9/v1"}}
    ]


@pytest.mark.django_db(transaction=True)
def test_it_may_call_the_flows_of_the_workspace_that_is_named_and_no_others(tmp_path: Path) -> None:
    called = make_chatflow(make_workspace("Callers"), flow_data=replying("from the other flow"))
    foreign = make_chatflow(make_workspace("Strangers"), flow_data=replying("secret"))
    calls = {
        flow: {"name": "executeFlowAgentflow", "inputs": {"executeFlowSelectedFlow": str(flow.pk)}}
        for flow in (called, foreign)
    }
    paths = {flow: tmp_path / f"{flow.pk}.json" for flow in calls}
    for flow, call in calls.items():
        paths[flow].write_text(begun_by_a_message(call))

    out, _ = run(paths[called], question="Hello", workspace="Callers")

    assert out.strip() == "from the other flow"
    with pytest.raises(CommandError, match=f"no flow '{foreign.pk}' in this workspace"):
        run(paths[foreign], question="Hello", workspace="Callers")
    with pytest.raises(CommandError, match="save both flows in one workspace"):
        run(paths[called], question="Hello")


def replying(text: str) -> str:
    return begun_by_a_message({"name": "directReplyAgentflow", "inputs": {"directReplyMessage": text}})


def begun_by_a_message(step: dict[str, Any]) -> str:
    start = {"id": "start_0", "name": "startAgentflow", "inputs": {"startInputType": "chatInput"}}
    return graph_text(start, {"id": "step_0", **step}, edges=[{"source": "start_0", "target": "step_0"}])


@pytest.mark.django_db(transaction=True)
def test_it_may_use_the_tools_of_the_workspace_that_is_named_and_no_others(
    tmp_path: Path, model: ScriptedModel
) -> None:
    tool = create_tool(workspace_id=make_workspace("Keepers").pk, name="shout", func="return 'LOUD'")
    flow = tmp_path / "agent.json"
    flow.write_text(drawing.tool_agent(model.url, str(tool.pk)))
    model.script(Reply(tool_calls=[("shout", {})]), "Done.")

    out, _ = run(flow, question="Hello", model_url=model.url, workspace="Keepers")

    assert out.strip() == "Done."
    assert "LOUD" in json.dumps(model.requests[1].messages)
    with pytest.raises(CommandError, match="is not here: run the flow in a workspace that keeps it"):
        run(flow, question="Hello", model_url=model.url)


def test_the_model_that_stands_in_is_replaced_as_well() -> None:
    config = {"FLOWISE_CREDENTIAL_ID": "theirs", "basepath": "https://elsewhere.example"}
    node = {
        "id": "a",
        "data": {
            "name": "llmAgentflow",
            "inputs": {},
            "policy": {"fallbackModel": {"name": "chatAnthropic", "config": config}},
        },
    }

    replaced = json.loads(with_models_at("http://localhost:1/v1", json.dumps({"nodes": [node], "edges": []})))

    fallback = replaced["nodes"][0]["data"]["policy"]["fallbackModel"]
    assert fallback["name"] != "chatAnthropic"
    assert fallback["config"] == {"basepath": "http://localhost:1/v1"}
