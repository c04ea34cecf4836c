"""Celery's door to the audit trail's retention."""

from __future__ import annotations

import logging

from django.conf import settings

from forjinn.celery import FORGET_AUDIT, app
from workspaces.audit.services import forget

logger = logging.getLogger(__name__)


@app.task(name=FORGET_AUDIT)  # type: ignore[untyped-decorator]  # celery has no types
def forget_audit() -> None:
    """Delete entries that are over. Safe to be told twice."""
    if count := forget(older_than_d=settings.AUDIT_RETENTION_D):
        logger.info("audit entries deleted: their retention is over", extra={"count": count})
