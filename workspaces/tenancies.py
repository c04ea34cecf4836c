"""Workspaces as a whole: made, renamed, archived, and brought back."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from forjinn.core.errors import NotFound
from forjinn.core.scopes import current, system_scope
from forjinn.core.texts import check_name
from workspaces.models import LONGEST_NAME, Membership, User, Workspace
from workspaces.services import create_workspace


def workspaces_of(user: User) -> dict[Workspace, str]:
    """Those that they are in, by name, with their role there; archived ones, too."""
    with system_scope():  # a person's workspaces are several
        rows = Membership.objects.select_related("workspace").filter(user=user, suspended_at=None)
        return {one.workspace: one.role for one in rows.order_by("workspace__name", "workspace_id")}


def found_workspace(*, name: str, founder: User) -> Workspace:
    """A new workspace, whose owner the founder is. Raises BadRequest for a name that is none."""
    with system_scope(current().actor):  # it is none's before it is there
        return create_workspace(name=name, owner=founder)


def find_own(user: User, workspace_id: object) -> Workspace:
    """The workspace of this id that they are in. Raises NotFound."""
    for workspace in workspaces_of(user):
        if str(workspace.pk) == str(workspace_id):
            return workspace
    raise NotFound(f"Workspace {str(workspace_id)[:64]} not found")


@transaction.atomic
def rename(*, workspace_id: UUID, name: str) -> Workspace:
    """Raises BadRequest for a name that is none."""
    check_name(name, most=LONGEST_NAME)
    workspace = Workspace.objects.select_for_update().get(pk=workspace_id)
    workspace.name = name
    workspace.save(update_fields=["name"])
    return workspace


@transaction.atomic
def archive(*, workspace_id: UUID, is_archived: bool) -> Workspace:
    """Let nothing of the workspace be reached any more, by nobody, or let it again; nothing is deleted."""
    workspace = Workspace.objects.select_for_update().get(pk=workspace_id)
    workspace.archived_at = timezone.now() if is_archived else None
    workspace.save(update_fields=["archived_at"])
    return workspace
