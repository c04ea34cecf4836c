"""Handing runs to workers: the Celery message of `predictions.execute`, written lean.

Celery's own `apply_async` takes over 2 ms of the caller's time; on a Redis broker the same message is one LPUSH. Any
other broker gets it through Celery (docs/adr/0002-predictions-are-celery-tasks.md).
"""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import orjson
from asgiref.sync import sync_to_async
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.asyncio import Redis
from redis.exceptions import RedisError

QUEUE = "predictions"
TASK = "predictions.execute"

_ORIGIN = f"{os.getpid()}@{socket.gethostname()}"
_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


class BrokerAway(Exception):
    """The broker did not take the messages."""


def celery_message(execution_id: UUID) -> bytes:
    """The message that Celery (protocol 2, JSON) would put on a Redis queue for this run."""
    task_id = str(execution_id)
    headers: dict[str, Any] = {
        "lang": "py", "task": TASK, "id": task_id, "root_id": task_id, "parent_id": None, "group": None,
        "shadow": None, "eta": None, "expires": None, "group_index": None, "retries": 0, "timelimit": [None, None],
        "argsrepr": "", "kwargsrepr": "", "origin": _ORIGIN, "ignore_result": True, "replaced_task_nesting": 0,
        "stamped_headers": None, "stamps": {},
    }  # fmt: skip
    properties = {
        "correlation_id": task_id, "reply_to": "", "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
        "delivery_info": {"exchange": "", "routing_key": QUEUE}, "delivery_tag": str(uuid4()),
    }  # fmt: skip
    return orjson.dumps(
        {
            "body": base64.b64encode(orjson.dumps([[task_id], {}, _EMBED])).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": properties,
        }
    )


async def dispatch(redis: Redis, execution_ids: Sequence[UUID]) -> None:
    """Wake workers for these runs. Raises BrokerAway; then none or all of them were sent."""
    try:
        if settings.PREDICTIONS_ON_REDIS:
            await redis.execute_command("LPUSH", QUEUE, *map(celery_message, execution_ids))
        else:
            await sync_to_async(publish)(execution_ids)
    except (RedisError, OperationalError, OSError) as exc:
        raise BrokerAway(str(exc)) from exc


async def next_message(redis: Redis) -> bytes | None:
    """The message that a worker takes next; None if none waits, or if this broker cannot be asked."""
    if not settings.PREDICTIONS_ON_REDIS:
        return None
    message: bytes | None = await redis.execute_command("LINDEX", QUEUE, -1)
    return message


def publish(execution_ids: Sequence[UUID]) -> None:
    """The same through Celery, on whatever broker. Raises kombu's OperationalError."""
    from predictions.tasks import execute

    for execution_id in execution_ids:
        execute.apply_async([str(execution_id)], queue=QUEUE, task_id=str(execution_id))
