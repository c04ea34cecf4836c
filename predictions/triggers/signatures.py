"""Whether a webhook's call comes from whom its secret was given to. Every comparison takes constant time."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from forjinn.core.errors import Unauthenticated

WINDOW_S = 300  # how far a call's time may be from ours
TIMES = ("Webhook-Timestamp", "X-Webhook-Timestamp", "X-Slack-Request-Timestamp")  # seconds since 1970
DELIVERIES = ("Webhook-Id", "X-Webhook-Id", "X-GitHub-Delivery", "X-Shopify-Webhook-Id", "Idempotency-Key")
GENERIC = "X-Webhook-Signature"
Kind = Literal["hmac-sha256", "base64", "plain-token"]
# Where platforms put what they sign with. All others are asked for the generic header.
PLATFORMS: Mapping[str, tuple[str, Kind]] = {
    "github": ("X-Hub-Signature-256", "hmac-sha256"),
    "gitlab": ("X-Gitlab-Token", "plain-token"),
    "shopify": ("X-Shopify-Hmac-SHA256", "base64"),
    "slack": ("X-Slack-Signature", "hmac-sha256"),
    "telegram": ("X-Telegram-Bot-Api-Secret-Token", "plain-token"),
}
PREFIXES = ("sha256=", "sha1=", "v0=")
NOT_KEPT = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key"}
    | {header.lower() for header, _ in PLATFORMS.values()}
    | {GENERIC.lower()}
)


def check_signature(
    headers: Mapping[str, str], body: bytes, secrets: Collection[str], header: str = GENERIC, kind: Kind = "hmac-sha256"
) -> None:
    """Raises Unauthenticated unless `header` proves that the sender knows one of the secrets.

    A signature is HMAC-SHA256, in hexadecimal digits, of the raw body, or of the call's time, a full stop and the body,
    which keeps the time from being changed.
    """
    sent = headers.get(header, "")
    if not sent:
        raise Unauthenticated(f"{header} is missing: this webhook takes signed calls only")
    expected = [one for secret in secrets if secret for one in _proofs(secret, headers, body, kind)]
    given = _bare(sent) if kind == "hmac-sha256" else sent
    if not any(hmac.compare_digest(given.encode(), one.encode()) for one in expected):
        raise Unauthenticated(f"{header} does not fit: sign the raw body with this webhook's secret")


def check_time(headers: Mapping[str, str]) -> None:
    """Raises Unauthenticated for a call that says it was made too long ago, or has no time that can be read."""
    for name in TIMES:
        if (sent := headers.get(name)) is None:
            continue
        seconds = int(sent) if sent.isascii() and sent.isdigit() and len(sent) <= 12 else 0
        if abs(time.time() - seconds) > WINDOW_S:
            raise Unauthenticated(f"{name}: expected the time of the call, within {WINDOW_S} s, in seconds since 1970")


def delivery_of(headers: Mapping[str, str]) -> str | None:
    """What the sender calls this delivery, however often it is sent."""
    return next((headers[name] for name in DELIVERIES if name in headers), None)


def _proofs(secret: str, headers: Mapping[str, str], body: bytes, kind: Kind) -> Iterator[str]:
    if kind == "plain-token":
        yield secret
        return
    for signed in (body, *_timed(headers, body)):
        digest = hmac.digest(secret.encode(), signed, "sha256")
        yield base64.b64encode(digest).decode() if kind == "base64" else digest.hex()


def _timed(headers: Mapping[str, str], body: bytes) -> Iterator[bytes]:
    for name in TIMES:
        if sent := headers.get(name):
            yield f"{sent}.".encode() + body
            yield f"v0:{sent}:".encode() + body


def _bare(sent: str) -> str:
    sent = sent.strip().lower()
    return next((sent.removeprefix(prefix) for prefix in PREFIXES if sent.startswith(prefix)), sent)
