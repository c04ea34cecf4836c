"""Another text for the same key, with time to bring it everywhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from apikeys.models import ApiKey
from apikeys.services import create_api_key, revoke_api_key
from chatflows.deployments import afind_deployment, deploy
from tests.apikeys.test_apikey_api import make
from tests.cast import Api
from tests.factories import make_api_key, make_chatflow
from workspaces.models import Workspace


def rotated(api: Api, key_id: object, **fields: Any) -> str:
    response = api.post(f"/apikey/{key_id}/rotate", fields or None)
    assert response.status_code == 200, response.content
    return str(response.json()["apiKey"])


def works(raw: str) -> bool:
    return Api(raw).get("/chatflows").status_code == 200


def end_overlap(key_id: str) -> None:
    """As if that time had passed."""
    key = ApiKey.objects.get(pk=key_id)
    key.previous_until = timezone.now()
    key.save()


def test_for_a_while_both_texts_are_good(api: Api) -> None:
    made = make(api)

    new = rotated(api, made["id"], overlapSeconds=60)

    assert new.startswith("fj-")
    assert works(new)
    assert works(made["apiKey"])


def test_afterwards_the_new_one_alone_is(api: Api) -> None:
    made = make(api)
    new = rotated(api, made["id"], overlapSeconds=60)
    assert works(made["apiKey"])

    end_overlap(made["id"])

    assert not works(made["apiKey"])
    assert works(new)


def test_without_overlap_the_old_one_ends_at_once(api: Api) -> None:
    made = make(api)
    assert works(made["apiKey"])

    new = rotated(api, made["id"], overlapSeconds=0)

    assert not works(made["apiKey"])
    assert works(new)


def test_a_second_rotation_ends_what_the_first_left(api: Api) -> None:
    made = make(api)
    second = rotated(api, made["id"])
    assert works(made["apiKey"])

    third = rotated(api, made["id"])

    assert [works(raw) for raw in (made["apiKey"], second, third)] == [False, True, True]


def test_the_key_stays_the_same_for_all_that_know_it(api: Api, workspace: Workspace) -> None:
    key, old = make_api_key(workspace, "tied")
    flow = make_chatflow(workspace, apikey_id=key.pk)

    new = rotated(api, key.pk)

    for raw in (old, new):
        assert [found["id"] for found in api.get(f"/chatflows/apikey/{raw}").json()] == [str(flow.pk)]
        assert api.get(f"/chatflows/apikey/{raw}?keyonly").json()["id"] == str(key.pk)


def test_a_revoked_key_is_revoked_in_both_texts(api: Api) -> None:
    made = make(api)
    new = rotated(api, made["id"])
    assert works(made["apiKey"])
    assert works(new)

    revoke_api_key(key=ApiKey.objects.get(pk=made["id"]))

    assert not works(made["apiKey"])
    assert not works(new)


def test_a_key_can_rotate_itself(api: Api) -> None:
    made = make(api)

    new = rotated(Api(made["apiKey"]), made["id"], overlapSeconds=0)

    assert works(new)


def test_what_has_ended_is_not_rotated(api: Api, workspace: Workspace) -> None:
    expired, _ = create_api_key(workspace=workspace, name="old", expires_at=timezone.now() - timedelta(seconds=1))
    revoked, _ = make_api_key(workspace)
    revoke_api_key(key=revoked)

    assert [api.post(f"/apikey/{key.pk}/rotate").status_code for key in (expired, revoked)] == [409, 409]


def test_a_deployments_key_is_rotated_like_others(api: Api, workspace: Workspace) -> None:
    deployment, old = deploy(chatflow=make_chatflow(workspace), name="app")

    new = rotated(api, deployment.apikey_id, overlapSeconds=60)

    found = [async_to_sync(afind_deployment)(raw) for raw in (old, new)]
    assert new.startswith("cf_")
    assert [record.id for record in found if record] == [deployment.pk, deployment.pk]


@pytest.mark.parametrize("overlap", [-1, 2_592_001, "60", True, 1.5, None])
def test_an_overlap_is_a_number_of_seconds(api: Api, overlap: Any) -> None:
    refused = api.post(f"/apikey/{make(api)['id']}/rotate", {"overlapSeconds": overlap})

    assert refused.status_code == 400
    assert refused.json()["message"].startswith("overlapSeconds: ")


def test_the_audit_trail_tells_of_a_rotation_and_keeps_no_digest(api: Api) -> None:
    made = make(api)
    digest = ApiKey.objects.get(pk=made["id"]).digest

    rotated(api, made["id"])

    entries = api.get(f"/audit?rowId={made['id']}")
    assert [entry["action"] for entry in entries.json()] == ["updated", "created"]
    assert "prefix" in entries.json()[0]["after"]
    assert digest not in entries.content.decode()
