"""The cast of predictions, a node's world and a sandbox, for tests of controls."""

from tests.engine.conftest import http, javascript, nodes  # noqa: F401
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
