"""What a first start puts in place, and what a restart leaves."""

from __future__ import annotations

import json

import pytest

from apikeys.models import ApiKey
from apikeys.records import find_key
from apikeys.services import revoke_api_key
from chatflows.demo import ensure_demo, point_at
from chatflows.models import Chatflow, ChatflowVersion
from chatflows.records import find_flow
from tests.cast import Api
from tests.factories import graph_text
from workspaces.models import User

MODEL_URL = "http://127.0.0.1:4000/v1"

pytestmark = pytest.mark.django_db


def test_a_first_start_gives_a_key_that_works_and_two_flows_to_talk_to() -> None:
    demo = ensure_demo(model_url=MODEL_URL)

    flows = [find_flow(demo.demo_flow_id), find_flow(demo.agentflow_id)]
    assert [flow and (flow.kind, flow.is_public, flow.deployed, flow.is_streamable) for flow in flows] == [
        ("CHATFLOW", True, True, True),
        ("AGENTFLOW", True, True, True),
    ]
    assert len(Api(demo.api_key).get("/chatflows").json()) == 2
    assert User.objects.get(email=demo.owner_email).check_password(demo.owner_password or "")


def test_the_flows_ask_the_model_that_runs_here() -> None:
    demo = ensure_demo(model_url=MODEL_URL)

    for flow_id in (demo.demo_flow_id, demo.agentflow_id):
        assert MODEL_URL in ChatflowVersion.objects.get(chatflow=flow_id).flow_data


def test_a_restart_keeps_everything() -> None:
    first = ensure_demo(model_url=MODEL_URL)

    second = ensure_demo(model_url=MODEL_URL, api_key=first.api_key)

    assert second.owner_password is None
    assert (second.workspace_id, second.api_key) == (first.workspace_id, first.api_key)
    assert (second.demo_flow_id, second.agentflow_id) == (first.demo_flow_id, first.agentflow_id)
    assert (ChatflowVersion.objects.count(), ApiKey.objects.count()) == (2, 1)


def test_a_key_that_is_no_longer_good_is_replaced() -> None:
    first = ensure_demo(model_url=MODEL_URL)
    revoke_api_key(key=ApiKey.objects.get())

    second = ensure_demo(model_url=MODEL_URL, api_key=first.api_key)

    assert second.api_key != first.api_key
    assert find_key(second.api_key) is not None


def test_a_model_at_another_address_is_found_again() -> None:
    demo = ensure_demo(model_url=MODEL_URL)

    ensure_demo(model_url="http://127.0.0.1:5000/v1", api_key=demo.api_key)

    versions = ChatflowVersion.objects.filter(chatflow=demo.agentflow_id).order_by("number")
    assert [version.flow_data.count(":5000/v1") for version in versions] == [0, 2]


def test_what_people_made_of_a_demo_flow_stays() -> None:
    demo = ensure_demo(model_url=MODEL_URL)
    Chatflow.objects.filter(pk=demo.demo_flow_id).update(is_public=False, description="Mine now")

    ensure_demo(model_url=MODEL_URL, api_key=demo.api_key)

    chatflow = Chatflow.objects.get(pk=demo.demo_flow_id)
    assert (chatflow.is_public, chatflow.description) == (False, "Mine now")


@pytest.mark.parametrize("address", ["https://api.example.com/v1", "", "{{$vars.base}}", "http://[bad"])
def test_an_address_elsewhere_is_somebodys_decision(address: str) -> None:
    text = graph_text({"id": "chatOpenAI_0", "name": "chatOpenAI", "inputs": {"basepath": address}})

    assert point_at(MODEL_URL, text) == text


def test_the_demo_flows_are_canvas_exports() -> None:
    demo = ensure_demo(model_url=MODEL_URL)

    for flow_id in (demo.demo_flow_id, demo.agentflow_id):
        graph = json.loads(ChatflowVersion.objects.get(chatflow=flow_id).flow_data)
        ids = {node["id"] for node in graph["nodes"]}
        assert all({edge["source"], edge["target"]} <= ids for edge in graph["edges"])
        assert all(node["data"]["inputParams"] is not None and node["data"]["version"] for node in graph["nodes"])
