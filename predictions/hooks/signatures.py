"""Signatures as the Standard Webhooks specification has them, so that receivers verify them with its libraries."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
KEY_BYTES = 32


def new_secret() -> str:
    """A fresh `whsec_…`: 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def signed_headers(*, delivery_id: str, timestamp: int, body: bytes, secret: str | None) -> dict[str, str]:
    """The headers that identify a message and, with a secret, sign it. `timestamp`: of this try, in Unix seconds.

    The signature is HMAC-SHA256 over `id.timestamp.body`, in base64 behind its version.
    """
    headers = {"webhook-id": delivery_id, "webhook-timestamp": str(timestamp)}
    if secret is not None:
        signed = b"%b.%d.%b" % (delivery_id.encode(), timestamp, body)
        digest = hmac.digest(_key(secret), signed, hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def _key(secret: str) -> bytes:
    """A caller's own secret may be any text; its bytes are the key then."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
