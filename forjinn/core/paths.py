"""Which addresses are whose."""

from __future__ import annotations

ADMINISTRATION = "/admin/"
ACCOUNTS_API = "/_allauth/"
ACCOUNTS = (ACCOUNTS_API, "/accounts/")
PROBES = frozenset({"/health", "/ready"})


def is_api(path: str) -> bool:
    """Whether programs ask here; everything else is a page for people, or a probe."""
    return path.startswith(("/api/", "/workflows/")) and not path.startswith("/api/docs")


def is_page(path: str) -> bool:
    return path not in PROBES and not is_api(path)


def speaks_json(path: str) -> bool:
    """Whether refusals are told as JSON here: to programs, and by the accounts' own API, which is served as a page."""
    return is_api(path) or path.startswith(ACCOUNTS_API)
