"""Who is in a workspace, and what they may do there."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from forjinn.core.errors import BadRequest, Conflict, Forbidden, NotFound
from forjinn.core.ids import uuid7
from forjinn.core.scopes import current, system_scope
from workspaces.access import Access
from workspaces.grants import grants_of_membership
from workspaces.models import SERVICE_DOMAIN, CustomRole, Membership, User
from workspaces.permissions import BUILT_IN

OWNER = Membership.Role.OWNER


def access_of_membership(membership: Membership) -> Access:
    """What a person may do in this workspace: the union of their roles."""
    return Access(
        kind="member",
        id=membership.user_id,
        workspace_id=membership.workspace_id,
        name=membership.user.email,
        grants=grants_of_membership(membership),
    )


def find_membership(workspace_id: UUID, user_id: object) -> Membership:
    """Raises NotFound for somebody who is not in the workspace."""
    rows = Membership.objects.select_related("user")
    try:
        return rows.get_for(workspace_id, user_id=user_id)
    except NotFound:
        raise NotFound(f"Nobody in this workspace has the id {str(user_id)[:64]}") from None


@transaction.atomic
def change_member(
    *, access: Access, user_id: object, role: str | None = None, role_ids: Collection[UUID] | None = None
) -> Membership:
    """Give a member another role, or other custom roles beside it. `access` is whoever asks for it.

    Raises NotFound, Forbidden for what the asker may not do themselves, Conflict for the last owner.
    """
    membership = find_membership(access.workspace_id, user_id)
    check_outranks(access, membership)
    if role is not None:
        check_grantable(access, BUILT_IN.get(role, frozenset()))
        if membership.role == OWNER and role != OWNER:
            _check_other_owner(membership)
        membership.role = role
        membership.save(update_fields=["role"])
    if role_ids is not None:
        roles = list(CustomRole.objects.of(access.workspace_id).filter(pk__in=role_ids))
        if len(roles) != len(set(role_ids)):
            raise BadRequest("roles: expected ids of roles of this workspace")
        for one in roles:
            check_grantable(access, one.permissions)
        membership.role_ids = [one.pk for one in roles]
        membership.save(update_fields=["role_ids"])
    return membership


@transaction.atomic
def remove_member(*, access: Access, user_id: object) -> None:
    """Take somebody out of the workspace; oneself always. Raises NotFound, Forbidden, Conflict for the last owner."""
    membership = find_membership(access.workspace_id, user_id)
    check_outranks(access, membership)
    if membership.role == OWNER:
        _check_other_owner(membership)
    membership.delete()


def check_grantable(access: Access, permissions: Collection[str]) -> None:
    """Raises Forbidden if somebody would give away more than they have."""
    if beyond := sorted(permission for permission in permissions if not access.may(permission)):
        raise Forbidden(f"{access.name} cannot give what they may not do themselves: {', '.join(beyond)}")


def check_outranks(access: Access, membership: Membership) -> None:
    """Raises Forbidden for a change of somebody who may do more than oneself."""
    if membership.user_id != access.id:
        check_grantable(access, access_of_membership(membership).permissions)


def _check_other_owner(membership: Membership) -> None:
    # All of them are locked, in one order: two owners who leave at once would each see the other stay.
    owners = Membership.objects.select_for_update(of=("self",)).filter(workspace_id=membership.workspace_id, role=OWNER)
    acting = owners.filter(suspended_at=None, user__is_active=True, user__is_service=False)
    locked = {one.pk for one in owners.order_by("pk")}
    if not (locked & set(acting.values_list("pk", flat=True))) - {membership.pk}:
        raise Conflict("A workspace keeps one owner who can sign in: make somebody else its owner first")


@transaction.atomic
def suspend_member(*, access: Access, user_id: object, is_suspended: bool) -> Membership:
    """Let somebody do nothing in the workspace any more, or let them again. Raises as `remove_member` does."""
    membership = find_membership(access.workspace_id, user_id)
    check_outranks(access, membership)
    if is_suspended and membership.role == OWNER:
        _check_other_owner(membership)
    membership.suspended_at = timezone.now() if is_suspended else None
    membership.save(update_fields=["suspended_at"])
    return membership


def rename_person(*, person: User, name: str) -> None:
    """Call a person by another name, in all of their workspaces."""
    person.name = name
    person.save(update_fields=["name"])


@transaction.atomic
def create_service_account(*, access: Access, name: str, role: str) -> Membership:
    """An account for programs, in this workspace only; nobody can sign in with it. Raises as `change_member` does."""
    check_grantable(access, BUILT_IN.get(role, frozenset()))
    with system_scope(current().actor):  # accounts are of no workspace
        user = User(email=f"{uuid7().hex}@{SERVICE_DOMAIN}", name=name, is_service=True)
        user.set_unusable_password()
        user.save()
    return Membership.objects.create(workspace_id=access.workspace_id, user=user, role=role)
