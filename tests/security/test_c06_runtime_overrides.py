"""C6: callers change what an owner has enabled by name, of its type, in whichever shape they ask; and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow

SHAPES: list[Any] = [
    "x",
    ["x"],
    {"chatOpenAI_0": "x"},
    {"chatOpenAI_0": {"chatOpenAI_0": "x"}},
    {"nobody_0": "x"},
    "FILE-STORAGE::x",
    {"chatOpenAI_0": "FILE-STORAGE::x"},
]
# What has been a way to code, secrets, files or other servers.
NEVER = [
    "__proto__",
    "constructor",
    "prototype",
    "NODE_OPTIONS",
    "FLOWISE_CREDENTIAL_ID",
    "credential",
    "basepath",
    "baseURL",
    "proxyUrl",
    "mcpServerConfig",
    "customFunction",
    "javascriptFunction",
    "filePath",
    "database",
    "additionalConfig",
    "analytics",
    "vars",
]


@pytest.fixture
def closed(new_flow: NewFlow, model: ScriptedModel) -> str:
    """A public flow whose owner has enabled nothing."""
    return new_flow(drawing.conversation(model.url), isPublic=True)


@pytest.fixture
def careless(new_flow: NewFlow, model: ScriptedModel) -> str:
    """A public flow whose owner has enabled, by name, what must never be."""
    rows = [{"label": name, "name": name, "type": "string", "enabled": True} for name in NEVER]
    rules = {"overrideConfig": {"status": True, "nodes": {"chatOpenAI": rows, "conversationChain": rows}}}
    return new_flow(drawing.conversation(model.url), isPublic=True, apiConfig=json.dumps(rules))


def asked_of(model: ScriptedModel) -> dict[str, Any]:
    body = dict(model.requests[-1].body)
    return {name: body.get(name) for name in ("model", "temperature")}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nothing_is_enabled_by_itself(visitor: Caller, closed: str, model: ScriptedModel, shape: Any) -> None:
    visitor.answer(closed, "Hi")
    before = asked_of(model)

    answer = visitor.answer(closed, "Hi", overrideConfig={"temperature": shape, "modelName": shape})

    assert asked_of(model) == before
    assert answer["warnings"]


@pytest.mark.parametrize("name", NEVER)
def test_what_leads_out_of_the_flow_stays_whatever_its_owner_enabled(
    visitor: Caller, careless: str, model: ScriptedModel, name: str
) -> None:
    for value in ("http://127.0.0.1:9/v1", {"chatOpenAI_0": "http://127.0.0.1:9/v1"}, {"a": {"b": 1}}):
        answer = visitor.predict(careless, "Hi", overrideConfig={name: value})
        assert answer.status_code in (200, 400), answer.text

    visitor.answer(careless, "Hi")
    assert asked_of(model)["model"]  # it still is asked, where it was


def test_fields_of_a_multipart_body_are_held_to_the_same(visitor: Caller, closed: str, model: ScriptedModel) -> None:
    visitor.answer(closed, "Hi")
    before = asked_of(model)

    fields = {"question": "Hi", "temperature": "0.1", "modelName": "other", "overrideConfig": '{"temperature": 0.1}'}
    response = visitor.http.post(f"/prediction/{closed}", files={name: (None, text) for name, text in fields.items()})

    assert response.status_code == 200
    assert asked_of(model) == before


@pytest.mark.parametrize("value", [{"$ne": ""}, ["c"], 7, {"$gt": ""}], ids=str)
def test_an_id_of_a_session_is_text(visitor: Caller, closed: str, value: Any) -> None:
    for body in ({"overrideConfig": {"sessionId": value}}, {"sessionId": value}, {"chatId": value}):
        refused = visitor.predict(closed, "Hi", **body)
        assert refused.status_code == 400
        assert "expected text" in refused.json()["message"]
