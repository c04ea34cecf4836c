"""Celery's door to triggers: what beat has done every few seconds, by whichever worker is free."""

from __future__ import annotations

import threading

from asgiref.sync import async_to_sync

from forjinn.celery import CALL_BACK, FIRE_SCHEDULES, app
from predictions.triggers.callbacks import call_back_due
from predictions.triggers.schedules import fire_due

_telling = threading.Lock()


@app.task(name=FIRE_SCHEDULES)  # type: ignore[untyped-decorator]  # celery has no types
def fire_schedules() -> None:
    """Start the runs that are due. Safe to be told twice."""
    fire_due()


@app.task(name=CALL_BACK)  # type: ignore[untyped-decorator]  # celery has no types
def call_back() -> None:
    """Tell the answers that somebody waits for. Safe to be told twice."""
    # One at a time: receivers that are slow to answer must not hold every thread of the worker.
    if _telling.acquire(blocking=False):
        try:
            async_to_sync(call_back_due)()
        finally:
            _telling.release()
