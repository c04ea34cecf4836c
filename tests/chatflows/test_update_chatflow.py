"""Changing a flow."""

from __future__ import annotations

import pytest

from chatflows.models import ChatflowVersion
from tests.cast import Api
from tests.factories import EMPTY_GRAPH, make_chatflow
from workspaces.models import Workspace

OTHER_GRAPH = '{"nodes":[],"edges":[],"note":"other"}'


def test_only_what_is_sent_changes(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace, name="Bot", category="Support", is_public=True)

    response = api.put(f"/chatflows/{chatflow.pk}", {"deployed": True, "description": "Tier one."})

    body = response.json()
    assert response.status_code == 200
    assert (body["deployed"], body["description"]) == (True, "Tier one.")
    assert (body["name"], body["category"], body["isPublic"], body["flowData"]) == ("Bot", "Support", True, EMPTY_GRAPH)
    assert body["updatedDate"] >= body["createdDate"]


def test_an_optional_text_is_unset_by_null_and_by_nothing(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace, description="old", category="old")

    body = api.put(f"/chatflows/{chatflow.pk}", {"description": None, "category": ""}).json()

    assert not body.keys() & {"description", "category"}


def test_kind_and_workspace_stay(api: Api, workspace: Workspace, stranger: Workspace) -> None:
    chatflow = make_chatflow(workspace)

    body = api.put(f"/chatflows/{chatflow.pk}", {"type": "CREWAI", "workspaceId": str(stranger.pk), "id": "x"}).json()

    assert (body["id"], body["type"], body["workspaceId"]) == (str(chatflow.pk), "CHATFLOW", str(workspace.pk))


def test_another_text_makes_a_version_and_the_same_text_makes_none(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace)

    api.put(f"/chatflows/{chatflow.pk}", {"flowData": OTHER_GRAPH})
    api.put(f"/chatflows/{chatflow.pk}", {"flowData": OTHER_GRAPH, "name": "Renamed"})

    versions = ChatflowVersion.objects.filter(chatflow=chatflow).order_by("number")
    assert [(version.number, version.flow_data) for version in versions] == [(1, EMPTY_GRAPH), (2, OTHER_GRAPH)]
    assert api.get(f"/chatflows/{chatflow.pk}").json()["flowData"] == OTHER_GRAPH


def test_texts_that_differ_in_spaces_and_order_have_one_digest(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace, flow_data='{"nodes":[],"edges":[],"a":1}')

    api.put(f"/chatflows/{chatflow.pk}", {"flowData": '{ "a": 1, "edges": [], "nodes": [] }'})

    digests = ChatflowVersion.objects.filter(chatflow=chatflow).values_list("digest", flat=True)
    assert len(digests) == 2
    assert len(set(digests)) == 1


def test_no_change_changes_no_date(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace, name="Bot")
    before = api.get(f"/chatflows/{chatflow.pk}").json()

    after = api.put(f"/chatflows/{chatflow.pk}", {"name": "Bot", "flowData": EMPTY_GRAPH}).json()

    assert after == before


def test_a_bad_change_changes_nothing(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace, name="Bot")

    response = api.put(f"/chatflows/{chatflow.pk}", {"name": "Renamed", "flowData": "{}"})

    assert response.status_code == 400
    assert response.json()["message"] == "flowData: nodes must be an array"
    assert api.get(f"/chatflows/{chatflow.pk}").json()["name"] == "Bot"


def test_a_change_from_the_revision_that_was_read_goes_through(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace)
    etag = api.get(f"/chatflows/{chatflow.pk}").headers["ETag"]

    response = api.put(f"/chatflows/{chatflow.pk}", {"name": "Mine"}, If_Match=etag)

    assert response.status_code == 200
    assert response.headers["ETag"] != etag


@pytest.mark.parametrize("header", ['"another"', "garbage", "", 'W/"{etag}"'])
def test_a_change_from_another_revision_is_refused(api: Api, workspace: Workspace, header: str) -> None:
    chatflow = make_chatflow(workspace, name="Bot")
    etag = api.get(f"/chatflows/{chatflow.pk}").headers["ETag"].strip('"')

    response = api.put(f"/chatflows/{chatflow.pk}", {"name": "Mine"}, If_Match=header.format(etag=etag))

    assert response.status_code == 412
    assert response.json()["code"] == "precondition_failed"
    assert api.get(f"/chatflows/{chatflow.pk}").json()["name"] == "Bot"


@pytest.mark.parametrize("header", ["*", '"another", {etag}', '{etag},"another"'])
def test_one_of_several_revisions_or_any_goes_through(api: Api, workspace: Workspace, header: str) -> None:
    chatflow = make_chatflow(workspace)
    etag = api.get(f"/chatflows/{chatflow.pk}").headers["ETag"]

    response = api.put(f"/chatflows/{chatflow.pk}", {"name": "Mine"}, If_Match=header.format(etag=etag))

    assert response.status_code == 200


def test_of_two_editors_the_second_is_told(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace)
    etag = api.get(f"/chatflows/{chatflow.pk}").headers["ETag"]

    first = api.put(f"/chatflows/{chatflow.pk}", {"name": "First"}, If_Match=etag)
    second = api.put(f"/chatflows/{chatflow.pk}", {"name": "Second"}, If_Match=etag)

    assert (first.status_code, second.status_code) == (200, 412)


def test_a_version_is_never_changed(workspace: Workspace) -> None:
    version = ChatflowVersion.objects.get(chatflow=make_chatflow(workspace))
    version.flow_data = OTHER_GRAPH

    with pytest.raises(AssertionError, match="a version is never changed"):
        version.save()

    version.refresh_from_db()
    assert version.flow_data == EMPTY_GRAPH


def test_every_version_can_still_be_read_and_names_its_author(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace)
    texts = [EMPTY_GRAPH, OTHER_GRAPH, EMPTY_GRAPH]

    for text in texts[1:]:
        api.put(f"/chatflows/{chatflow.pk}", {"flowData": text})

    versions = ChatflowVersion.objects.filter(chatflow=chatflow).order_by("number")
    assert [(version.number, version.flow_data) for version in versions] == list(enumerate(texts, start=1))
    assert [version.author for version in versions] == ["factory", "ci", "ci"]
