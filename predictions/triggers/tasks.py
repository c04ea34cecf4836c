"""Celery's door to triggers: what beat has done every few seconds, by whichever worker is free."""

from __future__ import annotations

from asgiref.sync import async_to_sync

from forjinn.celery import TEND_TRIGGERS, app
from predictions.triggers.callbacks import call_back_due
from predictions.triggers.schedules import fire_due


@app.task(name=TEND_TRIGGERS)  # type: ignore[untyped-decorator]  # celery has no types
def tend_triggers() -> None:
    """Start the runs that are due, and tell the answers that somebody waits for. Safe to be told twice."""
    fire_due()
    async_to_sync(call_back_due)()
