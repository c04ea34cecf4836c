"""For how many days a workspace keeps what its flows were told and said."""

from __future__ import annotations

from typing import ClassVar, Self

from django.core.validators import MinValueValidator
from django.db import models

from chatflows.models import Chatflow
from forjinn.core.ids import uuid7
from forjinn.core.models import ScopedQuerySet, WorkspaceScoped


class Retention(WorkspaceScoped):
    """The workspace's rule is the row without a flow; a flow's own row counts instead of it. No row: for ever."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    chatflow = models.ForeignKey(Chatflow, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    days = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="Empty: for ever."
    )

    objects: ClassVar[ScopedQuerySet[Self]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "chatflow"], name="retention_once", nulls_distinct=False),
            models.CheckConstraint(condition=models.Q(days=None) | models.Q(days__gte=1), name="retention_of_a_day"),
        ]

    def __str__(self) -> str:
        return f"{self.chatflow_id or self.workspace_id}: {self.days or 'for ever'}"
