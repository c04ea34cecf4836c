"""The cast of predictions, a node's world and a sandbox, for tests of controls; a world for walks over all routes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.engine.conftest import http, javascript, nodes  # noqa: F401
from tests.platform import Platform
from tests.predictions.conftest import (  # noqa: F401
    agent,
    chat,
    holder,
    inside,
    keys,
    limited,
    model,
    neighbour,
    new_flow,
    visitor,
)
from tests.security.walk import World


@pytest.fixture(scope="session")
def world(platform: Platform) -> Iterator[World]:
    with contextlib.closing(World(platform)) as made:
        yield made
