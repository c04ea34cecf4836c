"""The cast of predictions, for tests of controls."""

from tests.predictions.conftest import (  # noqa: F401
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
