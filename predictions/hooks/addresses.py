"""Where messages may be sent: HTTPS to public hosts, and what this server's administrator allows beside them."""

from __future__ import annotations

from django.conf import settings
from yarl import URL

from engine.egress import Egress
from engine.errors import NodeInputError
from predictions.hooks.models import MAX_URL


def problem_of_url(text: str) -> str:
    """What is wrong with a receiver's URL, empty if nothing is. A name's addresses are judged when it is called."""
    if len(text) > MAX_URL:
        return f"at most {MAX_URL} characters, got {len(text)}"
    try:
        url = URL(text)
        is_url = url.scheme in ("http", "https") and bool(url.host) and url.port is not None and url.port > 0
    except ValueError:
        is_url = False
    if not is_url or "\0" in text:
        return "expected an address like https://example.com/hooks"
    if url.user is not None or url.password is not None:
        return "must not hold a user's name or password: messages are signed instead"
    egress = Egress(settings.EGRESS_ALLOW)
    try:
        egress.check(url)
    except NodeInputError as exc:
        return str(exc)
    if url.scheme == "http" and not egress.allowed.names(url.raw_host or "", url.port or 0):
        return "must begin with https://"
    return ""
