"""Platforms and stages for journeys."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest

from predictions.reaper import COME_BACK_S
from tests.journeys.stage import Stage, set_stage, wait_for
from tests.model_server import ScriptedModel
from tests.platform import Platform, running_platform

STEADY = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE application_name = 'forjinn web' AND now() - backend_start > make_interval(secs => %s)
"""


@pytest.fixture(scope="module")
def broken_platform() -> Iterator[Platform]:
    """A module's own, whose parts may be killed. After each test everything is up again."""
    with running_platform() as platform:
        yield platform


@pytest.fixture
def doomed(broken_platform: Platform) -> Platform:
    """Ready, and for so long that a missing worker is taken for dead, not for late."""
    broken_platform.wait_ready()
    url = json.loads((broken_platform.var / "services.json").read_text())["postgres"]["url"]
    with psycopg.connect(url, autocommit=True) as connection:
        wait_for(lambda: bool(connection.execute(STEADY, [COME_BACK_S]).fetchone() == (True,)), "steady connections")
    return broken_platform


@pytest.fixture
def stage(doomed: Platform) -> Iterator[Stage]:
    with ScriptedModel() as model:
        yield set_stage(doomed, model)
