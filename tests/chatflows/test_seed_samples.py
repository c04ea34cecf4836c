"""Every sample of the published Chatflows API, sent as it is written there, with the documented answer."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.platform import Platform

LIST = """
curl https://your-forjinn-instance.com/api/v1/chatflows \
-H "Authorization: Bearer fj-abc123def456"
"""
CREATE = r"""
curl -X POST https://your-forjinn-instance.com/api/v1/chatflows \
-H "Authorization: Bearer fj-abc123def456" \
-H "Content-Type: application/json" \
-d '{
"name": "Customer Support Bot",
"type": "CHATFLOW",
"category": "Support",
"flowData": "{\"nodes\":[],\"edges\":[],\"viewport\":{\"x\":0,\"y\":0,\"zoom\":1}}"
}'
"""
GET = """
curl https://your-forjinn-instance.com/api/v1/chatflows/a1b2c3d4-e5f6-7890-abcd-ef1234567890 \
-H "Authorization: Bearer fj-abc123def456"
"""
GET_BY_KEY = """
curl https://your-forjinn-instance.com/api/v1/chatflows/apikey/fj-abc123def456 \
-H "Authorization: Bearer fj-abc123def456"
"""
UPDATE = """
curl -X PUT https://your-forjinn-instance.com/api/v1/chatflows/a1b2c3d4-e5f6-7890-abcd-ef1234567890 \
-H "Authorization: Bearer fj-abc123def456" \
-H "Content-Type: application/json" \
-d '{
"deployed": true,
"description": "Handles tier-1 support questions using the product knowledge base."
}'
"""
DELETE = """
curl -X DELETE https://your-forjinn-instance.com/api/v1/chatflows/a1b2c3d4-e5f6-7890-abcd-ef1234567890 \
-H "Authorization: Bearer fj-abc123def456"
"""
SAMPLE_ID = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
EMPTY_GRAPH = '{"nodes":[],"edges":[],"viewport":{"x":0,"y":0,"zoom":1}}'
TYPES = ["CHATFLOW", "MULTIAGENT", "ASSISTANT", "AGENTFLOW", "AUTOADK", "AUTOGEN", "CREWAI"]
FIELDS = {
    "id": str, "name": str, "displayName": str, "description": str, "flowData": str, "type": str, "category": str,
    "deployed": bool, "isPublic": bool, "apikeyid": str, "workspaceId": str, "createdDate": str, "updatedDate": str,
    "slug": str, "objectId": str,  # our own, beside what is documented
}  # fmt: skip
ALWAYS = {"id", "name", "type", "deployed", "isPublic", "workspaceId", "createdDate", "updatedDate"}
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Shell:
    """Runs the samples against the platform: its address, its key, and the id of a flow that is there."""

    def __init__(self, platform: Platform) -> None:
        self.key = platform.api_key
        self._url = platform.url
        self._http = httpx.Client(timeout=30)

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def __call__(self, sample: str, *, chatflow_id: str = SAMPLE_ID, **body: Any) -> httpx.Response:
        """`body`: fields that are sent besides the sample's."""
        text = sample.replace("https://your-forjinn-instance.com", self._url).replace("fj-abc123def456", self.key)
        words = shlex.split(text.replace(SAMPLE_ID, chatflow_id).replace("\\\n", ""))
        options = list(pairwise(words))
        sent = next((json.loads(value) for option, value in options if option == "-d"), None)
        return self._http.request(
            next((value for option, value in options if option == "-X"), "GET"),
            next(word for word in words if word.startswith("http")),
            headers=dict(value.split(": ", 1) for option, value in options if option == "-H"),
            content=None if sent is None else json.dumps({**sent, **body}),
        )

    def get(self, path: str, **query: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return self._http.get(f"{self._url}/api/v1{path}", params=query, headers=headers)


@pytest.fixture(scope="module")
def shell(platform: Platform) -> Iterator[Shell]:
    with Shell(platform) as running:
        yield running


@pytest.fixture
def created(shell: Shell) -> dict[str, Any]:
    response = shell(CREATE)
    assert response.status_code == 200, response.text
    chatflow: dict[str, Any] = response.json()
    return chatflow


def assert_is_chatflow(chatflow: dict[str, Any], *, workspace_id: str) -> None:
    assert chatflow.keys() >= ALWAYS
    for name, value in chatflow.items():
        assert type(value) is FIELDS[name], name
    assert str(UUID(chatflow["id"])) == chatflow["id"]
    assert chatflow["type"] in TYPES
    assert chatflow["workspaceId"] == workspace_id
    assert all(DATE.fullmatch(chatflow[name]) for name in ("createdDate", "updatedDate"))


def assert_is_refusal(response: httpx.Response, status: int) -> None:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    assert isinstance(response.json()["message"], str)
    assert response.json()["message"]


def test_create_answers_with_the_new_flow(platform: Platform, created: dict[str, Any]) -> None:
    assert_is_chatflow(created, workspace_id=platform.workspace_id)
    documented = {name: created[name] for name in ("name", "type", "category", "deployed", "isPublic")}
    assert documented == {
        "name": "Customer Support Bot",
        "type": "CHATFLOW",
        "category": "Support",
        "deployed": False,
        "isPublic": False,
    }
    assert created["flowData"] == EMPTY_GRAPH
    assert created["createdDate"] == created["updatedDate"]


def test_create_takes_the_optional_fields(shell: Shell) -> None:
    chatflow = shell(
        CREATE, displayName="Support", description="Answers product questions.", isPublic=True, type="CREWAI"
    ).json()

    assert (chatflow["displayName"], chatflow["description"]) == ("Support", "Answers product questions.")
    assert (chatflow["isPublic"], chatflow["type"]) == (True, "CREWAI")


def test_list_answers_with_an_array_of_flows(platform: Platform, shell: Shell, created: dict[str, Any]) -> None:
    response = shell(LIST)

    chatflows = response.json()
    assert response.status_code == 200
    assert isinstance(chatflows, list)
    for chatflow in chatflows:
        assert_is_chatflow(chatflow, workspace_id=platform.workspace_id)
    listed = next(chatflow for chatflow in chatflows if chatflow["id"] == created["id"])
    assert listed == {name: value for name, value in created.items() if name != "flowData"}


@pytest.mark.parametrize("kind", TYPES)
def test_list_can_be_of_each_type(shell: Shell, kind: str) -> None:
    chatflow = shell(CREATE, type=kind).json()

    listed = shell.get("/chatflows", type=kind).json()

    assert chatflow["id"] in [row["id"] for row in listed]
    assert {row["type"] for row in listed} == {kind}


def test_list_comes_in_pages_of_twenty_or_as_many_as_asked_for(shell: Shell) -> None:
    for _ in range(3):
        shell(CREATE)

    first, second = (shell.get("/chatflows", page=page, limit=2).json() for page in (1, 2))
    both = shell.get("/chatflows", limit=4).json()

    assert [len(first), len(second)] == [2, 2]
    assert [*first, *second] == both
    assert len(shell.get("/chatflows").json()) <= 20


def test_get_answers_with_one_flow(shell: Shell, created: dict[str, Any]) -> None:
    response = shell(GET, chatflow_id=created["id"])

    assert response.status_code == 200
    assert response.json() == created


def test_get_by_key_answers_with_the_flows_of_the_key(shell: Shell, created: dict[str, Any]) -> None:
    key_id = shell.get(f"/chatflows/apikey/{shell.key}", keyonly="true").json()["id"]
    shell(UPDATE, chatflow_id=created["id"], apikeyid=key_id)

    response = shell(GET_BY_KEY)

    assert response.status_code == 200
    [tied] = [chatflow for chatflow in response.json() if chatflow["id"] == created["id"]]
    assert tied["apikeyid"] == key_id


def test_get_by_key_with_keyonly_answers_with_the_key_alone(platform: Platform, shell: Shell) -> None:
    response = shell.get(f"/chatflows/apikey/{shell.key}", keyonly="true")

    metadata = response.json()
    assert response.status_code == 200
    assert metadata["workspaceId"] == platform.workspace_id
    assert "flowData" not in response.text
    assert shell.key not in response.text


def test_update_changes_what_is_sent_and_keeps_the_rest(shell: Shell, created: dict[str, Any]) -> None:
    response = shell(UPDATE, chatflow_id=created["id"])

    updated = response.json()
    assert response.status_code == 200
    assert updated == {
        **created,
        "deployed": True,
        "description": "Handles tier-1 support questions using the product knowledge base.",
        "updatedDate": updated["updatedDate"],
    }
    assert updated["updatedDate"] > created["updatedDate"]
    assert shell(GET, chatflow_id=created["id"]).json() == updated


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Renamed"},
        {"flowData": '{ "nodes": [ ], "edges": [ ] }'},
        {"deployed": False},
        {"isPublic": True},
        {"description": "d" * 500},
        {"displayName": "d" * 100},
        {"category": "Sales"},
    ],
)
def test_update_takes_each_documented_field(shell: Shell, created: dict[str, Any], change: dict[str, Any]) -> None:
    response = shell(UPDATE, chatflow_id=created["id"], **change)

    assert response.status_code == 200
    assert response.json().items() >= change.items()


