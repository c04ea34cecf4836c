"""People sign in with address and password, and work in their workspaces with the session's cookie."""

from __future__ import annotations

import pytest

from tests.factories import make_user, make_workspace
from tests.workspaces.browser import PASSWORD, Browser
from workspaces.models import Membership, User, Workspace
from workspaces.services import add_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def ann(workspace: Workspace) -> User:
    user = make_user("ann@example.com", password=PASSWORD)
    add_member(workspace=workspace, user=user, role=Membership.Role.EDITOR)
    return user


def test_who_has_signed_in_works_in_their_workspace(ann: User) -> None:
    browser = Browser()

    assert browser.sign_in(ann).status_code == 200
    assert browser.post("/tools", {"name": "t", "func": "return 1"}).status_code == 200
    assert [tool["name"] for tool in browser.get("/tools").json()] == ["t"]


def test_nobody_signs_in_with_another_password(ann: User) -> None:
    browser = Browser()

    assert browser.sign_in(ann, "wrong horse battery").status_code == 400
    assert browser.get("/tools").status_code == 401


def test_a_role_says_what_a_member_may_do(ann: User) -> None:
    browser = Browser(ann)

    refused = browser.get("/audit")

    assert refused.status_code == 403
    assert "the role Editor, which does not allow it" in refused.json()["message"]


def test_a_write_without_the_token_of_the_page_is_another_sites(ann: User) -> None:
    browser = Browser(ann)

    forged = browser.call("POST", "/api/v1/tools", {"name": "t", "func": "return 1"}, X_CSRFToken="")
    elsewhere = browser.call("POST", "/api/v1/tools", {"name": "t", "func": "return 1"}, Origin="https://evil.example")

    assert (forged.status_code, elsewhere.status_code) == (403, 403)
    assert "X-CSRFToken" in forged.json()["message"]
    assert browser.get("/tools").json() == []


def test_a_key_that_is_sent_counts_and_the_session_does_not(ann: User) -> None:
    browser = Browser(ann)

    assert browser.get("/tools", Authorization="Bearer fj-wrong").status_code == 401


def test_who_is_suspended_or_removed_is_out_at_once(ann: User, workspace: Workspace) -> None:
    browser = Browser(ann)
    membership = Membership.objects.get(user=ann, workspace=workspace)

    membership.delete()
    removed = browser.get("/tools").status_code
    add_member(workspace=workspace, user=ann, role=Membership.Role.VIEWER)
    back = browser.get("/tools").status_code
    ann.is_active = False
    ann.save()

    assert (removed, back) == (403, 200)
    assert browser.get("/tools").status_code == 401


def test_a_person_works_in_the_workspace_that_they_switch_to(ann: User, workspace: Workspace) -> None:
    other = make_workspace("Other")
    add_member(workspace=other, user=ann, role=Membership.Role.OWNER)
    browser = Browser(ann)
    browser.post("/tools", {"name": "here", "func": "return 1"})

    switched = browser.post(f"/workspaces/{other.pk}/switch")
    there = browser.get("/tools").json()
    browser.post(f"/workspaces/{workspace.pk}/switch")

    assert switched.json()["role"] == "owner"
    assert there == []
    assert [tool["name"] for tool in browser.get("/tools").json()] == ["here"]


def test_nobody_switches_to_a_workspace_that_they_are_not_in(ann: User) -> None:
    assert Browser(ann).post(f"/workspaces/{make_workspace().pk}/switch").status_code == 404
