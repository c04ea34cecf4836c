"""`manage.py workspaces create`: a first workspace for a server that has none."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apikeys.models import ApiKey
from tests.cast import Api
from tests.factories import EMPTY_GRAPH, make_user
from workspaces.models import Membership, Workspace

pytestmark = pytest.mark.django_db


def create(*args: str) -> str:
    out = StringIO()
    call_command("workspaces", "create", *args, stdout=out)
    return out.getvalue()


def test_a_new_workspace_is_opened_by_its_key() -> None:
    made = json.loads(create("Support", "--json"))

    saved = Api(made["apiKey"]).post("/chatflows", {"name": "Bot", "flowData": EMPTY_GRAPH}).json()
    assert saved["workspaceId"] == made["workspaceId"] == str(Workspace.objects.get().pk)
    assert (made["name"], made["apiKeyId"]) == ("Support", str(ApiKey.objects.get(name="owner").pk))


def test_people_read_the_same_in_two_lines() -> None:
    workspace, key = (line.split()[-1] for line in create("Support").splitlines())

    assert workspace == str(Workspace.objects.get().pk)
    assert Api(key).get("/chatflows").json() == []


def test_an_owner_becomes_its_first_member() -> None:
    ann = make_user("ann@example.com")

    create("Support", "--owner", "Ann@Example.com")

    assert Membership.objects.get(workspace__name="Support", user=ann).role == Membership.Role.OWNER


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((" ",), "name: expected 1 to 200 characters, got 0"),
        (("n" * 201,), "name: expected 1 to 200 characters, got 201"),
        (("two\nlines",), "name: expected one line without control characters"),
        (("Support", "--owner", "nobody@example.com"), "There is nobody with the address 'nobody@example.com'"),
    ],
)
def test_what_cannot_be_made_is_named_and_leaves_nothing(args: tuple[str, ...], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        create(*args)

    assert not Workspace.objects.exists()
