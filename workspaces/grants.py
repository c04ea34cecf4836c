"""What a person may do in a workspace: the grants of their roles there."""

from __future__ import annotations

from uuid import UUID

from workspaces.access import Grant
from workspaces.models import CustomRole, Membership
from workspaces.permissions import BUILT_IN, PERMISSIONS


def grants_of(user_id: UUID, workspace_id: UUID) -> tuple[Grant, ...]:
    """One a role; () for somebody who is suspended, or no member."""
    rows = Membership.objects.filter(user_id=user_id, workspace_id=workspace_id)
    membership = rows.filter(user__is_active=True, suspended_at=None).first()
    return grants_of_membership(membership) if membership else ()


def grants_of_membership(membership: Membership) -> tuple[Grant, ...]:
    """The built-in role's, and each custom role's."""
    own = [Grant(f"the role {membership.get_role_display()}", BUILT_IN[membership.role])] if membership.role else []
    if not membership.role_ids:
        return tuple(own)
    roles = CustomRole.objects.of(membership.workspace_id).filter(pk__in=membership.role_ids)
    others = [Grant(f"the role {role.name}", PERMISSIONS.intersection(role.permissions)) for role in roles]
    return (*own, *others)
