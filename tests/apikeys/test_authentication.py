"""Who gets in with which key."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.models import ApiKey
from apikeys.records import find_key
from apikeys.services import create_api_key, revoke_api_key
from tests.cast import Api
from tests.factories import make_api_key, make_chatflow
from workspaces.models import Workspace


def test_a_key_opens_its_own_workspace(api: Api, workspace: Workspace, stranger: Workspace) -> None:
    make_chatflow(workspace, name="ours")
    make_chatflow(stranger, name="theirs")

    assert [flow["name"] for flow in api.get("/chatflows").json()] == ["ours"]


def test_a_key_may_come_in_the_query(api: Api, nobody: Api) -> None:
    assert nobody.get(f"/chatflows?apiKey={api.key}").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer nope",
        f"Bearer fj-{'x' * 40}",
        "Basic Zm9vOmJhcg==",
        "Bearer \u00fc",
        "Token {key}",
    ],
)
def test_anything_else_is_turned_away(api: Api, nobody: Api, header: str) -> None:
    response = nobody.get("/chatflows", Authorization=header.format(key=api.key))

    assert response.status_code == 401
    assert response.json()["message"] in {"Invalid API key", "API key missing: send Authorization: Bearer <key>"}
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_bad_header_is_not_rescued_by_the_query(api: Api, nobody: Api) -> None:
    assert nobody.get(f"/chatflows?apiKey={api.key}", Authorization="Bearer nope").status_code == 401


@pytest.mark.parametrize("header", ["x-request-from", "X-Forwarded-For", "Origin"])
def test_no_other_header_grants_trust(nobody: Api, header: str) -> None:
    assert nobody.get("/chatflows", **{header: "internal"}).status_code == 401


def test_a_revoked_key_is_turned_away(workspace: Workspace) -> None:
    key, raw = make_api_key(workspace)
    caller = Api(raw)
    assert caller.get("/chatflows").status_code == 200

    revoke_api_key(key=key)

    assert caller.get("/chatflows").status_code == 401


def test_an_expired_key_is_turned_away(workspace: Workspace) -> None:
    now = timezone.now()
    _, expired = create_api_key(workspace=workspace, name="old", expires_at=now - timedelta(seconds=1))
    _, valid = create_api_key(workspace=workspace, name="new", expires_at=now + timedelta(hours=1))

    assert Api(expired).get("/chatflows").status_code == 401
    assert Api(valid).get("/chatflows").status_code == 200


def test_only_a_hash_of_the_key_is_kept(workspace: Workspace) -> None:
    key, raw = make_api_key(workspace)

    row = ApiKey.objects.filter(pk=key.pk).values().get()
    assert len(raw) == 43
    assert raw not in str(row)
    assert row["prefix"] == raw[:8]


def test_use_is_noted_to_the_minute(workspace: Workspace) -> None:
    key, raw = make_api_key(workspace)
    assert key.last_used_at is None

    find_key(raw)

    key.refresh_from_db()
    assert key.last_used_at is not None
