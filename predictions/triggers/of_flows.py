"""The triggers that flows bring along: one for each deployed flow that begins with a webhook or a schedule."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from chatflows.flowdata import FlowDataInvalid
from chatflows.models import Chatflow
from predictions.triggers.cron import CronInvalid
from predictions.triggers.models import Trigger
from predictions.triggers.services import schedule_next
from predictions.triggers.starts import SCHEDULE, WEBHOOK, Start, schedule_of, start_of

logger = logging.getLogger(__name__)

TELLING = {"version", "deployed"}  # what the triggers follow
KINDS = {WEBHOOK: Trigger.Kind.WEBHOOK, SCHEDULE: Trigger.Kind.CRON}


@receiver(post_save, sender=Chatflow)
@transaction.atomic(savepoint=False)
def keep_own_trigger(
    instance: Chatflow, created: bool = False, update_fields: Collection[str] | None = None, **_: object
) -> None:
    """Make the flow's own trigger say what its start node says. What was set beside that stays: secret, limits."""
    if instance.version is None or (update_fields is not None and TELLING.isdisjoint(update_fields)):
        return
    text = instance.version.flow_data
    start = _start(text) if WEBHOOK in text or SCHEDULE in text else None
    if start is None or start.kind not in KINDS:
        if created:
            return
        Trigger.objects.filter(chatflow=instance, is_of_flow=True).delete()
        return
    own = Trigger.objects.select_for_update().filter(chatflow=instance, is_of_flow=True).first()
    own = own or Trigger(chatflow=instance, is_of_flow=True, workspace_id=instance.workspace_id)
    before = _said(own)
    own.kind, own.node_id, own.name = KINDS[start.kind], start.node_id, start.label[:255]
    own.cron_expression, own.timezone, own.ends_at = _schedule(start) if start.kind == SCHEDULE else ("", "UTC", None)
    if not instance.deployed:
        own.next_execution = None
    elif own.next_execution is None or _said(own) != before:  # else what is due by now would be forgotten
        schedule_next(own)
    own.save()


def _start(text: str) -> Start | None:
    try:
        return start_of(text)
    except FlowDataInvalid:
        return None


def _said(trigger: Trigger) -> tuple[object, ...]:
    return (trigger.kind, trigger.cron_expression, trigger.timezone, trigger.ends_at)


def _schedule(start: Start) -> tuple[str, str, datetime | None]:
    """One that cannot be read is never due; the flow's check says why."""
    try:
        schedule = schedule_of(start)
    except CronInvalid as exc:
        logger.info("schedule not understood", extra={"error": str(exc)})
        return "", "UTC", None
    return schedule.expression, schedule.zone, schedule.ends_at
