"""What somebody may give a key: of flows those that they reach, of permissions those that they have."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from apikeys.models import ApiKey
from apikeys.records import KeyRecord
from apikeys.scopes import (
    ALL,
    Scopes,
    ScopesUnfit,
    check_lasting,
    check_within,
    checked_scopes,
    scopes_of,
    within,
)
from chatflows.access import asking
from chatflows.models import Chatflow
from forjinn.core.errors import Forbidden, NotFound
from workspaces.access import Access
from workspaces.grants import grants_of


def given_scopes(access: Access, kind: str, asked: Scopes) -> Scopes:
    """The scopes of a new key of theirs: as asked for, and where nothing is said, as much as they have themselves.

    Raises BadRequest and ScopesUnfit for what makes no sense, Forbidden for more than they have, NotFound for flows
    that are not there.
    """
    return _given(access, kind, asked, ALL)


def changed_scopes(access: Access, key: ApiKey, asked: Scopes) -> Scopes:
    """All scopes of the key with these changes, of which they may give what is new. Raises as `given_scopes`."""
    if key.kind == ApiKey.Kind.DEPLOYMENT and {"permissions", "flows"} & asked.keys():
        raise ScopesUnfit("A deployment's key runs its deployment: permissions and flows do not limit it")
    whole: Scopes = {**scopes_of(key), **asked}
    if "flows" in asked and "permissions" not in asked and key.kind == ApiKey.Kind.PUBLISHABLE:
        whole["permissions"] = None  # as the kind of its new flow has it
    return _given(access, key.kind, whole, asked.keys())


def _given(access: Access, kind: str, asked: Scopes, changed: Collection[str]) -> Scopes:
    flows = find_flows(access, asked.get("flows") if "flows" in changed else None)
    if kind == ApiKey.Kind.PUBLISHABLE and not asked.get("permissions"):
        asked = {**asked, "permissions": asking(flows) or None}
    scopes = checked_scopes(kind, within(access, asked, changed))
    if "expires_at" in changed:
        check_lasting(scopes)
    check_within(access, scopes, changed)
    return scopes


def find_flows(access: Access, flow_ids: Sequence[UUID] | None) -> list[Chatflow]:
    """The flows of these ids. Raises NotFound for one that they cannot reach."""
    flows = list(access.within(Chatflow.objects.of(access.workspace_id), "pk").filter(pk__in=flow_ids or ()))
    found = {flow.pk for flow in flows}
    if absent := next((flow_id for flow_id in flow_ids or () if flow_id not in found), None):
        raise NotFound(f"Chatflow {absent} not found")
    return flows


def owner_of_new(access: Access, asked: Mapping[str, Any]) -> UUID | None:
    """Whose a new key is: whose it is said to be, else who makes it, or for a key, whose that is.

    Raises NotFound for somebody who is no member, and as `check_owner`.
    """
    owner: UUID | None = asked.get("owner_id", _owner_behind(access))
    check_owner(access, owner)
    if owner is not None and not grants_of(owner, access.workspace_id):
        raise NotFound(f"ownerId: nobody of the id {owner} is a member of this workspace")
    return owner


def check_owner(access: Access, owner: UUID | None) -> None:
    """Raises Forbidden unless they may hand out keys of this owner, which outlast what they may themselves.

    Those of others, and of nobody, are for members who manage users, and for keys that have no owner.
    """
    own = _owner_behind(access)
    if own is None or owner == own:
        return
    if isinstance(access, KeyRecord):
        raise Forbidden(f"{access.name} has an owner, and hands out keys of the same owner alone")
    access.check("users:manage")


def _owner_behind(access: Access) -> UUID | None:
    return access.owner_id if isinstance(access, KeyRecord) else access.id
