"""Platforms and stages for journeys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from predictions.reaper import COME_BACK_S
from tests.journeys.stage import Stage, set_stage, wait_steady
from tests.model_server import ScriptedModel
from tests.platform import Platform, running_platform


@pytest.fixture(scope="module")
def doomed() -> Iterator[Platform]:
    """A module's own platform, whose parts may be killed: they come back before the next test."""
    with running_platform() as platform:
        yield platform


@pytest.fixture
def stage(doomed: Platform) -> Iterator[Stage]:
    doomed.wait_ready()
    with ScriptedModel() as model:
        yield set_stage(doomed, model)


@pytest.fixture
def steady(stage: Stage) -> None:
    """The platform has run for so long that a missing worker is taken for dead, not for late."""
    wait_steady(stage.platform, for_s=COME_BACK_S)


@pytest.fixture
def chat(platform: Platform) -> Iterator[Stage]:
    """On the session's platform, for journeys that leave it whole."""
    with ScriptedModel() as model:
        yield set_stage(platform, model)
