"""Celery's door to predictions: `predictions.execute`, run as a coroutine on the worker's one loop.

An ordinary pool would give each waiting model call a thread or a process. A task's `Strategy` decides what becomes of
its messages, so ours hands the id to the loop and returns; the pool and the tracer never see it. On a Redis broker the
loop takes the messages itself (`intake.py`), and this is the way of all other brokers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from celery import Task

from forjinn.celery import app
from predictions.dispatch import TASK


def loop_strategy(task: Task, app: Any, consumer: Any, **_: Any) -> Callable[..., None]:
    """What Celery's consumer calls with each message of the task."""
    from predictions.worker import host_process

    process = host_process()

    def on_message(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **_: Any) -> None:
        args = (message.payload if body is None else body)[0]
        # Nothing is acknowledged: PostgreSQL knows what is queued and who runs it, the broker only wakes us.
        process.submit(UUID(args[0]))

    return on_message


class LoopTask(Task):  # type: ignore[misc]  # celery has no types
    Strategy = "predictions.tasks:loop_strategy"
    abstract = True


@app.task(name=TASK, base=LoopTask)  # type: ignore[untyped-decorator]  # celery has no types
def execute(execution_id: str) -> None:
    """Run one execution, in a Celery worker that consumes the queue."""
    raise RuntimeError("predictions run on the loop of a Celery worker; start one, or ask through the API")
