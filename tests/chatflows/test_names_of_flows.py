"""How other run APIs name a flow: a slug and an object id, neither of which ever changes."""

from __future__ import annotations

import re
import secrets

import pytest

from chatflows.records import afind_named_flow
from tests.cast import Api
from tests.factories import make_chatflow
from workspaces.models import Workspace


def test_a_flow_is_named_after_its_first_name(api: Api, workspace: Workspace) -> None:
    flow = make_chatflow(workspace, name="Customer Support: Übersicht")

    renamed = api.put(f"/chatflows/{flow.pk}", {"name": "Something Else"}).json()

    assert renamed["slug"] == "customer-support-ubersicht"
    assert re.fullmatch("[0-9a-f]{24}", renamed["objectId"])
    assert renamed["objectId"] == flow.object_id


def test_two_flows_of_one_name_have_two_slugs(workspace: Workspace, stranger: Workspace) -> None:
    first, second = (make_chatflow(workspace, name="Greeter") for _ in range(2))

    elsewhere = make_chatflow(stranger, name="Greeter")

    assert first.slug == elsewhere.slug == "greeter"
    assert re.fullmatch("greeter-[0-9a-f]{6}", second.slug)


def test_a_tail_that_is_taken_is_made_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tails = secrets.token_hex, iter(["aaaaaa", "aaaaaa", "bbbbbb"])
    monkeypatch.setattr(secrets, "token_hex", lambda size: next(tails) if size == 3 else real(size))

    slugs = [make_chatflow(workspace, name="Greeter").slug for _ in range(3)]

    assert slugs == ["greeter", "greeter-aaaaaa", "greeter-bbbbbb"]


@pytest.mark.parametrize("name", ["流程", "!!!", "-"])
def test_a_name_without_latin_letters_still_gives_a_slug(workspace: Workspace, name: str) -> None:
    assert make_chatflow(workspace, name=name).slug == "flow"


def test_nobody_sets_the_names_of_a_flow(api: Api, workspace: Workspace) -> None:
    flow = make_chatflow(workspace, name="Mine")

    changed = api.put(f"/chatflows/{flow.pk}", {"slug": "yours", "objectId": "0" * 24}).json()

    assert (changed["slug"], changed["objectId"]) == ("mine", flow.object_id)


@pytest.mark.django_db(transaction=True)
async def test_a_flow_is_found_by_each_of_its_names_in_its_workspace_only(workspace: Workspace) -> None:
    from asgiref.sync import sync_to_async

    from tests.factories import make_workspace

    flow = await sync_to_async(make_chatflow)(workspace, name="Greeter")
    stranger = await sync_to_async(make_workspace)()

    for name in (str(flow.pk), flow.slug, flow.object_id):
        found = await afind_named_flow(workspace.pk, name)
        assert found is not None
        assert found.id == flow.pk
        assert await afind_named_flow(stranger.pk, name) is None
    assert await afind_named_flow(workspace.pk, "no such flow\0") is None
