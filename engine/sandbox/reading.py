"""What a sandbox says, read outside: JSON from a stranger, in which texts may end in the middle of a character."""

from __future__ import annotations

import re
from typing import Any

import orjson

HALF = re.compile(rb"\\(?:\\|u[dD][89a-fA-F][0-9a-fA-F]{2})")


def read_json(body: bytes) -> Any:
    """The values; half characters, which JavaScript's texts may hold, become "\\ufffd". Raises ValueError."""
    if b"\\ud" in body:
        body = HALF.sub(lambda found: found[0] if found[0] == b"\\\\" else b"\\ufffd", body)
    return orjson.loads(body)
