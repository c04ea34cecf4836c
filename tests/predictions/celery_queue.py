"""The messages that Celery itself writes for a prediction, as other releases and other brokers carry them."""

from __future__ import annotations

from uuid import UUID

import orjson

from predictions.tasks import execute


def celery_message(execution_id: UUID) -> bytes:
    written: list[bytes] = []
    producer = execute.app.amqp.Producer(execute.app.connection_for_write())
    producer.channel._put = lambda queue, message, **_: written.append(orjson.dumps(message))
    execute.apply_async([str(execution_id)], task_id=str(execution_id), queue="predictions", producer=producer)
    return written[0]
