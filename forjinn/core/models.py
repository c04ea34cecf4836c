"""The tenancy funnel: every row of a workspace is reached through `get_for`."""

from __future__ import annotations

from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DataError, models

from forjinn.core.errors import NotFound

Row = TypeVar("Row", bound=models.Model, covariant=True)

SHOWN_ID = 64  # characters of an id that an error message repeats


class ScopedQuerySet(models.QuerySet[Row]):
    """Rows that belong to workspaces."""

    def of(self, workspace_id: UUID) -> Self:
        return self.filter(workspace_id=workspace_id)

    def get_for(self, workspace_id: UUID, **lookup: Any) -> Row:
        """The one row that matches, in this workspace.

        Raises the same NotFound whether the row is absent, a neighbour's, or its id is no id at all: a refusal of
        another kind would say that it exists.
        """
        try:
            return self.get(workspace_id=workspace_id, **lookup)
        except (ObjectDoesNotExist, ValidationError, ValueError, DataError):
            shown = ", ".join(str(value)[:SHOWN_ID] for value in lookup.values())
            raise NotFound(f"{str(self.model._meta.verbose_name).capitalize()} {shown} not found") from None


class WorkspaceScoped(models.Model):
    """A row of one workspace, for ever. Models index `workspace` first where they are listed by it."""

    # No accessor on Workspace: it would be a second way in, beside `get_for`. No index of its own either: the lists'
    # composite indexes begin with this column.
    workspace = models.ForeignKey("workspaces.Workspace", on_delete=models.CASCADE, related_name="+", db_index=False)

    objects: ClassVar[Any] = ScopedQuerySet.as_manager()

    class Meta:
        abstract = True
