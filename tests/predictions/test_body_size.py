"""Bodies that are too large."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model_server import ScriptedModel
from tests.predictions.calls import Caller

MEGABYTE = 1024 * 1024
LIMIT = 50  # MB, the default


def body(megabytes: int) -> bytes:
    text = b"x" * (megabytes * MEGABYTE)
    return b'{"question":"' + text + b'"}'


def pieces(content: bytes) -> Iterator[bytes]:
    """Sent so that nobody knows beforehand how much will come."""
    for start in range(0, len(content), MEGABYTE):
        yield content[start : start + MEGABYTE]


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_body_beyond_the_limit_is_refused(
    holder: Caller, chat: str, model: ScriptedModel, is_announced: bool
) -> None:
    content = body(LIMIT)

    response = holder.http.post(
        f"/prediction/{chat}",
        content=content if is_announced else pieces(content),
        headers={"Content-Type": "application/json"},
    )

    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
    assert not model.requests


def test_a_large_body_within_the_limit_is_taken(holder: Caller, chat: str) -> None:
    answer = holder.http.post(
        f"/prediction/{chat}", content=body(2), headers={"Content-Type": "application/json"}
    ).json()

    assert len(answer["text"]) > 2 * MEGABYTE
