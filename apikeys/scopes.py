"""What limits a key: whether it makes sense, and whether whoever gives it may give as much."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from django.utils import timezone

from apikeys.conditions import read_origin
from apikeys.models import ApiKey
from apikeys.records import KeyRecord
from forjinn.core.errors import AppError, BadRequest, Forbidden
from workspaces.access import Access
from workspaces.permissions import FLOW_BOUND, MAKES_FLOWS, PERMISSIONS

MOST_FLOWS, MOST_ENVIRONMENTS, MOST_ORIGINS = 1000, 20, 100
ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
ASKING = frozenset({"chatflows:execute", "agentflows:execute"})  # what publishable keys are for
NOT_MORE = "nobody gives a key more than they have"
OF_FLOWS = frozenset(key for key in PERMISSIONS if key.partition(":")[0] in FLOW_BOUND) - MAKES_FLOWS


class ScopesUnfit(AppError):
    """Each limit makes sense, but not for this kind of key, or not together, or not now."""

    status = 422
    code = "scopes_unfit"


class Scopes(TypedDict, total=False):
    """What limits a key; None, or left out: nothing does. Lists are never empty."""

    permissions: Sequence[str] | None
    flows: Sequence[UUID] | None
    environments: Sequence[str] | None
    origins: Sequence[str] | None
    expires_at: datetime | None


ALL = frozenset(Scopes.__annotations__)


def scopes_of(key: ApiKey) -> Scopes:
    return {
        "permissions": key.permissions,
        "flows": key.flows,
        "environments": key.environments,
        "origins": key.origins,
        "expires_at": key.expires_at,
    }


def checked_scopes(kind: str, scopes: Scopes) -> Scopes:
    """The scopes as they are kept: each name once, origins as they are compared.

    Raises BadRequest, ScopesUnfit, naming the field.
    """
    permissions, flows = scopes.get("permissions"), scopes.get("flows")
    environments, origins = scopes.get("environments"), scopes.get("origins")
    _check_permissions(permissions, has_flows=flows is not None)
    _check_size("flows", flows, most=MOST_FLOWS)
    _check_size("environments", environments, most=MOST_ENVIRONMENTS)
    _check_size("origins", origins, most=MOST_ORIGINS)
    if bad := next((name for name in environments or () if not ENVIRONMENT.fullmatch(name)), None):
        raise BadRequest(f"environments: '{bad[:60]}' is none: up to 60 letters, digits, dots, hyphens")
    kept: Scopes = {
        "permissions": None if permissions is None else sorted(set(permissions)),
        "flows": None if flows is None else sorted(set(flows)),
        "environments": None if environments is None else sorted(set(environments)),
        "origins": None if origins is None else sorted({_origin(text) for text in origins}),
        "expires_at": scopes.get("expires_at"),
    }
    if kind == ApiKey.Kind.PUBLISHABLE:
        _check_publishable(kept)
    return kept


def check_lasting(scopes: Scopes) -> None:
    """Raises ScopesUnfit for a key that would be no good from the start."""
    expires_at = scopes.get("expires_at")
    if expires_at is not None and expires_at <= timezone.now():
        raise ScopesUnfit("expiresAt: must be in the future; a key that should end now is deleted")


def check_within(access: Access, scopes: Scopes, changed: Collection[str] = ALL) -> None:
    """Raises Forbidden unless whoever gives a key these scopes has as much themselves, of what they change."""
    if {"permissions", "flows"}.intersection(changed):
        whole, asked = permissions_within(scopes), scopes.get("permissions")
        lacking = sorted(key for key in (whole if asked is None else asked) if not access.may(key))
        if lacking:
            raise Forbidden(f"permissions: {NOT_MORE}, and {access.name} lacks {_few(lacking)}")
    if isinstance(access, KeyRecord):
        _check_conditions(access, scopes, changed)


def within(access: Access, scopes: Scopes, names: Collection[str] = ALL) -> Scopes:
    """The scopes, and where these names have no limit, the one that whoever gives the key has themselves."""
    filled, whole = Scopes(**scopes), permissions_within(scopes)
    if scopes.get("permissions") is None and not all(map(access.may, whole)):
        filled["permissions"] = sorted(key for key in whole if access.may(key))
    if isinstance(access, KeyRecord):
        own = access.conditions
        filled["environments"] = filled.get("environments") or _listed(own.environments)
        filled["origins"] = filled.get("origins") or _listed(own.origins)
        filled["expires_at"] = filled.get("expires_at") or own.expires_at
    return {**scopes, **{name: value for name, value in filled.items() if name in names}}  # type: ignore[typeddict-item]  # its own names


def permissions_within(scopes: Scopes) -> frozenset[str]:
    """All that a key of these scopes can be given: where it is limited to some flows, what belongs to flows."""
    return PERMISSIONS if scopes.get("flows") is None else OF_FLOWS


def _listed(names: Collection[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _check_conditions(key: KeyRecord, scopes: Scopes, changed: Collection[str]) -> None:
    own, expires_at = key.conditions, scopes.get("expires_at")
    limits: list[tuple[str, frozenset[str] | None, Sequence[str] | None]] = [
        ("environments", own.environments, scopes.get("environments")),
        ("origins", own.origins, scopes.get("origins")),
    ]
    for name, mine, theirs in limits:
        is_more = mine is not None and (theirs is None or not mine.issuperset(theirs))
        if mine is not None and is_more and name in changed:
            raise Forbidden(f"{name}: {NOT_MORE}, and {key.name} has {_few(sorted(mine))}")
    if "expires_at" in changed and own.expires_at is not None and (expires_at is None or expires_at > own.expires_at):
        raise Forbidden(f"expiresAt: {key.name} ends before, and gives no key that lasts longer")


def _check_permissions(permissions: Sequence[str] | None, *, has_flows: bool) -> None:
    _check_size("permissions", permissions, most=len(PERMISSIONS))
    unknown = sorted(set(permissions or ()) - PERMISSIONS)
    if unknown:
        raise BadRequest(f"permissions: there is no {_few([name[:60] for name in unknown])}")
    beyond = sorted(set(permissions or ()) - OF_FLOWS)
    if has_flows and beyond:
        raise ScopesUnfit(f"permissions: a key that is limited to some flows cannot have {_few(beyond)}")


def _check_publishable(scopes: Scopes) -> None:
    flows, permissions = scopes.get("flows"), scopes.get("permissions")
    if not scopes.get("origins"):
        raise ScopesUnfit("origins: a publishable key lists the origins of its pages, such as https://www.example.com")
    if flows is None or len(flows) != 1:
        raise ScopesUnfit("flows: a publishable key is for exactly one flow")
    if not permissions or not ASKING.issuperset(permissions):
        raise ScopesUnfit(f"permissions: a publishable key has {' or '.join(sorted(ASKING))} and nothing else")


def _check_size(name: str, values: Collection[object] | None, *, most: int) -> None:
    if values is not None and not 1 <= len(values) <= most:
        raise BadRequest(f"{name}: expected 1 to {most}, got {len(values)}; null for no limit")


def _origin(text: str) -> str:
    origin = read_origin(text)
    if origin is None:
        raise BadRequest(
            f"origins: '{text[:80]}' is none: a scheme, a host, perhaps a port, as https://www.example.com"
        )
    return origin


def _few(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
