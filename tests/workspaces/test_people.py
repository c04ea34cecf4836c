"""Members, invitations, roles of a workspace's own, service accounts, archived workspaces."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from chatflows.records import find_flow
from tests.cast import Api
from tests.factories import make_api_key, make_chatflow, make_user, make_workspace
from tests.workspaces.browser import PASSWORD, Browser
from workspaces.audit.models import AuditEntry
from workspaces.models import CustomRole, Invitation, Membership, User, Workspace
from workspaces.permissions import BUILT_IN
from workspaces.services import add_member

pytestmark = pytest.mark.django_db

Role = Membership.Role
SIGN_UP = {"email": "bob@example.com", "password": PASSWORD}


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace("Support")


def joined(workspace: Workspace, role: Role, email: str = "") -> User:
    user = make_user(email, password=PASSWORD)
    add_member(workspace=workspace, user=user, role=role)
    return user


def signed_in(user: User) -> Browser:
    """With a session that no password was asked for."""
    browser = Browser()
    browser.client.force_login(user)
    return browser


@pytest.fixture
def owner(workspace: Workspace) -> Browser:
    return Browser(joined(workspace, Role.OWNER, "olive@example.com"))


def token_of_last_mail() -> str:
    found = re.search(r"/invitations/(\S+)", str(mail.outbox[-1].body))
    assert found
    return found[1]


def test_an_invitation_lets_the_invited_person_in(
    owner: Browser, workspace: Workspace, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    bob = make_user("bob@example.com", password=PASSWORD)
    with django_capture_on_commit_callbacks(execute=True):
        asked = owner.post(f"/workspaces/{workspace.pk}/invitations", {"email": "Bob@Example.com", "role": "editor"})

    joined = Browser(bob).post("/invitations/accept", {"token": token_of_last_mail()})

    assert (asked.status_code, asked.json()["status"]) == (201, "pending")
    assert token_of_last_mail() not in asked.content.decode()
    assert mail.outbox[-1].to == ["bob@example.com"]
    assert (joined.status_code, joined.json()["role"]) == (200, "editor")


def test_an_invitation_is_nobody_elses(
    owner: Browser, workspace: Workspace, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    eve = make_user("eve@example.com", password=PASSWORD)
    with django_capture_on_commit_callbacks(execute=True):
        owner.post(f"/workspaces/{workspace.pk}/invitations", {"email": "bob@example.com"})

    refused = Browser(eve).post("/invitations/accept", {"token": token_of_last_mail()})

    assert refused.status_code == 404
    assert not Membership.objects.filter(user=eve).exists()


def test_an_invitation_that_is_sent_again_or_revoked_ends(
    owner: Browser, workspace: Workspace, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    bob = Browser(make_user("bob@example.com", password=PASSWORD))
    tokens = []
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            asked = owner.post(f"/workspaces/{workspace.pk}/invitations", {"email": "bob@example.com"})
        tokens.append(token_of_last_mail())

    former = bob.post("/invitations/accept", {"token": tokens[0]}).status_code
    owner.delete(f"/workspaces/{workspace.pk}/invitations/{asked.json()['id']}")

    assert former == 404
    assert bob.post("/invitations/accept", {"token": tokens[1]}).status_code == 404


def test_nobody_gives_more_than_they_have(workspace: Workspace, owner: Browser) -> None:
    admin = Browser(joined(workspace, Role.ADMIN))
    viewer = joined(workspace, Role.VIEWER)
    boss = Membership.objects.get(workspace=workspace, user__email="olive@example.com").user
    members = f"/workspaces/{workspace.pk}/members"

    raised = admin.put(f"{members}/{viewer.pk}", {"role": "owner"})
    lowered = admin.put(f"{members}/{boss.pk}", {"role": "viewer"})
    removed = admin.delete(f"{members}/{boss.pk}")
    invited = admin.post(f"/workspaces/{workspace.pk}/invitations", {"email": "x@example.com", "role": "owner"})
    allowed = admin.put(f"{members}/{viewer.pk}", {"role": "admin"})

    assert [answer.status_code for answer in (raised, lowered, removed, invited)] == [403] * 4
    assert "workspace:delete" in raised.json()["message"]
    assert allowed.json()["role"] == "admin"


def test_a_workspace_keeps_an_owner(workspace: Workspace, owner: Browser) -> None:
    boss = Membership.objects.get(workspace=workspace, user__email="olive@example.com").user
    founder = Membership.objects.filter(workspace=workspace, role=Role.OWNER).exclude(user=boss).get()
    founder.delete()
    one = f"/workspaces/{workspace.pk}/members/{boss.pk}"

    answers = [owner.put(one, {"role": "viewer"}), owner.delete(one), owner.post(f"{one}/suspension")]

    assert [answer.status_code for answer in answers] == [409, 409, 409]


def test_an_owner_who_cannot_sign_in_is_none(workspace: Workspace, owner: Browser) -> None:
    members = f"/workspaces/{workspace.pk}/members"
    boss = User.objects.get(email="olive@example.com")
    founder = Membership.objects.filter(workspace=workspace, role=Role.OWNER).exclude(user=boss).get()
    owner.post(f"/workspaces/{workspace.pk}/service-accounts", {"name": "Bot", "role": "owner"})

    with_another = owner.post(f"{members}/{founder.user_id}/suspension").status_code
    alone = [owner.delete(f"{members}/{boss.pk}"), owner.put(f"{members}/{boss.pk}", {"role": "viewer"})]
    owner.delete(f"{members}/{founder.user_id}/suspension")
    User.objects.filter(pk=founder.user_id).update(is_active=False)
    alone.append(owner.delete(f"{members}/{boss.pk}"))
    User.objects.filter(pk=founder.user_id).update(is_active=True)

    assert (with_another, [answer.status_code for answer in alone]) == (200, [409] * 3)
    assert owner.delete(f"{members}/{boss.pk}").status_code == 200


def test_nobody_takes_back_an_invitation_to_more_than_they_have(workspace: Workspace, owner: Browser) -> None:
    role = owner.post("/roles", {"name": "Host", "permissions": ["workspace:add-user", *BUILT_IN["viewer"]]}).json()
    host = joined(workspace, Role.VIEWER)
    owner.put(f"/workspaces/{workspace.pk}/members/{host.pk}", {"roles": [role["id"]]})
    path = f"/workspaces/{workspace.pk}/invitations"
    [admin, viewer] = [
        owner.post(path, {"email": f"{role}@example.com", "role": role}).json() for role in ("admin", "viewer")
    ]

    refused = [
        signed_in(host).post(path, {"email": "admin@example.com", "role": "viewer"}),
        signed_in(host).delete(f"{path}/{admin['id']}"),
    ]

    assert [answer.status_code for answer in refused] == [403, 403]
    assert Invitation.objects.get(pk=admin["id"]).role == "admin"
    assert signed_in(host).delete(f"{path}/{viewer['id']}").status_code == 200


def test_an_invitation_that_was_accepted_is_good_no_second_time(
    owner: Browser, workspace: Workspace, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    bob = make_user("bob@example.com", password=PASSWORD)
    with django_capture_on_commit_callbacks(execute=True):
        owner.post(f"/workspaces/{workspace.pk}/invitations", {"email": "bob@example.com"})
    token = {"token": token_of_last_mail()}
    signed_in(bob).post("/invitations/accept", token)
    owner.delete(f"/workspaces/{workspace.pk}/members/{bob.pk}")

    again = signed_in(bob).post("/invitations/accept", token)
    signed_up = Browser().account("POST", "/auth/signup", SIGN_UP, X_Invitation=token["token"])

    assert (again.status_code, signed_up.status_code) == (404, 403)


def test_several_roles_add_up(workspace: Workspace, owner: Browser) -> None:
    viewer = joined(workspace, Role.VIEWER)
    made = owner.post("/roles", {"name": "Auditor", "permissions": ["audit:view"]}).json()
    browser = Browser(viewer)
    before = browser.get("/audit").status_code

    changed = owner.put(f"/workspaces/{workspace.pk}/members/{viewer.pk}", {"roles": [made["id"]]})

    assert (before, browser.get("/audit").status_code) == (403, 200)
    assert (changed.json()["role"], changed.json()["roles"]) == ("viewer", [made["id"]])
    assert browser.get("/chatflows").status_code == 200


def test_a_role_takes_known_permissions_and_a_free_name(workspace: Workspace, owner: Browser) -> None:
    unknown = owner.post("/roles", {"name": "R", "permissions": ["chatflows:fly"]})
    taken = owner.post("/roles", {"name": "Owner", "permissions": []})

    assert (unknown.status_code, taken.status_code) == (400, 409)
    assert "chatflows:fly" in unknown.json()["message"]


def test_of_a_strangers_workspace_nothing_is_there(workspace: Workspace, owner: Browser) -> None:
    other = make_workspace()
    stranger = joined(other, Role.VIEWER)
    role = CustomRole.objects.create(workspace=other, name="R", permissions=[])

    answers = [
        owner.get(f"/workspaces/{other.pk}"),
        owner.get(f"/workspaces/{other.pk}/members"),
        owner.put(f"/workspaces/{workspace.pk}/members/{stranger.pk}", {"role": "viewer"}),
        owner.delete(f"/workspaces/{workspace.pk}/members/{stranger.pk}"),
        owner.put(f"/roles/{role.pk}", {"name": "Mine"}),
        owner.post(f"/workspaces/{other.pk}/switch"),
        owner.get(f"/permissions/explain?action=tools:view&user={stranger.pk}"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 7


def test_a_member_who_is_suspended_may_do_nothing_until_they_may_again(workspace: Workspace, owner: Browser) -> None:
    viewer = joined(workspace, Role.VIEWER)
    browser = Browser(viewer)
    one = f"/workspaces/{workspace.pk}/members/{viewer.pk}/suspension"

    suspended = owner.post(one).json()["status"]
    while_suspended = browser.get("/chatflows").status_code
    owner.delete(one)

    assert (suspended, while_suspended) == ("suspended", 403)
    assert browser.get("/chatflows").status_code == 200


def test_nobody_signs_in_as_a_service_account(workspace: Workspace, owner: Browser) -> None:
    made = owner.post(f"/workspaces/{workspace.pk}/service-accounts", {"name": "Deployer", "role": "editor"}).json()
    account = User.objects.get(pk=made["id"])

    assert made["isService"] is True
    assert not account.has_usable_password()
    assert Browser().sign_in(account, "").status_code == 400


def test_an_archived_workspace_is_closed_to_keys_and_visitors_until_it_is_restored(
    workspace: Workspace, owner: Browser, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    api = Api(make_api_key(workspace)[1])
    flow = make_chatflow(workspace, is_public=True)  # every door that visitors come by looks it up
    before = [api.get("/chatflows").status_code, find_flow(flow.pk) is not None]

    with django_capture_on_commit_callbacks(execute=True):
        archived = owner.delete(f"/workspaces/{workspace.pk}").status_code
    closed = [api.get("/chatflows").status_code, owner.get("/chatflows").status_code, find_flow(flow.pk)]
    with django_capture_on_commit_callbacks(execute=True):
        owner.post(f"/workspaces/{workspace.pk}/restore")

    assert (before, archived, closed) == ([200, True], 200, [401, 403, None])
    assert [api.get("/chatflows").status_code, owner.get("/chatflows").status_code] == [200, 200]


def test_a_decision_is_explained(workspace: Workspace, owner: Browser) -> None:
    viewer = joined(workspace, Role.VIEWER, "vic@example.com")

    told = owner.get(f"/permissions/explain?user={viewer.pk}&action=tools:edit").json()
    own = Browser(viewer).get("/permissions/explain?action=tools:view").json()
    boss = Membership.objects.get(workspace=workspace, user__email="olive@example.com").user
    others = Browser(viewer).get(f"/permissions/explain?action=tools:view&user={boss.pk}")

    assert told == {
        "user": "vic@example.com",
        "action": "tools:edit",
        "allowed": False,
        "why": "tools:edit is needed; vic@example.com has the role Viewer, which does not allow it",
        "grants": ["the role Viewer"],
    }
    assert (own["allowed"], own["why"]) == (True, "the role Viewer allows tools:view")
    assert others.status_code == 403
    assert owner.get("/permissions/explain?action=tools:fly").status_code == 400


def test_workspaces_are_made_by_those_who_may(workspace: Workspace, owner: Browser) -> None:
    made = owner.post("/workspaces", {"name": "Sales"})
    refused = Browser(joined(workspace, Role.EDITOR)).post("/workspaces", {"name": "Mine"})
    renamed = owner.put(f"/workspaces/{workspace.pk}", {"name": "Help"})
    listed = owner.get("/workspaces").json()

    assert (made.status_code, made.json()["role"]) == (201, "owner")
    assert refused.status_code == 403
    assert renamed.json()["name"] == "Help"
    assert [(one["name"], one["isActive"]) for one in listed] == [("Help", True), ("Sales", False)]


def test_people_see_and_change_what_they_are_called(workspace: Workspace, owner: Browser) -> None:
    changed = owner.put("/account", {"name": "Olive Oyl", "email": "x@example.com", "isSuperuser": True})
    refused = owner.put("/account", {"name": "two\nlines"})
    listed = owner.get(f"/workspaces/{workspace.pk}/members").json()
    entry = AuditEntry.objects.get(resource="users", after__name="Olive Oyl")

    assert (changed.json()["name"], changed.json()["email"]) == ("Olive Oyl", "olive@example.com")
    assert refused.status_code == 400
    assert "Olive Oyl" in [one["name"] for one in listed]
    assert (entry.actor_name, entry.row_name) == ("olive@example.com", "olive@example.com")


def test_it_is_shown_when_somebody_last_signed_in(workspace: Workspace, owner: Browser) -> None:
    joined(workspace, Role.VIEWER, "never@example.com")
    before = timezone.now()

    Browser().sign_in(User.objects.get(email="olive@example.com"))
    listed = {one["email"]: one.get("lastLogin") for one in owner.get(f"/workspaces/{workspace.pk}/members").json()}

    assert datetime.fromisoformat(listed["olive@example.com"]) >= before.replace(microsecond=0)
    assert listed["never@example.com"] is None
    assert owner.get("/account").json()["lastLogin"] == listed["olive@example.com"]


def test_people_see_the_invitations_to_addresses_that_they_have_proved(workspace: Workspace, owner: Browser) -> None:
    bob, eve = (make_user(f"{name}@example.com", password=PASSWORD) for name in ("bob", "eve"))
    EmailAddress.objects.filter(user=eve).update(verified=False)
    EmailAddress.objects.create(user=eve, email="eve@work.example.com", verified=True)
    for email in ("bob@example.com", "eve@example.com", "others@example.com"):
        owner.post(f"/workspaces/{workspace.pk}/invitations", {"email": email, "role": "editor"})

    seen = signed_in(bob).get("/invitations")

    assert [(one["workspace"], one["role"], one["invitedBy"]) for one in seen.json()] == [
        ("Support", "editor", "olive@example.com")
    ]
    assert Invitation.objects.get(email="bob@example.com").digest not in seen.content.decode()
    assert signed_in(eve).get("/invitations").json() == []
    Invitation.objects.update(expires_at=timezone.now())
    assert signed_in(bob).get("/invitations").json() == []


def test_keys_are_no_people(workspace: Workspace) -> None:
    refused = Api(make_api_key(workspace)[1]).get("/workspaces")

    assert refused.status_code == 403
    assert "signed in" in refused.json()["message"]
