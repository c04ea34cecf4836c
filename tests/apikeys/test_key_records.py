"""Keys that a process remembers."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apikeys.models import ApiKey
from apikeys.records import afind_key, find_key
from apikeys.services import revoke_api_key
from tests.factories import make_api_key, make_workspace

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_warm_key_asks_no_database() -> None:
    _, raw = make_api_key(make_workspace())
    find_key(raw)

    with CaptureQueriesContext(connection) as queries:
        found = find_key(raw)

    assert found is not None
    assert not queries.captured_queries


def test_a_text_that_cannot_be_a_key_asks_no_database() -> None:
    with CaptureQueriesContext(connection) as queries:
        found = [find_key(text) for text in ("", "fj-", "fj-short", "x" * 43, "fj-" + "é" * 40, "fj-" + "a" * 41)]

    assert not any(found)
    assert not queries.captured_queries


def test_a_remembered_key_is_forgotten_when_it_is_revoked() -> None:
    key, raw = make_api_key(make_workspace())
    find_key(raw)

    revoke_api_key(key=key)

    assert find_key(raw) is None


def test_a_remembered_key_is_forgotten_when_its_workspace_goes() -> None:
    key, raw = make_api_key(make_workspace())
    find_key(raw)

    key.workspace.delete()

    assert find_key(raw) is None


async def test_asynchronous_callers_find_the_same_key() -> None:
    key, raw = await sync_to_async(lambda: make_api_key(make_workspace()))()

    found = await afind_key(raw)

    assert found is not None
    assert (found.id, found.workspace_id) == (key.pk, key.workspace_id)
    assert await afind_key("fj-" + "x" * 40) is None
    assert await sync_to_async(ApiKey.objects.count)() == 1
