"""What people do themselves is told: signing in, and what operators change in the administration."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.cast import Api
from tests.factories import make_chatflow, make_user
from tests.workspaces.browser import Browser
from workspaces.audit.models import AuditEntry
from workspaces.models import Membership, User, Workspace
from workspaces.services import add_member

PASSWORD = "correct horse battery"


@pytest.fixture
def member(workspace: Workspace) -> User:
    user = make_user("ann@example.com", password=PASSWORD)
    add_member(workspace=workspace, user=user, role=Membership.Role.EDITOR)
    return user


def test_signing_in_and_out_is_told_in_the_workspaces_of_a_person(api: Api, member: User) -> None:
    client = Client()

    assert client.login(username=member.email, password=PASSWORD)
    client.logout()
    out, signed_in = api.get("/audit?resource=account").json()

    assert [signed_in["action"], out["action"]] == ["signed-in", "signed-out"]
    assert signed_in["actor"]["id"] == signed_in["rowId"] == str(member.pk)


def test_a_wrong_password_is_told_as_nobodys(api: Api, member: User) -> None:
    client = Client()

    answer = client.post("/admin/login/", {"username": "Ann@Example.com", "password": "wrong"})
    (entry,) = api.get("/audit?action=sign-in-failed").json()

    assert (entry["actor"]["kind"], entry["actor"]["address"]) == ("visitor", "127.0.0.1")
    assert (entry["rowName"], entry["requestId"]) == (member.email, answer.headers["Request-Id"])


@pytest.mark.django_db
def test_an_address_that_nobody_has_is_not_told() -> None:
    Client().login(username="a-password-in-the-wrong-field", password="x")

    assert not AuditEntry.objects.filter(action="sign-in-failed").exists()


def test_a_stranger_does_not_hear_of_it(stranger_api: Api, member: User) -> None:
    Client().login(username=member.email, password=PASSWORD)

    assert stranger_api.get("/audit?resource=account").json() == []


def test_what_an_operator_changes_names_them(api: Api, workspace: Workspace) -> None:
    operator = User.objects.create_superuser("ops@example.com", PASSWORD)
    flow = make_chatflow(workspace)
    client = Client()
    client.force_login(operator)

    client.post("/admin/chatflows/chatflow/", {"action": "delete_selected", "_selected_action": flow.pk, "post": "yes"})
    entry = api.get(f"/audit?action=deleted&rowId={flow.pk}").json()[0]

    assert entry["actor"] == {
        "kind": "operator",
        "id": str(operator.pk),
        "name": "ops@example.com",
        "address": "127.0.0.1",
    }


def test_operators_look_at_the_trail_and_change_nothing(workspace: Workspace) -> None:
    flow = make_chatflow(workspace, name="Support")
    client = Client()
    client.force_login(User.objects.create_superuser("ops@example.com", PASSWORD))
    entry = AuditEntry.objects.filter(row_id=str(flow.pk)).first()
    assert entry is not None

    listed = client.get("/admin/audit/auditentry/", {"q": str(flow.pk)})
    shown = client.get(f"/admin/audit/auditentry/{entry.pk}/change/")
    deletion = client.post(f"/admin/audit/auditentry/{entry.pk}/delete/", {"post": "yes"})

    assert "Support" in listed.content.decode()
    assert shown.status_code == 200
    assert deletion.status_code == 403


def test_of_an_account_the_password_is_not_told(member: User) -> None:
    member.set_password("another good password")
    member.save()

    entry = AuditEntry.objects.filter(resource="users", row_id=str(member.pk)).latest("id")

    assert entry.after is not None
    assert set(entry.after["password"]) == {"sha256", "bytes"}
    assert entry.workspace_id is None


def test_who_changes_their_password_is_named(member: User) -> None:
    browser = Browser(member)
    body = {"current_password": PASSWORD, "new_password": PASSWORD[::-1]}

    browser.account("POST", "/account/password/change", body)
    (changed,) = AuditEntry.objects.filter(resource="users", action="updated", row_name=member.email)

    assert (changed.actor_kind, changed.actor_name) == ("member", member.email)
    assert PASSWORD[::-1] not in str(changed.after)
