"""Reading one flow, and deleting it."""

from __future__ import annotations

import pytest

from chatflows.models import Chatflow, ChatflowVersion
from tests.cast import Api
from tests.factories import make_chatflow
from workspaces.models import Workspace

NOT_IDS = ["nope", "1", "%00", "..", "a" * 5000, "00000000-0000-0000-0000-00000000000g", "%F0%9F%98%80"]


def test_a_known_revision_is_not_sent_again(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace)
    etag = api.get(f"/chatflows/{chatflow.pk}").headers["ETag"]

    response = api.get(f"/chatflows/{chatflow.pk}", If_None_Match=f'"other", W/{etag}')

    assert response.status_code == 304
    assert response.headers["ETag"] == etag
    assert response.content == b""


def test_another_revision_is_sent(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace)
    etag = api.get(f"/chatflows/{chatflow.pk}").headers["ETag"]
    api.put(f"/chatflows/{chatflow.pk}", {"name": "Renamed"})

    response = api.get(f"/chatflows/{chatflow.pk}", If_None_Match=etag)

    assert response.status_code == 200
    assert response.json()["name"] == "Renamed"


@pytest.mark.parametrize("not_an_id", NOT_IDS)
@pytest.mark.parametrize("prefix", ["/chatflows", "/agentflows"])
def test_what_is_no_id_is_not_found(api: Api, prefix: str, not_an_id: str) -> None:
    assert api.get(f"{prefix}/{not_an_id}").status_code == 404
    assert api.put(f"{prefix}/{not_an_id}", {}).status_code == 404
    assert api.delete(f"{prefix}/{not_an_id}").status_code == 404


def test_a_deleted_flow_is_gone_with_its_versions(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace)

    response = api.delete(f"/chatflows/{chatflow.pk}")

    assert (response.status_code, response.json()) == (200, {"affected": 1})
    assert api.get(f"/chatflows/{chatflow.pk}").status_code == 404
    assert api.delete(f"/chatflows/{chatflow.pk}").status_code == 404
    assert not ChatflowVersion.objects.exists()


def test_a_deletion_from_another_revision_is_refused(api: Api, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace)

    response = api.delete(f"/chatflows/{chatflow.pk}", If_Match='"another"')

    assert response.status_code == 412
    assert Chatflow.objects.filter(pk=chatflow.pk).exists()


@pytest.mark.parametrize("prefix", ["/chatflows", "/agentflows"])
def test_a_stranger_finds_nothing_and_changes_nothing(
    api: Api, stranger_api: Api, workspace: Workspace, prefix: str
) -> None:
    chatflow = make_chatflow(workspace, kind="AGENTFLOW", name="Ours", is_public=True)
    path = f"{prefix}/{chatflow.pk}"

    refusals = [stranger_api.get(path), stranger_api.put(path, {"name": "Theirs"}), stranger_api.delete(path)]

    assert [refusal.status_code for refusal in refusals] == [404, 404, 404]
    assert {refusal.json()["message"] for refusal in refusals} == {f"Chatflow {chatflow.pk} not found"}
    assert stranger_api.get(prefix).json() == []
    assert api.get(path).json()["name"] == "Ours"