def test_delete_is_for_good(shell: Shell, created: dict[str, Any]) -> None:
    response = shell(DELETE, chatflow_id=created["id"])

    assert response.status_code == 200
    assert_is_refusal(shell(GET, chatflow_id=created["id"]), 404)
    assert_is_refusal(shell(UPDATE, chatflow_id=created["id"]), 404)
    assert_is_refusal(shell(DELETE, chatflow_id=created["id"]), 404)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"flowData": None}, "flowData"),
        ({"flowData": "not JSON"}, "flowData"),
        ({"type": "WORKFLOW"}, "type"),
        ({"displayName": "d" * 101}, "displayName"),
        ({"description": "d" * 501}, "description"),
        ({"isPublic": "yes"}, "isPublic"),
    ],
)
def test_a_malformed_field_is_a_400_that_names_it(shell: Shell, change: dict[str, Any], field: str) -> None:
    response = shell(CREATE, **change)

    assert_is_refusal(response, 400)
    assert response.json()["message"].startswith(f"{field}: ")


@pytest.mark.parametrize("sample", [LIST, CREATE, GET, GET_BY_KEY, UPDATE, DELETE])
def test_without_a_key_and_with_the_printed_one_every_call_is_a_401(platform: Platform, sample: str) -> None:
    with Shell(platform) as stranger:
        stranger.key = "fj-abc123def456"
        wrong = stranger(sample)
        missing = stranger(sample.replace('-H "Authorization: Bearer fj-abc123def456"', "--silent"))

    assert_is_refusal(wrong, 401)
    assert_is_refusal(missing, 401)


def test_the_printed_id_is_nobodys(shell: Shell) -> None:
    for sample in (GET, UPDATE, DELETE):
        assert_is_refusal(shell(sample), 404)
