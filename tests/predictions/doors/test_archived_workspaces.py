"""A workspace that was archived: what its keys had opened, and what they had handed out, is shut within a second."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.platform import Platform
from tests.predictions.conftest import Inside
from tests.predictions.doors.chatterfly_calls import Client

MAKE = """
from chatflows.deployments import deploy
from tests.factories import make_api_key, make_chatflow, make_workspace
from tests.predictions.drawing import approval_flow
workspace = make_workspace()
flow = make_chatflow(workspace, flow_data=approval_flow("Sent"), kind="AGENTFLOW", deployed=True)
made = [str(workspace.pk), flow.slug, deploy(chatflow=flow, name="test")[1], make_api_key(workspace)[1]]
print(json.dumps(made))
"""
ARCHIVE = """
from uuid import UUID
from workspaces.tenancies import archive
archive(workspace_id=UUID({workspace!r}), is_archived=True)
"""


@dataclass(frozen=True, slots=True)
class Doors:
    """Ways to look at runs of one workspace, each of which answers a status; and how that is archived."""

    archive: Callable[[], object]
    looks: dict[str, Callable[[], int]]


@pytest.fixture
def doors(platform: Platform, inside: Inside) -> Iterator[Doors]:
    workspace, slug, deployment_key, key = inside(MAKE)
    client = Client(platform.url, deployment_key)
    run = client.start({"question": "Hi"})
    client.until(run, "waiting_for_input")
    token = client.token(run)
    triggered = httpx.post(
        f"{platform.url}/api/stepflow/trigger/{slug}",
        content=json.dumps({"question": "Hi"}),
        headers={"X-API-Key": key},
    ).json()
    own, other = f"{platform.url}/api/v1/runs/{run}", f"{platform.url}/api/stepflow/runs/{triggered['runId']}"
    looks = {
        "deployment's key": lambda: client.http.get(f"/runs/{run}").status_code,
        "participant's token": lambda: httpx.get(own, params={"token": token}).status_code,
        "key": lambda: httpx.get(other, headers={"X-API-Key": key}).status_code,
        "run's token": lambda: httpx.get(other, params={"token": triggered["publicAccessToken"]}).status_code,
    }
    yield Doors(lambda: inside(ARCHIVE.format(workspace=workspace)), looks)
    client.http.close()


def test_nothing_of_an_archived_workspace_is_seen_through_any_door(doors: Doors) -> None:
    before = {name: look() for name, look in doors.looks.items()}

    doors.archive()
    archived_at = time.monotonic()
    while open_still := [name for name, look in doors.looks.items() if look() == 200]:
        assert time.monotonic() - archived_at < 1, open_still

    assert set(before.values()) == {200}
    assert {look() for look in doors.looks.values()} == {401}
