"""The Celery application: the broker between web and workers."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from kombu.entity import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "forjinn.settings")

FIRE_SCHEDULES, CALL_BACK = "predictions.fire_schedules", "predictions.call_back"
FORGET_AUDIT = "workspaces.forget_audit"
FORGET_CONVERSATIONS, EMPTY_RUNS = "predictions.forget_conversations", "predictions.empty_runs"
LOOK_S = 2.0
EMPTY_S = 15.0
FORGET_S = 600.0

app = Celery("forjinn")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_default_queue="default",
    # Predictions are not acknowledged: what must not be lost is their row in the database.
    task_queues=(Queue("default"), Queue("predictions", no_ack=True)),
    task_ignore_result=True,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    # A prediction's message is only a wake-up: its worker runs many at once on one loop, so nothing is held back here.
    worker_prefetch_multiplier=0,
    broker_connection_retry_on_startup=True,
    broker_pool_limit=10,
    # Each beat that runs asks for these, and workers see to it that what is due happens once. What no worker took in
    # time is dropped: the next one looks for all that is due anyway.
    beat_schedule={
        name: {"task": name, "schedule": pause_s, "options": {"expires": 5 * pause_s}}
        for name, pause_s in (
            (FIRE_SCHEDULES, LOOK_S),
            (CALL_BACK, LOOK_S),
            (FORGET_AUDIT, FORGET_S),
            (FORGET_CONVERSATIONS, FORGET_S),
            (EMPTY_RUNS, EMPTY_S),
        )
    },
)


@setup_logging.connect  # type: ignore[untyped-decorator]  # celery has no types
def keep_logging(**_: Any) -> None:
    """Settings did it. With nobody connected here Celery sets its own option's level, whatever LOG_LEVEL says."""


app.autodiscover_tasks()
# Worker processes host the loop that runs predictions; it starts before they consume.
app.steps["worker"].add("predictions.worker:RunLoopStep")
