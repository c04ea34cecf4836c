"""Roles of a workspace's own: nobody makes one that may more than they may themselves."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import IntegrityError, transaction

from forjinn.core.errors import Conflict
from forjinn.core.texts import check_name
from workspaces.access import Access
from workspaces.members import check_grantable
from workspaces.models import LONGEST_NAME, CustomRole
from workspaces.permissions import BUILT_IN


def create_role(*, access: Access, name: str, permissions: Sequence[str], description: str = "") -> CustomRole:
    """Raises BadRequest for a name that is none, Forbidden, Conflict for a name that is taken."""
    role = CustomRole(workspace_id=access.workspace_id)
    return _save(role, access, {"name": name, "permissions": permissions, "description": description})


def update_role(*, access: Access, role_id: object, **changes: str | Sequence[str]) -> CustomRole:
    """Change what is given. Raises as `create_role` does, and NotFound."""
    role = CustomRole.objects.get_for(access.workspace_id, pk=role_id)
    check_grantable(access, role.permissions)
    return _save(role, access, changes)


def delete_role(*, access: Access, role_id: object) -> None:
    """Raises NotFound, Forbidden for one that may more than the caller."""
    role = CustomRole.objects.get_for(access.workspace_id, pk=role_id)
    check_grantable(access, role.permissions)
    role.delete()


def _save(role: CustomRole, access: Access, changes: dict[str, str | Sequence[str]]) -> CustomRole:
    for name, value in changes.items():
        setattr(role, name, value)
    check_name(role.name, most=LONGEST_NAME)
    check_grantable(access, role.permissions)
    taken = Conflict(f"There is a role named {role.name} already")
    if role.name.lower() in BUILT_IN:
        raise taken
    try:
        with transaction.atomic():
            role.save()
    except IntegrityError:
        raise taken from None
    return role
