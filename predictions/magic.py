"""What a file is by its first bytes, whatever it is called: names and types are the sender's words."""

from __future__ import annotations

import base64
import binascii

LOOKED_AT = 16  # bytes
# What a browser would run or draw as a page of ours, if it were ever given back.
ACTIVE = frozenset(
    {
        "application/javascript",
        "application/xhtml+xml",
        "application/xml",
        "image/svg+xml",
        "text/html",
        "text/javascript",
        "text/xml",
    }
)


def image_type(first: bytes) -> str | None:
    """The MIME type of an image by its first bytes; None for what is none that models are shown."""
    if first.startswith(b"\x89PNG"):
        return "image/png"
    if first.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if first.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        return "image/webp"
    if first[4:8] == b"ftyp":
        return {b"avif": "image/avif", b"heic": "image/heic", b"heix": "image/heic"}.get(first[8:12])
    return "image/bmp" if first.startswith(b"BM") else None


def first_bytes(data_uri: str) -> bytes:
    """The beginning of what a data URI carries; nothing of one that is not in base64."""
    head, _, body = data_uri.partition(",")
    if not head.endswith(";base64"):
        return b""
    try:
        return base64.b64decode(body[: LOOKED_AT * 4 // 3 // 4 * 4 + 4])
    except binascii.Error:
        return b""
