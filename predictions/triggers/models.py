"""What starts runs of flows by itself, and which runs it has started."""

from __future__ import annotations

import hmac
from typing import ClassVar, Self

import orjson
from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from chatflows.models import Chatflow
from forjinn.core.crypto import SealedTextField, seal, unseal
from forjinn.core.ids import uuid7
from forjinn.core.models import ScopedQuerySet, WorkspaceScoped
from predictions.models import Execution

DEFAULT_TIMEOUT_S = 300


def hash_token(raw: str) -> str:
    """HMAC-SHA256 under the pepper. Tokens are 240 random bits, so a slow hash would protect nothing further."""
    return hmac.digest(settings.API_KEY_PEPPER.encode(), f"trigger:{raw}".encode(), "sha256").hex()


class Trigger(WorkspaceScoped):
    """A webhook or a schedule of one flow.

    `is_of_flow`: it stands for the flow's own start node, and follows it. Of the token in a webhook's address only a
    keyed hash is kept; what verifies its calls is sealed.
    """

    class Kind(models.TextChoices):
        CRON = "cron"
        WEBHOOK = "webhook"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    chatflow = models.ForeignKey(Chatflow, on_delete=models.CASCADE, related_name="triggers")
    is_of_flow = models.BooleanField(default=False, editable=False)
    node_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    kind = models.CharField(max_length=10, choices=Kind)
    enabled = models.BooleanField(default=True)
    cron_expression = models.CharField(max_length=255, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    ends_at = models.DateTimeField(null=True, blank=True)
    digest = models.CharField(max_length=64, null=True, unique=True, editable=False)
    sealed = SealedTextField(blank=True, editable=False)  # JSON: webhookSecret, webhookBotToken
    platform = models.CharField(max_length=50, blank=True)
    input_mapping = models.JSONField(default=dict, blank=True)  # input of the flow: dotted name of the body's field
    message = models.TextField(blank=True)
    timeout_s = models.PositiveIntegerField(default=DEFAULT_TIMEOUT_S)
    max_executions = models.PositiveIntegerField(null=True, blank=True)
    execution_count = models.PositiveIntegerField(default=0, editable=False)
    last_executed = models.DateTimeField(null=True, editable=False)
    next_execution = models.DateTimeField(null=True, editable=False)
    notification_email = models.EmailField(max_length=254, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[ScopedQuerySet[Self]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "-id"], name="trigger_by_workspace"),
            models.Index(fields=["next_execution"], name="trigger_due", condition=models.Q(enabled=True)),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["chatflow"], name="trigger_of_flow_once", condition=models.Q(is_of_flow=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"

    @property
    def is_spent(self) -> bool:
        """Whether it has started as many runs as it may."""
        return self.max_executions is not None and self.execution_count >= self.max_executions

    def close(self, secrets: dict[str, str]) -> None:
        """Seal what verifies its calls; the row still has to be saved."""
        kept = {name: value for name, value in secrets.items() if value}
        self.sealed = seal(orjson.dumps(kept).decode()) if kept else ""

    def open(self) -> dict[str, str]:
        """See `open_secrets`."""
        return open_secrets(self.sealed)


def open_secrets(sealed: str) -> dict[str, str]:
    """What verifies a trigger's calls: `secret`, `bot_token`. Raises SealBroken if the key of that seal is gone."""
    secrets: dict[str, str] = orjson.loads(unseal(sealed)) if sealed else {}
    return secrets


class Firing(models.Model):
    """A run that a trigger has started. `scheduled_at` is the tick of a schedule: one run for each, whoever fires."""

    id = models.BigAutoField(primary_key=True)
    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="firings", db_index=False)
    execution = models.OneToOneField(Execution, on_delete=models.CASCADE, related_name="firing")
    scheduled_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["trigger", "-id"], name="firing_by_trigger")]
        constraints = [models.UniqueConstraint(fields=["trigger", "scheduled_at"], name="firing_once_a_tick")]

    def __str__(self) -> str:
        return f"{self.trigger_id} started {self.execution_id}"


class Callback(models.Model):
    """An answer that somebody is to be told once the run has ended; the row goes when they were."""

    id = models.BigAutoField(primary_key=True)
    execution = models.OneToOneField(Execution, on_delete=models.CASCADE, related_name="callback")
    tries = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="callback_due")]

    def __str__(self) -> str:
        return f"callback of {self.execution_id}"
