"""Entries of the audit trail: written by triggers of the tables (`forjinn.core.auditing`), and never changed."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Now

from forjinn.core.ids import uuid7
from forjinn.core.models import ScopedQuerySet
from workspaces.models import Workspace


class AuditEntry(models.Model):
    """One change of one row, or something that a person did: who, what, from where, before and after.

    `before` and `after` hold the columns that changed; None: the row was not there. Secrets and long values are
    `{"sha256": <its first 12 digits>, "bytes": <length>}`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)  # in the order of time
    # No constraint: what was done stays told when the workspace is gone. None: it concerns no workspace.
    workspace = models.ForeignKey(
        Workspace, on_delete=models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    at = models.DateTimeField(db_default=Now())
    actor_kind = models.CharField(
        max_length=20
    )  # key, member, operator, command, visitor or system: nobody who was named
    actor_id = models.CharField(max_length=64, default="")
    actor_name = models.CharField(max_length=255, default="")
    address = models.CharField(max_length=64, default="")
    request_id = models.CharField(max_length=64, default="")
    resource = models.CharField(max_length=40)
    action = models.CharField(max_length=40)  # created, updated, deleted; of events what happened
    row_id = models.CharField(max_length=64, default="")
    row_name = models.CharField(max_length=255, default="")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    objects: ClassVar[ScopedQuerySet[Self]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["workspace", "-id"], name="audit_by_workspace"),
            models.Index(fields=["workspace", "row_id", "-id"], name="audit_by_row"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name or self.actor_kind} {self.action} {self.resource} {self.row_name or self.row_id}"
