"""Which addresses are whose."""

from __future__ import annotations

ADMINISTRATION = "/admin/"
ACCOUNTS = ("/_allauth/", "/accounts/")
PROBES = frozenset({"/health", "/ready"})


def is_api(path: str) -> bool:
    """Whether programs ask here; everything else is a page for people, or a probe."""
    return path.startswith(("/api/", "/workflows/")) and not path.startswith("/api/docs")


def is_page(path: str) -> bool:
    return path not in PROBES and not is_api(path)
