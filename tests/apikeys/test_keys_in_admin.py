"""Operators look at keys, make limited ones and end them, and are shown no digest."""

from __future__ import annotations

import pytest
from django.test import Client

from apikeys.models import ApiKey
from apikeys.services import create_api_key
from tests.factories import make_api_key
from workspaces.models import User, Workspace

PAGE = "https://shop.example"


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@example.com", None))
    return client


def test_a_key_shows_its_limits_and_no_digest(operator: Client, workspace: Workspace) -> None:
    key, raw = create_api_key(workspace=workspace, name="shop", permissions=["chatflows:view"], origins=[PAGE])

    shown = operator.get(f"/admin/apikeys/apikey/{key.pk}/change/").content.decode()

    assert "chatflows:view" in shown
    assert PAGE in shown
    assert raw not in shown
    assert key.digest not in shown


def test_a_key_is_made_with_limits(operator: Client, workspace: Workspace) -> None:
    form = {"workspace": str(workspace.pk), "name": "shop", "permissions": "chatflows:view", "origins": f"{PAGE}/"}

    operator.post("/admin/apikeys/apikey/add/", form)

    key = ApiKey.objects.get(name="shop")
    assert (key.permissions, key.origins, key.flows, key.environments) == (["chatflows:view"], [PAGE], None, None)
    assert key.created_by == "operator@example.com"


def test_a_limit_that_makes_no_sense_is_told(operator: Client, workspace: Workspace) -> None:
    form = {"workspace": str(workspace.pk), "name": "shop", "permissions": "chatflows:fly"}

    answer = operator.post("/admin/apikeys/apikey/add/", form)

    assert "permissions: there is no chatflows:fly" in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_a_key_is_not_changed_there(operator: Client, workspace: Workspace) -> None:
    key, _ = make_api_key(workspace)

    assert operator.post(f"/admin/apikeys/apikey/{key.pk}/change/", {"name": "other"}).status_code == 403
