"""Keys that people make in a browser: they act for whoever made them."""

from __future__ import annotations

from tests.cast import Api
from tests.factories import make_user
from tests.workspaces.browser import PASSWORD, Browser
from workspaces.models import Membership, Workspace
from workspaces.services import add_member


def test_a_persons_key_ends_with_their_membership(workspace: Workspace) -> None:
    person = make_user(password=PASSWORD)
    membership = add_member(workspace=workspace, user=person, role=Membership.Role.ADMIN)

    made = Browser(person).post("/apikey", {"keyName": "script"}).json()

    assert (made["ownerId"], made["createdBy"]) == (str(person.pk), person.email)
    assert "workspace:delete" not in made["permissions"]
    assert Api(made["apiKey"]).get("/chatflows").status_code == 200
    membership.delete()
    assert Api(made["apiKey"]).get("/chatflows").status_code == 401
