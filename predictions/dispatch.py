"""Handing runs to workers.

On a Redis broker each goes to its workspace's lane, so that nobody waits behind all that somebody else has queued
(docs/adr/0015-lanes.md). Any other broker gets a message of Celery's and hands them out first in, first out
(docs/adr/0002-predictions-are-celery-tasks.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from predictions import lanes
from predictions.lanes import QUEUE, QueuedRun

TASK = "predictions.execute"


class BrokerAway(Exception):
    """The broker did not take the messages."""


async def dispatch(redis: Redis, runs: Sequence[QueuedRun]) -> None:
    """Wake workers for these runs. Raises BrokerAway; then none or all of them were sent."""
    try:
        if settings.PREDICTIONS_ON_REDIS:
            await lanes.put(redis, runs)
        else:
            await sync_to_async(publish)([run.id for run in runs])
    except (RedisError, OperationalError, OSError) as exc:
        raise BrokerAway(str(exc)) from exc


def publish(execution_ids: Sequence[UUID]) -> None:
    """The same through Celery, on whatever broker. Raises kombu's OperationalError."""
    from predictions.tasks import execute

    for execution_id in execution_ids:
        execute.apply_async([str(execution_id)], queue=QUEUE, task_id=str(execution_id))
