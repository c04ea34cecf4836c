"""Who may call what, as a table: the routes of the server and their rules, as docs/security.md shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.urls import get_resolver
from rest_framework.schemas.generators import EndpointEnumerator

from forjinn.core.permissions import BY_FLOW, MEMBER, OWN, PUBLIC, SIGNED_IN, Rule, alternatives, routes
from workspaces.permissions import BUILT_IN

DOCUMENT: Path = settings.BASE_DIR / "docs" / "security.md"
BEGIN, END = "<!-- routes:begin -->", "<!-- routes:end -->"
WORDS = {
    MEMBER: "any caller of a workspace",
    SIGNED_IN: "a person who has signed in",
    PUBLIC: "everybody",
    BY_FLOW: "everybody if the flow is public, else who may execute it",
    OWN: "whoever has the call's own secret",
}
HEAD = ("Route", "Method", "Needs", *map(str.capitalize, BUILT_IN))


def render() -> str:
    """The table in Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD), *_rows()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def put_into(document: str) -> str:
    """The document with the table of now in its place. Raises ValueError if it has no place for it."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no place for the table: put {BEGIN} and {END} where it belongs")
    return f"{before}{begin}\n{render()}\n{end}{after}"


def _rows() -> Iterator[tuple[str, ...]]:
    found = {
        (EndpointEnumerator().get_path_from_regex(route.path), method): rule
        for route in routes(get_resolver().url_patterns)
        for method, rule in route.needs.items()
    }
    for (path, method), rule in sorted(found.items()):
        yield f"`{path}`", method, _told(rule), *(_mark(role, rule) for role in BUILT_IN)


def _told(rule: Rule) -> str:
    return " or ".join(WORDS.get(asked, f"`{asked}`") for asked in alternatives(rule))


def _mark(role: str, rule: Rule) -> str:
    permissions = BUILT_IN[role] | {MEMBER, SIGNED_IN, PUBLIC}
    asked = ("chatflows:execute",) if rule == BY_FLOW else alternatives(rule)
    return "yes" if not permissions.isdisjoint(asked) else ""
