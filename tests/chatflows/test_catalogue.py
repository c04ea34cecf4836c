"""The catalogue over HTTP: what editors and pipelines ask of a server before they draw or save anything."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.credential_kinds import CREDENTIAL_KINDS
from engine.registry import load_registry
from tests.cast import Api
from tests.factories import graph_text, make_chatflow
from workspaces.models import Workspace

FLOWS = Path(__file__).resolve().parents[1] / "flows"
CHAIN = FLOWS / "Conversation Chain.json"
SVG = "{http://www.w3.org/2000/svg}"


def test_every_node_type_of_the_server_is_listed(api: Api) -> None:
    entries = api.get("/nodes").json()

    assert {entry["name"] for entry in entries} == {node_type.spec.name for node_type in load_registry()}
    assert entries == sorted(entries, key=lambda entry: (entry["category"], entry["label"]))
    assert all(isinstance(entry["inputs"], list) and entry["baseClasses"] and entry["type"] for entry in entries)


def test_a_model_is_told_with_its_credential_apart_from_its_inputs(api: Api) -> None:
    entry = api.get("/nodes/chatOpenAI").json()
    inputs = {param["name"]: param for param in entry["inputs"]}

    assert entry["category"] == "Chat Models"
    assert "BaseChatModel" in entry["baseClasses"]
    assert entry["credential"]["credentialNames"] == ["openAIApi"]
    assert "credential" not in inputs
    assert inputs["temperature"]["default"] == 0.9
    assert [option["name"] for option in inputs["imageResolution"]["options"]] == ["low", "high", "auto"]
    assert "filePath" not in entry


def test_a_type_with_several_outputs_and_anchors_says_so(api: Api) -> None:
    entry = api.get("/nodes/llmChain").json()
    inputs = {param["name"]: param for param in entry["inputs"]}

    assert [output["name"] for output in entry["outputs"]] == ["llmChain", "outputPrediction"]
    assert inputs["model"]["type"] == "BaseLanguageModel"
    assert inputs["inputModeration"]["list"] is True


def test_rows_of_an_array_are_told_with_what_takes_references(api: Api) -> None:
    inputs = {param["name"]: param for param in api.get("/nodes/llmAgentflow").json()["inputs"]}

    role, content = inputs["llmMessages"]["array"]
    assert (role["type"], content["acceptVariable"]) == ("options", True)


def test_an_optional_dependency_is_named(api: Api) -> None:
    assert api.get("/nodes/chatAnthropic").json()["extra"] == "anthropic"
    assert "extra" not in api.get("/nodes/chatOpenAI").json()


@pytest.mark.parametrize("path", ["/nodes/gone", "/node-icon/gone", "/components-credentials/gone"])
def test_what_is_not_here_is_not_found(api: Api, path: str) -> None:
    answer = api.get(path)

    assert answer.status_code == 404
    assert "gone not found" in answer.json()["message"]


@pytest.mark.parametrize("path", ["/node-icon/chatOpenAI", "/components-credentials-icon/openAIApi"])
def test_an_icon_is_an_inert_picture_for_everybody(nobody: Api, path: str) -> None:
    answer = nobody.get(path)
    drawn = ET.fromstring(answer.content)

    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "max-age" in answer.headers["Cache-Control"]
    assert drawn.tag == f"{SVG}svg"
    assert drawn.find(f"{SVG}text") is not None
    assert not any(element.tag == f"{SVG}script" for element in drawn.iter())


def test_the_icon_of_every_type_can_be_drawn(nobody: Api) -> None:
    for node_type in load_registry():
        assert ET.fromstring(nobody.get(f"/node-icon/{node_type.spec.name}").content) is not None


def test_every_credential_that_a_type_takes_has_its_fields_told(api: Api) -> None:
    kinds = {kind["name"]: kind for kind in api.get("/components-credentials").json()}
    taken = {name for node_type in load_registry() for name in node_type.spec.credentials}

    assert taken <= kinds.keys() == CREDENTIAL_KINDS.keys()
    assert all(kind["inputs"] for kind in kinds.values())


def test_one_kind_of_credential_is_a_form(api: Api) -> None:
    kind = api.get("/components-credentials/azureOpenAIApi").json()

    assert kind["inputs"][0] == {
        "name": "azureOpenAIApiKey",
        "label": "API Key",
        "type": "password",
        "optional": False,
    }


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """Of the published schema, which takes over a second to check."""
    answer = Api().get("/schema/workflow")
    assert answer.status_code == 200
    Draft202012Validator.check_schema(answer.json())
    return Draft202012Validator(answer.json())


class TestSchema:
    @pytest.mark.parametrize("path", sorted(FLOWS.glob("*.json")), ids=lambda path: path.stem)
    def test_published_templates_are_valid(self, validator: Draft202012Validator, path: Path) -> None:
        assert [error.message for error in validator.iter_errors(json.loads(path.read_text()))] == []

    def test_unknown_types_are_let_pass(self, validator: Draft202012Validator) -> None:
        assert validator.is_valid(json.loads(graph_text({"id": "gone_0", "name": "gone", "inputs": {"x": 1}})))

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda flow: flow.pop("edges"),
            lambda flow: flow.update(nodes={}),
            lambda flow: flow["nodes"][0].pop("id"),
            lambda flow: flow["nodes"][0].pop("data"),
            lambda flow: flow["nodes"][0]["data"].pop("name"),
            lambda flow: flow["edges"][0].pop("source"),
            lambda flow: flow["edges"].append("a -> b"),
            lambda flow: flow["nodes"][0]["data"].update(inputs=[]),
            lambda flow: model_of(flow).update(temperature="hot"),
            lambda flow: model_of(flow).update(imageResolution="huge"),
            lambda flow: model_of(flow).update(streaming="maybe"),
        ],
    )
    def test_a_broken_flow_is_refused(self, validator: Draft202012Validator, spoil: Any) -> None:
        flow = json.loads(CHAIN.read_text())
        spoiled = deepcopy(flow)

        spoil(spoiled)

        assert validator.is_valid(flow)
        assert not validator.is_valid(spoiled)

    def test_other_kinds_of_files_are_refused(self, validator: Draft202012Validator) -> None:
        assert not validator.is_valid({"name": "t", "description": "", "schema": "[]", "func": ""})
        assert not validator.is_valid({"ChatFlow": [], "Tool": []})


def model_of(flow: dict[str, Any]) -> dict[str, Any]:
    inputs: dict[str, Any] = next(n for n in flow["nodes"] if n["data"]["name"] == "chatOpenAI")["data"]["inputs"]
    return inputs


class TestProblems:
    BROKEN = graph_text({"id": "gone_0", "name": "gone"}, {"id": "gone_1", "name": "gone"})

    def test_a_flow_is_saved_with_its_problems_and_says_how_many(self, api: Api) -> None:
        created = api.post("/chatflows", {"name": "Bot", "flowData": self.BROKEN})
        changed = api.put(f"/chatflows/{created.json()['id']}", {"flowData": CHAIN.read_text()})

        assert (created.status_code, created.headers["X-Flow-Problems"]) == (200, "2")
        assert changed.headers["X-Flow-Problems"] == "1"

    def test_they_are_told_one_by_one(self, api: Api, workspace: Workspace) -> None:
        chatflow = make_chatflow(workspace, flow_data=self.BROKEN)

        first, second = api.get(f"/chatflows/{chatflow.pk}/problems").json()

        assert first == {
            "nodeId": "gone_0",
            "field": "",
            "message": "gone_0 (gone_0): the type 'gone' is not available here",
            "fix": "replace it, or install a package that brings it",
            "severity": "error",
            "code": "missing_type",
            "subject": "gone",
        }
        assert second["nodeId"] == "gone_1"

    @pytest.mark.parametrize("path", ["/chatflows/{}/problems", "/flow-config/{}"])
    def test_a_strangers_flow_is_not_found(self, stranger_api: Api, workspace: Workspace, path: str) -> None:
        chatflow = make_chatflow(workspace)

        assert stranger_api.get(path.format(chatflow.pk)).status_code == 404


class TestFlowConfig:
    def test_it_lists_what_can_be_enabled_and_nothing_that_never_can(self, api: Api, workspace: Workspace) -> None:
        chatflow = make_chatflow(workspace, flow_data=CHAIN.read_text())

        listed = api.get(f"/flow-config/{chatflow.pk}").json()

        names = {entry["name"] for entry in listed if entry["nodeId"] == "chatOpenAI_0"}
        assert {"temperature", "modelName", "maxTokens"} <= names
        assert names.isdisjoint({"credential", "basepath", "baseOptions", "cache"})
        assert all(entry["node"] and entry["label"] and entry["type"] for entry in listed)

    def test_a_components_settings_go_by_its_config(self, api: Api, workspace: Workspace) -> None:
        chatflow = make_chatflow(workspace, flow_data=(FLOWS / "Translator.json").read_text())

        listed = {entry["name"]: entry for entry in api.get(f"/flow-config/{chatflow.pk}").json()}

        assert listed["llmModelConfig"]["type"] == "json"
        assert "temperature" in {param["name"] for param in listed["llmModelConfig"]["schema"]}
        assert "llmModel" not in listed
        assert [param["name"] for param in listed["startState"]["schema"]] == ["key", "value"]

    def test_a_text_that_is_no_flow_lists_nothing(self, api: Api, workspace: Workspace) -> None:
        chatflow = make_chatflow(workspace, flow_data='{"nodes":[{"id":"a"}],"edges":[]}')

        assert api.get(f"/flow-config/{chatflow.pk}").json() == []
