"""For how many days a workspace keeps what its flows were told and said."""

from __future__ import annotations

from typing import ClassVar, Self

from django.core.validators import MinValueValidator
from django.db import models

from chatflows.models import Chatflow
from forjinn.core.ids import uuid7
from forjinn.core.models import ScopedQuerySet, WorkspaceScoped


class Retention(WorkspaceScoped):
    """The workspace's rule is the row without a flow; a flow's own row counts instead of it. No row: for ever.

    A run goes by the rule that counts when it is recorded: a trigger reads it (migration 0002_no_store).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    chatflow = models.ForeignKey(Chatflow, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    is_stored = models.BooleanField(
        "stored", default=True, help_text="No: what was asked and said is deleted once a run has ended."
    )
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
        kept = f"{self.days} days" if self.days else "for ever"
        return f"{self.chatflow_id or self.workspace_id}: {kept if self.is_stored else 'not stored'}"
