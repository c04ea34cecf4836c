"""Limits that a workspace or its operator has set, and what was used of its monthly budgets."""

from __future__ import annotations

from typing import ClassVar, Self

from django.core.validators import MinValueValidator
from django.db import models

from forjinn.core.ids import uuid7
from forjinn.core.models import ScopedQuerySet, WorkspaceScoped

AT_LEAST_ONE = [MinValueValidator(1)]


class Limit(WorkspaceScoped):
    """What one thing in a workspace may use; what is null is as the server's settings say, or has no limit.

    Keys and flows without a row of their own are held by the row of their kind that names no target, each by itself.
    """

    class Kind(models.TextChoices):
        WORKSPACE = "workspace"
        KEY = "key"
        FLOW = "flow"
        ADDRESS = "address"  # of a caller without a key

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    target_id = models.UUIDField(null=True, blank=True, help_text="The key or the flow; empty: each of them.")
    calls_a_minute = models.PositiveIntegerField(null=True, blank=True, validators=AT_LEAST_ONE)
    runs_at_once = models.PositiveIntegerField(null=True, blank=True, validators=AT_LEAST_ONE)
    tokens_a_month = models.PositiveBigIntegerField(null=True, blank=True)
    usd_a_month = models.DecimalField(
        max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )

    objects: ClassVar[ScopedQuerySet[Self]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "kind", "target_id"], name="limit_once", nulls_distinct=False),
            models.CheckConstraint(
                condition=models.Q(target_id=None) | models.Q(kind__in=["key", "flow"]), name="limit_has_its_target"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target_id or ''}".strip()


class Spending(WorkspaceScoped):
    """What models have cost in a month (its first day, UTC): the workspace's own, and of that each flow's and key's.

    It stays when the flow or the key goes. The sum is over `slot`s: workers that write at the same time take different
    ones, so that none waits for another.
    """

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=10, choices=Limit.Kind)
    target_id = models.UUIDField()  # of kind "workspace": the workspace
    month = models.DateField()
    slot = models.SmallIntegerField()
    tokens = models.BigIntegerField(default=0)
    nano_usd = models.BigIntegerField(default=0)  # 1e-9 of a dollar: a call of a small model costs some hundred

    objects: ClassVar[ScopedQuerySet[Self]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "month", "kind", "target_id", "slot"], name="spending_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target_id} {self.month}"
