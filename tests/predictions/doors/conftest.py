"""The cast of the run protocols: a client of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.platform import Platform
from tests.predictions.calls import Caller
from tests.predictions.conftest import Keys, NewFlow
from tests.predictions.doors.interactly_calls import TurnClient, Workflows
from tests.predictions.doors.stepflow_calls import Stepflow


@pytest.fixture(scope="session")
def stepflow(platform: Platform) -> Iterator[Stepflow]:
    """The holder of the workspace's key, as a Stepflow client."""
    with Stepflow(platform.url, platform.api_key) as client:
        yield client


@pytest.fixture(scope="session")
def keyless(platform: Platform) -> Iterator[Stepflow]:
    with Stepflow(platform.url) as client:
        yield client


@pytest.fixture(scope="session")
def foreigner(platform: Platform, keys: Keys) -> Iterator[Stepflow]:
    """The holder of another workspace's key."""
    with Stepflow(platform.url, keys.foreign.raw) as client:
        yield client


@pytest.fixture(scope="session")
def turns(platform: Platform) -> Iterator[TurnClient]:
    """The holder of the workspace's key, as a client of the turn API."""
    with TurnClient(platform.url, platform.api_key) as client:
        yield client


@pytest.fixture(scope="session")
def neighbours_turns(platform: Platform, keys: Keys) -> Iterator[TurnClient]:
    """The holder of another workspace's key."""
    with TurnClient(platform.url, keys.foreign.raw) as client:
        yield client


@pytest.fixture(scope="session")
def workflows(holder: Caller, new_flow: NewFlow) -> Workflows:
    return Workflows(holder, new_flow)
