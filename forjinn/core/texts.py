"""Text of others that PostgreSQL can keep and a terminal can show."""

from __future__ import annotations

import re

from forjinn.core.errors import BadRequest

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # and halves of characters, as odd file names hold them
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def one_line(text: str) -> str:
    """The text with a space for each control character: names are printed, and a terminal obeys what is in them."""
    return CONTROLS.sub(" ", text).strip()


def check_name(name: str, *, most: int) -> None:
    """Raises BadRequest unless it is one line of 1 to `most` characters."""
    if CONTROLS.search(name):
        raise BadRequest("name: expected one line without control characters")
    if not name.strip() or len(name) > most:
        raise BadRequest(f"name: expected 1 to {most} characters, got {len(name.strip())}")


def check_storable(name: str, text: str) -> None:
    """Raises BadRequest, naming it by `name`, for text that holds what PostgreSQL refuses."""
    if UNSTORABLE.search(text):
        raise BadRequest(f"{name}: null characters and lone surrogates cannot be kept")
