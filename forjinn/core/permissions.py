"""What a call needs: each view names it for each of its methods, in `needs`, and what names nothing is closed.

A rule is a permission key (`chatflows:view`), one of the words below, or several of these: one of them is enough, and
where they name the kinds of a row, the row decides which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from django.urls import URLPattern, URLResolver
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from forjinn.core.errors import Forbidden

if TYPE_CHECKING:
    from rest_framework.views import APIView  # loads the settings, which name this module

Rule = str | tuple[str, ...]
Needs = Mapping[str, Rule]  # by method
ViewT = TypeVar("ViewT", bound=Callable[..., Any])

MEMBER: Final = "member"  # any good key, or a member of the workspace
SIGNED_IN: Final = "signed in"  # a person, in whichever workspace or in none
PUBLIC: Final = "public"
BY_FLOW: Final = "by flow"  # the flow decides: it is public, or a caller of its workspace may execute it
OWN: Final = "own"  # a secret of this call's own: a deployment's key, a run's token, a signature, an address
WORDS: Final = frozenset({MEMBER, SIGNED_IN, PUBLIC, BY_FLOW, OWN})
DECIDED_BY_VIEWS: Final = frozenset({PUBLIC, BY_FLOW, OWN})

# Packages' own views, which ask for a session and for staff, or are open by their nature.
FOREIGN = ("admin/", "static/", "_allauth/", "accounts/")


class Permitted(Protocol):
    """Somebody whose permissions can be asked for; `workspaces.access.Access` is."""

    def check(self, permission: str) -> None:
        """Raises Forbidden that names the permission."""

    def may(self, permission: str) -> bool: ...


def alternatives(rule: Rule) -> tuple[str, ...]:
    return (rule,) if isinstance(rule, str) else rule


def check_rule(access: Permitted, rule: Rule) -> None:
    """Raises Forbidden unless one of the rule's permissions is theirs. MEMBER asks for none."""
    asked = alternatives(rule)
    if MEMBER in asked or any(access.may(permission) for permission in asked):
        return
    if SIGNED_IN in asked:
        raise Forbidden("Only people who have signed in may do this, not API keys")
    access.check(asked[0])


class AsNeeded(BasePermission):
    """What the view's `needs` say for this method; without an entry there, nobody may."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        needs: Needs = getattr(view, "needs", {})
        method = "GET" if request.method == "HEAD" else str(request.method)
        access: Permitted | None = getattr(request, "access", None)
        rule = needs.get(method)
        if rule is None:
            # A method that the view does not have is refused as such, next, to those who may know the view.
            is_known = access is not None or PUBLIC in needs.values()
            return is_known and (method == "OPTIONS" or not hasattr(view, method.lower()))
        if rule == PUBLIC or (rule == SIGNED_IN and request.user is not None):
            return True
        if access is None and request.user is not None:
            raise Forbidden("You are in no workspace: make one, or accept an invitation")
        if access is not None:
            check_rule(access, rule)
        return access is not None


def needing(**needs: Rule) -> Callable[[ViewT], ViewT]:
    """Name what a view needs that does not ask for it by itself: a page, a probe, a package's own view."""

    def decorate(view: ViewT) -> ViewT:
        view.needs = needs  # type: ignore[attr-defined]  # found again by `Route`
        return view

    return decorate


METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Route:
    """One address that is served, as the URL configuration has it."""

    path: str  # as its pattern: "api/v1/chatflows/<str:chatflow_id>"
    view: Callable[..., Any]

    @property
    def needs(self) -> Needs:
        """By method; {} for a view that names nothing."""
        view = self.view
        found: Needs | None = getattr(view, "needs", None) or getattr(getattr(view, "view_class", None), "needs", None)
        return found or {}

    @property
    def methods(self) -> Sequence[str]:
        """Those that it answers; a plain view answers what its rules name, and GET if it has none."""
        view_class = getattr(self.view, "view_class", None)
        if view_class is None:
            return tuple(self.needs) or ("GET",)
        return [method for method in METHODS if hasattr(view_class, method.lower())]


def routes(patterns: Sequence[URLPattern | URLResolver], prefix: str = "") -> Iterator[Route]:
    """Every route below these patterns but for the packages' own."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if route.startswith(FOREIGN):
            continue
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        elif pattern.callback is not None:
            yield Route(route, pattern.callback)
