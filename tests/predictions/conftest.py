"""The cast of predictions: a scripted model of each test's own, flows on it, and people who ask them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.platform import ROOT, Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller

NewFlow = Callable[..., str]
Limited = Callable[..., None]


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as scripted:
        yield scripted


@pytest.fixture(scope="session")
def holder(platform: Platform) -> Iterator[Caller]:
    """The holder of the workspace's key."""
    with Caller(platform.url, platform.api_key) as caller:
        yield caller


@pytest.fixture(scope="session")
def visitor(platform: Platform) -> Iterator[Caller]:
    """Somebody without a key."""
    with Caller(platform.url) as caller:
        yield caller


@pytest.fixture(scope="session")
def new_flow(holder: Caller) -> NewFlow:
    """Saves a flow, deployed unless `deployed=False` is said, and returns its id."""

    def create(flow_data: str, **fields: Any) -> str:
        deployed = fields.pop("deployed", True)
        created = holder.http.post("/chatflows", json={"name": "Test flow", "flowData": flow_data, **fields})
        assert created.status_code == 200, created.text
        flow_id = str(created.json()["id"])
        if deployed:
            assert holder.http.put(f"/chatflows/{flow_id}", json={"deployed": True}).status_code == 200
        return flow_id

    return create


@pytest.fixture
def chat(new_flow: NewFlow, model: ScriptedModel) -> str:
    """A classic conversation on the test's model."""
    return new_flow(drawing.conversation(model.url))


@pytest.fixture
def agent(new_flow: NewFlow, model: ScriptedModel) -> str:
    """An AgentFlow v2 on the test's model."""
    return new_flow(drawing.agentflow(model.url), type="AGENTFLOW")


class Inside:
    """Code that runs beside the platform, on its database: what operators do, and no call can."""

    def __init__(self, platform: Platform) -> None:
        self._environment = {**platform.environment, "DJANGO_SETTINGS_MODULE": "forjinn.settings"}

    def __call__(self, code: str) -> Any:
        """Runs the code and returns what it prints, which is JSON."""
        whole = f"import json, django; django.setup()\n{code}"
        done = subprocess.run(
            [sys.executable, "-c", whole], env=self._environment, cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")


MAKE_KEYS = """
from tests.factories import make_api_key, make_workspace
from workspaces.models import Workspace
own = Workspace.objects.get(pk={workspace_id!r})
print(json.dumps([[str(key.pk), raw] for key, raw in map(make_api_key, [own, own, make_workspace()])]))
"""


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    raw: str


@dataclass(frozen=True, slots=True)
class Keys:
    """More keys than the platform's first: two of its workspace, and one of somebody else's."""

    second: Key
    doomed: Key  # for the test that revokes it
    foreign: Key


@pytest.fixture(scope="session")
def inside(platform: Platform) -> Inside:
    return Inside(platform)


@pytest.fixture(scope="session")
def keys(platform: Platform, inside: Inside) -> Keys:
    return Keys(*(Key(*made) for made in inside(MAKE_KEYS.format(workspace_id=platform.workspace_id))))


@pytest.fixture(scope="session")
def neighbour(platform: Platform, keys: Keys) -> Iterator[Caller]:
    """The holder of another workspace's key."""
    with Caller(platform.url, keys.foreign.raw) as caller:
        yield caller


# What other tests have done is not to count.
SET_LIMIT = """
from django.conf import settings
from redis import Redis
from workspaces.limits.models import Limit
Limit.objects.create(**{fields!r})
redis = Redis.from_url(settings.REDIS_URL)
for kind in ("rate", "runs", "spent"):
    for name in redis.scan_iter(kind + ":*"):
        redis.delete(name)
"""
DROP_LIMITS = """
from workspaces.limits.models import Limit
for limit in Limit.objects.all():
    limit.delete()
"""


@pytest.fixture
def limited(platform: Platform, inside: Inside) -> Iterator[Limited]:
    """Sets a limit in the platform's workspace, until the test ends."""

    def limit(kind: str, **fields: Any) -> None:
        inside(SET_LIMIT.format(fields={"workspace_id": platform.workspace_id, "kind": kind, **fields}))

    yield limit
    inside(DROP_LIMITS)
