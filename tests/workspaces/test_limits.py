"""What a workspace's limits refuse of the calls that manage it."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from tests.cast import Api
from tests.factories import make_api_key
from workspaces.limits.models import Limit
from workspaces.models import Workspace


def statuses(api: Api, calls: int) -> list[int]:
    return [api.get("/chatflows").status_code for _ in range(calls)]


def test_beyond_its_calls_a_minute_a_key_is_refused_and_told_when_to_come_back(api: Api, workspace: Workspace) -> None:
    Limit.objects.create(workspace=workspace, kind="key", calls_a_minute=2)

    passed, refused = [api.get("/chatflows") for _ in range(2)], api.get("/chatflows")

    assert [answer.status_code for answer in passed] == [200, 200]
    assert [answer.headers["RateLimit-Remaining"] for answer in passed] == ["1", "0"]
    assert refused.status_code == 429
    assert refused.json()["code"] == "too_many_requests"
    assert refused.json()["message"].startswith("This key makes 2 calls a minute at most")
    assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Remaining"]) == ("2", "0")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_each_key_has_its_own_window_and_all_share_the_workspaces(api: Api, workspace: Workspace) -> None:
    Limit.objects.create(workspace=workspace, kind="key", calls_a_minute=2)
    Limit.objects.create(workspace=workspace, kind="workspace", calls_a_minute=3)
    other = Api(make_api_key(workspace)[1])

    assert statuses(api, 3) == [200, 200, 429]
    assert statuses(other, 2) == [200, 429]


def test_a_key_may_have_a_limit_of_its_own(workspace: Workspace) -> None:
    Limit.objects.create(workspace=workspace, kind="key", calls_a_minute=1)
    key, raw = make_api_key(workspace)
    Limit.objects.create(workspace=workspace, kind="key", target_id=key.pk, calls_a_minute=2)

    assert statuses(Api(raw), 3) == [200, 200, 429]


def test_a_neighbours_limits_are_not_ones_own(api: Api, stranger_api: Api, stranger: Workspace) -> None:
    Limit.objects.create(workspace=stranger, kind="workspace", calls_a_minute=1)

    assert statuses(stranger_api, 2) == [200, 429]
    assert statuses(api, 2) == [200, 200]


def test_what_a_workspace_does_not_say_the_settings_do(api: Api, settings: Settings) -> None:
    settings.RATE_PER_KEY = 1

    assert statuses(api, 2) == [200, 429]


def test_without_limits_nothing_is_counted(api: Api) -> None:
    assert "RateLimit-Limit" not in api.get("/chatflows").headers


@pytest.mark.django_db(transaction=True)
def test_with_redis_away_keys_manage_on(api: Api, workspace: Workspace, settings: Settings) -> None:
    Limit.objects.create(workspace=workspace, kind="workspace", calls_a_minute=1)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    assert statuses(api, 2) == [200, 200]
