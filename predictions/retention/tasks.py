"""Celery's door to the retention of conversations."""

from __future__ import annotations

import logging

from forjinn.celery import FORGET_CONVERSATIONS, app
from predictions.retention.services import forget_conversations

logger = logging.getLogger(__name__)


@app.task(name=FORGET_CONVERSATIONS)  # type: ignore[untyped-decorator]  # celery has no types
def forget_old_conversations() -> None:
    """Delete what is over. Safe to be told twice."""
    if count := forget_conversations():
        logger.info("runs and messages deleted: their retention is over", extra={"count": count})
