"""Who wants to hear of runs, what is to be sent to them, and how each try went.

Deliveries of runs are made by the database: a trigger of `predictions_execution` (migration 0002_announcements) writes
them in the statement that changes the run's state.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from chatflows.models import Chatflow
from forjinn.core.crypto import SealedTextField
from forjinn.core.ids import uuid7
from forjinn.core.models import WorkspaceScoped
from predictions.models import Execution

EVENTS = ("run.started", "run.completed", "run.failed", "run.cancelled", "run.waiting")
PING = "ping"
MAX_URL = 2048  # characters


class HookSubscription(WorkspaceScoped):
    """A receiver of what happens to runs of the workspace, or of one of its flows."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=150)
    url = models.CharField(max_length=MAX_URL)
    events = models.JSONField()  # a list of EVENTS
    chatflow = models.ForeignKey(Chatflow, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    secret = SealedTextField(editable=False)  # `whsec_…` in clear
    enabled = models.BooleanField(default=True)
    paused_at = models.DateTimeField(null=True, editable=False)  # by us: the receiver is gone
    paused_reason = models.TextField(default="", editable=False)
    failures = models.IntegerField(default=0, editable=False)  # tries in a row
    failing_since = models.DateTimeField(null=True, editable=False)  # the first of them
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = "hook subscription"
        # Also what the trigger looks through for each change of a run's state.
        indexes = [models.Index(fields=["workspace", "-id"], name="hook_subscription_by_workspace")]

    def __str__(self) -> str:
        return self.name


class HookDelivery(WorkspaceScoped):
    """One message to one receiver, and how far it is. Due while `next_try_at` is set: then, or when a lease ends."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)  # time-ordered; receivers know it again
    # Not held by the database: no run may fail because somebody deletes its receiver, nor wait for that.
    execution = models.ForeignKey(
        Execution, on_delete=models.CASCADE, null=True, db_constraint=False, related_name="+"
    )  # none for a ping
    subscription = models.ForeignKey(
        HookSubscription, on_delete=models.CASCADE, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    # Of a hook that came with its run; a subscription has its own, which may change between two tries.
    url = models.TextField(default="")
    secret = SealedTextField(default="")  # or empty: unsigned
    event = models.CharField(max_length=20)
    payload = models.JSONField()
    attempts = models.SmallIntegerField(default=0)  # begun; each fences its result
    attempts_before = models.SmallIntegerField(default=0)  # those before somebody asked to send it again
    next_try_at = models.DateTimeField(null=True, db_default=Now())
    delivered_at = models.DateTimeField(null=True)
    gave_up_at = models.DateTimeField(null=True)
    last_status = models.SmallIntegerField(null=True)  # HTTP's
    last_error = models.TextField(default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "hook delivery"
        verbose_name_plural = "hook deliveries"
        indexes = [
            models.Index(
                fields=["next_try_at"], name="hook_delivery_due", condition=models.Q(next_try_at__isnull=False)
            ),
            models.Index(fields=["subscription", "-id"], name="hook_delivery_by_subscription"),
            models.Index(fields=["workspace", "-id"], name="hook_delivery_by_workspace"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.id}"


class HookAttempt(models.Model):
    """One try to deliver: what the receiver said, or why nobody did."""

    id = models.BigAutoField(primary_key=True)
    # The database deletes it with its delivery (migration 0001_initial): another try may just be written down.
    delivery = models.ForeignKey(HookDelivery, on_delete=models.DO_NOTHING, db_constraint=False, related_name="log")
    number = models.SmallIntegerField()
    began_at = models.DateTimeField()
    duration_ms = models.FloatField()
    status = models.SmallIntegerField(null=True)
    error = models.TextField(default="")
    answer = models.TextField(default="")  # how its body begins

    class Meta:
        verbose_name = "hook attempt"

    def __str__(self) -> str:
        return f"#{self.number} {self.status or self.error}"
