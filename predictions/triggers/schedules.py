"""Starting the runs that are due: one for each tick of a schedule, however many processes look.

What is due is locked, moved on and its run recorded in one transaction, so of several that look at once one fires and
the others pass over. A schedule that missed ticks, because everything was down, starts one run when it is back: nobody
wants a burst of yesterday's.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Container
from datetime import datetime
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from kombu.exceptions import OperationalError

from chatflows.records import FlowRecord, find_flow
from predictions.dispatch import publish
from predictions.requests import PredictionRequest
from predictions.services import new_execution_id, new_run
from predictions.store import RECORD, NewRun, rows_of
from predictions.triggers.cron import CronInvalid
from predictions.triggers.models import Firing, Trigger
from predictions.triggers.services import schedule_next

logger = logging.getLogger(__name__)

AT_ONCE = 100


def fire_due() -> list[UUID]:
    """Start a run for every schedule that is due, and wake workers for them; returns the runs."""
    started: list[UUID] = []
    while True:
        looked_at, runs = _fire_some()
        started += runs
        if looked_at < AT_ONCE:
            return started


def _fire_some() -> tuple[int, list[UUID]]:
    with transaction.atomic():
        due = _due()
        known = set(
            Firing.objects.filter(trigger__in=due)
            .filter(scheduled_at__in=[one.next_execution for one in due])
            .values_list("trigger_id", "scheduled_at")
        )
        fired = [one for trigger in due if (one := _fire(trigger, known))]
        runs = [run for run, _ in fired]
        if runs:
            with connection.cursor() as cursor:
                cursor.execute(RECORD, [rows_of(runs)])
            Firing.objects.bulk_create([firing for _, firing in fired])
        Trigger.objects.bulk_update(due, ["execution_count", "last_executed", "next_execution"])
    ids = [run.id for run in runs]
    with contextlib.suppress(OperationalError):  # they run, if later: what nobody took is dispatched again
        publish(ids)
    for run, firing in fired:
        logger.info("schedule fired", extra={"trigger_id": firing.trigger_id, "execution_id": run.id})
    return len(due), ids


def _due() -> list[Trigger]:
    """Locked, and their flows with them: a flow that is being saved holds its trigger next, and is left for later."""
    return list(
        Trigger.objects.select_related("chatflow")
        .select_for_update(skip_locked=True, no_key=True, of=("self", "chatflow"))
        .filter(kind=Trigger.Kind.CRON, enabled=True, next_execution__lte=Now())
        .order_by("next_execution")[:AT_ONCE]
    )


def _fire(trigger: Trigger, known: Container[tuple[UUID, datetime | None]]) -> tuple[NewRun, Firing] | None:
    """Move the trigger on; its run, unless its flow takes none or this tick has had one."""
    tick = trigger.next_execution
    assert tick is not None, "it is due"
    flow = find_flow(trigger.chatflow_id)
    fires = flow is not None and flow.deployed and not trigger.is_spent and (trigger.pk, tick) not in known
    if fires:
        trigger.execution_count += 1
        trigger.last_executed = timezone.now()
    _move_on(trigger)
    if flow is None or not fires:
        logger.warning("schedule passed over", extra={"trigger_id": trigger.pk, "chatflow_id": trigger.chatflow_id})
        return None
    run = new_run(flow, _request(trigger, flow), new_execution_id(), timeout_s=trigger.timeout_s)
    return run, Firing(trigger=trigger, execution_id=run.id, scheduled_at=tick)


def _move_on(trigger: Trigger) -> None:
    try:
        schedule_next(trigger)
    except CronInvalid as exc:  # its time zone may be gone from the system
        logger.error("schedule stopped", extra={"trigger_id": trigger.pk, "error": str(exc)})
        trigger.next_execution = None


def _request(trigger: Trigger, flow: FlowRecord) -> PredictionRequest:
    """Each run is a conversation of its own. What a flow's own schedule begins with, its start node knows."""
    chat_id = str(uuid4())
    return PredictionRequest(
        question=trigger.message,
        chat_id=chat_id,
        session_id=chat_id,
        wants_stream=False,
        is_new_chat=True,
        chat_type="SCHEDULED",
    )
