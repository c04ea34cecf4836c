"""The days that a workspace keeps runs for, set over HTTP."""

from __future__ import annotations

import pytest

from tests.cast import Api
from tests.factories import make_chatflow
from workspaces.models import Workspace

pytestmark = pytest.mark.django_db


def test_a_workspace_and_each_flow_have_days_of_their_own(api: Api, workspace: Workspace) -> None:
    flow = make_chatflow(workspace)
    before = api.get("/retention").json()

    api.put("/retention", {"days": 90})
    api.put(f"/retention/{flow.pk}", {"days": 7, "store": False})
    after = api.get("/retention").json()
    api.delete(f"/retention/{flow.pk}")
    api.put("/retention", {"days": None})

    assert before == api.get("/retention").json() == {"days": None, "store": True, "flows": []}
    assert after == {"days": 90, "store": True, "flows": [{"chatflowId": str(flow.pk), "days": 7, "store": False}]}


@pytest.mark.parametrize("days", [0, -1, "soon", 100_000, 1.5])
def test_days_are_whole_and_some(api: Api, days: object) -> None:
    refused = api.put("/retention", {"days": days})

    assert refused.status_code == 400
    assert "days" in refused.json()["message"]


def test_a_strangers_flow_has_none(api: Api, stranger: Workspace) -> None:
    foreign = make_chatflow(stranger)

    assert api.put(f"/retention/{foreign.pk}", {"days": 7}).status_code == 404
    assert api.delete(f"/retention/{foreign.pk}").status_code == 404
