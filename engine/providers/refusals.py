"""A vendor's refusal as a ProviderError: classified once, and never echoing a key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from engine.errors import ProviderError

UNAUTHORIZED = "401 Unauthorized – check your API key and ensure it has access to the requested model."  # noqa: RUF001
# Answers that may differ the next time. 409 is what some vendors send for a lock, 425 and 529 for overload.
PASSING = frozenset({408, 409, 425, 429, 529})
LASTING_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})  # sent with 429, but waiting is no help
MAX_MESSAGE = 500

# What vendors repeat of a key: whole, masked in the middle, or after the word Bearer.
KEY_LIKE = re.compile(
    r"\b(?:sk|pk|gsk|xai|r8|fw)[-_][\w*.-]{4,}|\bAIza[\w*.-]{4,}|[\w-]*\*{3,}[\w-]*|(?<=Bearer )\S+", re.IGNORECASE
)
SHORTEST_KEY = 8  # anything shorter may be an ordinary word


def refusal(
    host: str,
    status: int,
    content: Any,
    *,
    headers: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
) -> ProviderError:
    """What to raise for an answer with `status` (0: an error inside a stream) and `content`, its body or text."""
    message, code = _said(content)
    if status == 401:
        return ProviderError(UNAUTHORIZED, retryable=False, status=401)
    shown = scrub(message, secrets)[:MAX_MESSAGE] or "no reason given"
    retryable = (status == 0 or status in PASSING or status >= 500) and code not in LASTING_CODES
    verb = f"answered {status}" if status else "failed"
    return ProviderError(
        f"{host} {verb}: {shown}", retryable=retryable, status=status, retry_after_s=_retry_after(headers or {})
    )


def scrub(message: str, secrets: Sequence[str] = ()) -> str:
    """The message without anything that is, or looks like, a part of a key."""
    for secret in secrets:
        if len(secret) >= SHORTEST_KEY:
            message = message.replace(secret, "[key]")
    return KEY_LIKE.sub("[key]", message)


def _said(content: Any) -> tuple[str, str]:
    """The message and code in any of the shapes that vendors use."""
    if isinstance(content, bytes):
        try:
            content = orjson.loads(content)
        except ValueError:
            return content[: 2 * MAX_MESSAGE].decode("utf-8", "replace").strip(), ""
    if isinstance(content, list) and content:
        content = content[0]
    if not isinstance(content, Mapping):
        return str(content or ""), ""
    error = content.get("error") or content
    if not isinstance(error, Mapping):
        return str(error), ""
    message = error.get("message") or error.get("detail") or error.get("msg") or ""
    return str(message), str(error.get("code") or error.get("type") or "")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; None if the vendor did not say, or said it as a date, which takes a clock to read."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * scale)
        except (KeyError, ValueError):
            continue
    return None
