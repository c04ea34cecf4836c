"""What passes through the pipe between a sandbox and the process that serves it: a kind, a length, JSON."""

from __future__ import annotations

import struct

HEADER = struct.Struct(">cI")

# To the sandbox: a call, and an answer to something that it asked for.
CALL = b"C"
ANSWER = b"A"
# From the sandbox: it is ready, it asks for something, the call has ended.
READY = b"R"
ASK = b"H"
DONE = b"D"


def frame(kind: bytes, body: bytes = b"") -> bytes:
    """A message as it is written to the pipe."""
    return HEADER.pack(kind, len(body)) + body
