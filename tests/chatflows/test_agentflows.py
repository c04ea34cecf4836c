"""Agent flows are the same flows, seen through the four agent types."""

from __future__ import annotations

import pytest

from tests.cast import Api
from tests.factories import EMPTY_GRAPH, make_chatflow
from workspaces.models import Workspace


def test_a_new_agentflow_is_of_forjinns_own_kind(api: Api) -> None:
    created = api.post("/agentflows", {"name": "Agent", "flowData": EMPTY_GRAPH}).json()

    assert created["type"] == "AGENTFLOW"
    assert api.get(f"/chatflows/{created['id']}").json() == api.get(f"/agentflows/{created['id']}").json() == created


@pytest.mark.parametrize("kind", ["AUTOADK", "AUTOGEN", "CREWAI"])
def test_an_agentflow_can_be_of_another_runtime(api: Api, kind: str) -> None:
    created = api.post("/agentflows", {"name": "Agent", "flowData": EMPTY_GRAPH, "type": kind}).json()

    assert created["type"] == kind


def test_an_agentflow_of_another_type_is_refused(api: Api) -> None:
    response = api.post("/agentflows", {"name": "Agent", "flowData": EMPTY_GRAPH, "type": "CHATFLOW"})

    assert response.status_code == 400
    assert response.json()["message"].startswith("type: expected one of AGENTFLOW, AUTOADK, AUTOGEN, CREWAI")


def test_a_chatflow_is_not_found_among_agentflows(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace, name="Bot")
    path = f"/agentflows/{chatflow.pk}"

    refusals = [api.get(path), api.put(path, {"name": "Agent"}), api.delete(path)]

    assert [refusal.status_code for refusal in refusals] == [404, 404, 404]
    assert api.get(f"/chatflows/{chatflow.pk}").json()["name"] == "Bot"
