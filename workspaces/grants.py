"""What a person may do in a workspace: the grants of their roles there."""

from __future__ import annotations

from uuid import UUID

from workspaces.access import Grant
from workspaces.models import Membership
from workspaces.permissions import BUILT_IN


def grants_of(user_id: UUID, workspace_id: UUID) -> tuple[Grant, ...]:
    """One a role; () for somebody who is suspended, or no member."""
    memberships = Membership.objects.filter(user_id=user_id, workspace_id=workspace_id, user__is_active=True)
    return tuple(
        Grant(f"the role {membership.get_role_display()}", BUILT_IN[membership.role]) for membership in memberships
    )
