"""Celery's door to the retention of conversations."""

from __future__ import annotations

import logging

from forjinn.celery import EMPTY_RUNS, FORGET_CONVERSATIONS, app
from predictions.retention.services import empty_runs, forget_conversations

logger = logging.getLogger(__name__)


@app.task(name=FORGET_CONVERSATIONS)  # type: ignore[untyped-decorator]  # celery has no types
def forget_old_conversations() -> None:
    """Delete what is over. Safe to be told twice."""
    if count := forget_conversations():
        logger.info("runs and messages deleted: their retention is over", extra={"count": count})


@app.task(name=EMPTY_RUNS)  # type: ignore[untyped-decorator]  # celery has no types
def empty_ended_runs() -> None:
    """Delete what is not to be stored. Safe to be told twice."""
    if count := empty_runs():
        logger.info("runs emptied: nothing of them is stored", extra={"count": count})
