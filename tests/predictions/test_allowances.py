"""Reading and setting what a workspace may use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from pytest_django import Settings

from tests.cast import Api
from tests.factories import make_api_key, make_chatflow
from workspaces.limits.models import Limit, Spending
from workspaces.models import Workspace

NOTHING = {"callsPerMinute": None, "runsAtOnce": None, "tokensPerMonth": None, "usdPerMonth": None}


def spend(workspace: Workspace, kind: str, target_id: UUID, tokens: int, nano_usd: int, *, slot: int = 0) -> None:
    month = datetime.now(UTC).date().replace(day=1)
    Spending.objects.create(
        workspace=workspace, kind=kind, target_id=target_id, month=month, slot=slot, tokens=tokens, nano_usd=nano_usd
    )


def test_a_workspace_that_has_set_nothing_is_as_the_settings_say(api: Api) -> None:
    shown = api.get("/limits").json()

    assert shown.pop("resetsDate").endswith("-01T00:00:00.000Z")
    assert shown == {
        "workspace": {**NOTHING, "used": {"tokens": 0, "usd": 0.0}, "left": {"tokens": None, "usd": None}},
        "eachKey": NOTHING,
        "eachFlow": NOTHING,
        "eachAddress": {"callsPerMinute": 600},
        "keys": [],
        "flows": [],
    }


def test_what_is_set_is_shown_and_the_rest_stays(api: Api) -> None:
    api.put("/limits", {"workspace": {"runsAtOnce": 9}})

    shown = api.put("/limits", {"workspace": {"usdPerMonth": 12.5}, "eachKey": {"callsPerMinute": 60}}).json()

    assert (shown["workspace"]["runsAtOnce"], shown["workspace"]["usdPerMonth"]) == (9, 12.5)
    assert shown["eachKey"] == {**NOTHING, "callsPerMinute": 60}
    assert api.get("/limits").json() == shown


def test_it_is_told_what_was_used_this_month_and_what_is_left(api: Api, workspace: Workspace) -> None:
    flow = make_chatflow(workspace)
    api.put("/limits", {"workspace": {"tokensPerMonth": 1000, "usdPerMonth": 1}})
    spend(workspace, "workspace", workspace.pk, 300, 250_000_000)
    spend(workspace, "workspace", workspace.pk, 500, 500_000_000, slot=1)
    spend(workspace, "flow", flow.pk, 300, 250_000_000)

    shown = api.get("/limits").json()

    assert shown["workspace"]["used"] == {"tokens": 800, "usd": 0.75}
    assert shown["workspace"]["left"] == {"tokens": 200, "usd": 0.25}
    assert [(one["id"], one["used"]["tokens"]) for one in shown["flows"]] == [(str(flow.pk), 300)]


def test_null_gives_back_what_the_settings_say(api: Api, workspace: Workspace) -> None:
    key, _ = make_api_key(workspace)
    api.put("/limits", {"keys": [{"id": str(key.pk), "runsAtOnce": 1}]})
    assert api.get("/limits").json()["keys"][0]["runsAtOnce"] == 1

    shown = api.put("/limits", {"keys": [{"id": str(key.pk), "runsAtOnce": None}]}).json()

    assert shown["keys"] == []
    assert not Limit.objects.exists()


@pytest.mark.parametrize("things", ["keys", "flows"])
def test_a_strangers_key_or_flow_is_as_unknown_as_one_that_does_not_exist(
    api: Api, stranger: Workspace, things: str
) -> None:
    foreign = make_api_key(stranger)[0].pk if things == "keys" else make_chatflow(stranger).pk
    unknown = uuid4()

    answers = [api.put("/limits", {things: [{"id": str(one), "runsAtOnce": 1}]}) for one in (foreign, unknown)]

    assert [answer.status_code for answer in answers] == [404, 404]
    words = [
        answer.json()["message"].replace(str(one), "") for answer, one in zip(answers, (foreign, unknown), strict=True)
    ]
    assert words[0] == words[1]
    assert not Limit.objects.exists()


def test_a_workspace_gives_itself_no_more_than_the_operator_lets_it_have(
    api: Api, workspace: Workspace, settings: Settings
) -> None:
    settings.TOKENS_PER_MONTH = 1000

    refused = api.put("/limits", {"workspace": {"tokensPerMonth": 1001}})
    less = api.put("/limits", {"workspace": {"tokensPerMonth": 999}})

    assert refused.status_code == 400
    assert refused.json()["message"] == (
        "tokens a month of a workspace: at most 1000 here; who runs this server can allow more"
    )
    assert less.json()["workspace"]["tokensPerMonth"] == 999


def test_what_an_operator_has_granted_may_stay(api: Api, workspace: Workspace, settings: Settings) -> None:
    settings.TOKENS_PER_MONTH = 1000
    Limit.objects.create(workspace=workspace, kind="workspace", tokens_a_month=5000)

    kept = api.put("/limits", {"workspace": {"tokensPerMonth": 5000, "runsAtOnce": 2}})

    assert kept.json()["workspace"]["tokensPerMonth"] == 5000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"workspace": {"callsPerMinute": 0}}, "workspace.callsPerMinute"),
        ({"workspace": {"callsPerMinute": "5"}}, "workspace.callsPerMinute: expected a whole number, got text"),
        ({"workspace": {"usdPerMonth": -1}}, "workspace.usdPerMonth: expected 0 to 1000000000, got -1"),
        ({"workspace": {"usdPerMonth": True}}, "workspace.usdPerMonth: expected a number, got a boolean"),
        ({"workspace": {"tokensPerMonth": 1.5}}, "workspace.tokensPerMonth: expected a whole number"),
        ({"keys": [{"runsAtOnce": 1}]}, "id: required"),
        ({"keys": [{"id": "x", "runsAtOnce": 1}]}, "id: expected an id"),
    ],
)
def test_what_is_no_limit_is_refused(api: Api, body: dict[str, Any], words: str) -> None:
    refused = api.put("/limits", body)

    assert refused.status_code == 400
    assert words in refused.json()["message"]


def test_who_may_only_look_sets_nothing(workspace: Workspace) -> None:
    viewer = Api(make_api_key(workspace, permissions=["limits:view"])[1])

    assert viewer.get("/limits").status_code == 200
    assert viewer.put("/limits", {"workspace": {"runsAtOnce": 5}}).status_code == 403


def test_a_neighbour_sees_its_own_limits(api: Api, stranger_api: Api) -> None:
    api.put("/limits", {"workspace": {"runsAtOnce": 7}})

    assert stranger_api.get("/limits").json()["workspace"]["runsAtOnce"] is None
