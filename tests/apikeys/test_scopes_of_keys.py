"""What limits a key, and that nobody gives a key more than they have."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from apikeys.services import create_api_key
from forjinn.core.times import iso_millis
from tests.apikeys.test_apikey_api import make
from tests.cast import Api
from tests.factories import make_chatflow, make_user
from workspaces.models import Membership, Workspace
from workspaces.services import add_member

PAGE = "https://shop.example"


@pytest.fixture
def clerk(workspace: Workspace) -> Api:
    """May manage keys and see chatflows."""
    permissions = [f"apikeys:{action}" for action in ("view", "create", "edit", "delete")]
    _, raw = create_api_key(workspace=workspace, name="clerk", permissions=[*permissions, "chatflows:view"])
    return Api(raw)


def told(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["message"]


def test_a_key_does_what_its_permissions_name_and_nothing_else(api: Api) -> None:
    viewer = Api(make(api, permissions=["chatflows:view"])["apiKey"])

    assert viewer.get("/chatflows").status_code == 200
    assert told(viewer.get("/executions"))[0] == 403
    assert "executions:view" in told(viewer.get("/executions"))[1]


def test_a_key_reaches_its_flows_and_no_others(api: Api, workspace: Workspace) -> None:
    own, other = make_chatflow(workspace), make_chatflow(workspace)
    limited = Api(make(api, flows=[str(own.pk)])["apiKey"])

    assert [flow["id"] for flow in limited.get("/chatflows").json()] == [str(own.pk)]
    assert limited.get(f"/chatflows/{own.pk}").status_code == 200
    assert limited.get(f"/chatflows/{other.pk}").status_code == 404
    assert limited.get("/tools").status_code == 403


def test_a_key_for_other_servers_is_refused_here(api: Api, settings: Settings) -> None:
    caller = Api(make(api, environments=["staging", "test"])["apiKey"])

    refused = caller.get("/chatflows")
    settings.ENVIRONMENT = "staging"

    assert told(refused) == (403, "This API key is for servers of staging, test; this one is production")
    assert caller.get("/chatflows").status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (PAGE, 200),
        ("https://SHOP.example:443", 200),
        ("http://shop.example", 403),
        ("https://shop.example:8443", 403),
        ("https://shop.example.evil.example", 403),
        ("https://evil-shop.example", 403),
        ("https://shop.example@evil.example", 403),
        ("null", 403),
        (None, 403),
    ],
)
def test_a_key_with_origins_is_good_for_their_pages(api: Api, origin: str | None, status: int) -> None:
    caller = Api(make(api, origins=[f"{PAGE}/"])["apiKey"])

    assert caller.get("/chatflows", **({"Origin": origin} if origin else {})).status_code == status


def test_a_key_ends_when_it_is_said_to(api: Api) -> None:
    made = make(api, expiresAt=iso_millis(timezone.now() + timedelta(hours=1)))
    caller = Api(made["apiKey"])
    assert caller.get("/chatflows").status_code == 200

    assert api.put(f"/apikey/{made['id']}", {"expiresAt": None}).json()["expiresAt"] is None
    past = {"keyName": "old", "expiresAt": "2020-01-01T00:00:00Z"}
    for refused in (api.put(f"/apikey/{made['id']}", past), api.post("/apikey", past)):
        assert told(refused) == (422, "expiresAt: must be in the future; a key that should end now is deleted")


def test_a_narrowed_key_is_narrow_at_once(api: Api) -> None:
    made = make(api)
    caller = Api(made["apiKey"])
    assert caller.get("/executions").status_code == 200

    api.put(f"/apikey/{made['id']}", {"permissions": ["chatflows:view"]})

    assert caller.get("/executions").status_code == 403
    assert caller.get("/chatflows").status_code == 200


def test_nobody_makes_a_key_that_may_more_than_they(clerk: Api) -> None:
    refused = clerk.post("/apikey", {"keyName": "more", "permissions": ["chatflows:view", "credentials:view"]})

    assert told(refused) == (
        403,
        "permissions: nobody gives a key more than they have, and clerk lacks credentials:view",
    )
    assert make(clerk, permissions=["chatflows:view"])["permissions"] == ["chatflows:view"]


def test_where_nothing_is_said_a_key_may_what_its_maker_may(clerk: Api, api: Api) -> None:
    made = make(clerk)

    assert set(made["permissions"]) == {
        "apikeys:create",
        "apikeys:delete",
        "apikeys:edit",
        "apikeys:view",
        "chatflows:view",
    }
    assert make(api)["permissions"] is None


@pytest.mark.parametrize(
    "change", [{"permissions": None}, {"permissions": ["credentials:view"]}, {"flows": None}, {"flows": ["FLOW"]}]
)
def test_nobody_widens_a_key_to_more_than_they_have(
    clerk: Api, api: Api, workspace: Workspace, change: dict[str, Any]
) -> None:
    flow = make_chatflow(workspace)
    strong = make(api, permissions=["executions:view"], flows=[str(flow.pk)])
    asked = {name: [str(flow.pk)] if value == ["FLOW"] else value for name, value in change.items()}

    answer = clerk.put(f"/apikey/{strong['id']}", asked)

    if change == {"permissions": None}:  # as much as the clerk may of flows
        assert answer.json()["permissions"] == ["chatflows:view"]
    else:
        assert answer.status_code in (403, 422)
        assert api.get(f"/apikey/{strong['id']}").json()["permissions"] == ["executions:view"]


def test_a_stronger_key_can_be_renamed_but_not_rotated(clerk: Api, api: Api) -> None:
    strong = make(api)

    assert clerk.put(f"/apikey/{strong['id']}", {"keyName": "owner's"}).json()["permissions"] is None
    assert clerk.post(f"/apikey/{strong['id']}/rotate").status_code == 403
    assert Api(strong["apiKey"]).get("/executions").status_code == 200


def test_a_key_limited_to_flows_makes_none(api: Api, workspace: Workspace) -> None:
    limited = Api(make(api, flows=[str(make_chatflow(workspace).pk)])["apiKey"])

    assert limited.post("/apikey", {"keyName": "more"}).status_code == 403
    assert limited.get("/apikey").status_code == 403


def test_flows_of_others_are_as_unknown_as_none(api: Api, stranger: Workspace) -> None:
    theirs = make_chatflow(stranger)

    answers = [
        api.post("/apikey", {"keyName": "theirs", "flows": [flow_id]})
        for flow_id in (str(theirs.pk), "00000000-0000-7000-8000-000000000000")
    ]

    assert told(answers[0]) == (404, f"Chatflow {theirs.pk} not found")
    assert answers[1].status_code == 404


def test_a_key_for_flows_has_no_permission_beyond_them(api: Api, workspace: Workspace) -> None:
    flows = [str(make_chatflow(workspace).pk)]

    refused = api.post("/apikey", {"keyName": "odd", "flows": flows, "permissions": ["credentials:view"]})

    assert told(refused) == (
        422,
        "permissions: a key that is limited to some flows cannot have credentials:view",
    )


def test_a_limited_key_makes_keys_of_its_own_limits(workspace: Workspace) -> None:
    expires_at = timezone.now() + timedelta(days=1)
    _, raw = create_api_key(
        workspace=workspace, name="limited", environments=["production"], origins=[PAGE], expires_at=expires_at
    )
    maker, page = Api(raw), {"Origin": PAGE}

    made = maker.post("/apikey", {"keyName": "made"}, **page).json()

    assert (made["environments"], made["origins"]) == (["production"], [PAGE])
    assert made["expiresAt"] == iso_millis(expires_at)
    for more in (
        {"environments": ["staging"]},
        {"origins": ["https://other.example"]},
        {"expiresAt": "2999-01-01T00:00:00Z"},
    ):
        assert maker.post("/apikey", {"keyName": "more", **more}, **page).status_code == 403


def test_an_owned_key_may_what_its_owner_may_at_the_moment(workspace: Workspace) -> None:
    person = make_user()
    add_member(workspace=workspace, user=person, role=Membership.Role.EDITOR)
    _, raw = create_api_key(workspace=workspace, name="script", owner_id=person.pk)
    caller = Api(raw)
    flow = make_chatflow(workspace)
    assert caller.put(f"/chatflows/{flow.pk}", {"name": "Renamed"}).status_code == 200

    add_member(workspace=workspace, user=person, role=Membership.Role.VIEWER)

    assert caller.get(f"/chatflows/{flow.pk}").status_code == 200
    assert told(caller.put(f"/chatflows/{flow.pk}", {"name": "Again"})) == (
        403,
        "chatflows:edit is needed; script has a key for everything, whose owner has the role Viewer, which does not "
        "allow it",
    )


@pytest.mark.parametrize("end", ["suspended", "removed", "deleted"])
def test_without_its_owner_a_key_is_no_good(workspace: Workspace, end: str) -> None:
    person = make_user()
    membership = add_member(workspace=workspace, user=person, role=Membership.Role.EDITOR)
    _, raw = create_api_key(workspace=workspace, name="script", owner_id=person.pk)
    assert Api(raw).get("/chatflows").status_code == 200

    match end:
        case "suspended":
            person.is_active = False
            person.save()
        case "removed":
            membership.delete()
        case "deleted":
            person.delete()

    assert told(Api(raw).get("/chatflows")) == (401, "Invalid API key")


def test_keys_of_an_owned_key_have_its_owner(workspace: Workspace) -> None:
    admin, other = make_user(), make_user()
    for person in (admin, other):
        add_member(workspace=workspace, user=person, role=Membership.Role.ADMIN)
    _, raw = create_api_key(workspace=workspace, name="admin's", owner_id=admin.pk)

    made = Api(raw).post("/apikey", {"keyName": "made"}).json()

    assert made["ownerId"] == str(admin.pk)
    for owner in (None, str(other.pk)):
        assert Api(raw).post("/apikey", {"keyName": "more", "ownerId": owner}).status_code == 403


def test_an_owned_key_rotates_none_that_would_outlast_its_owner(api: Api, workspace: Workspace) -> None:
    admin = make_user()
    add_member(workspace=workspace, user=admin, role=Membership.Role.ADMIN)
    _, raw = create_api_key(workspace=workspace, name="admin's", owner_id=admin.pk)
    permissions = ["chatflows:view"]
    nobodys, own = make(api, permissions=permissions), make(Api(raw), permissions=permissions)

    assert Api(raw).post(f"/apikey/{nobodys['id']}/rotate").status_code == 403
    assert Api(raw).post(f"/apikey/{own['id']}/rotate").status_code == 200
    assert api.post(f"/apikey/{own['id']}/rotate").status_code == 200


def test_an_owner_is_a_member(api: Api, workspace: Workspace) -> None:
    member = make_user()
    add_member(workspace=workspace, user=member, role=Membership.Role.VIEWER)

    assert make(api, ownerId=str(member.pk))["ownerId"] == str(member.pk)
    assert api.post("/apikey", {"keyName": "made", "ownerId": str(make_user().pk)}).status_code == 404
