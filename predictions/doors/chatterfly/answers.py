"""What participants say to a run that waits: it goes on with that, once."""

from __future__ import annotations

from uuid import UUID

from predictions.doors.chatterfly.access import find_deployed_flow
from predictions.idempotency import Once, find_first
from predictions.limits import check_rate
from predictions.reading import RunReading
from predictions.requests import HumanAnswer
from predictions.resumes import find_waiting_run, resume_prediction
from predictions.web import WebProcess


async def say(
    process: WebProcess,
    run: RunReading,
    answer: HumanAnswer,
    *,
    address: str,
    key_id: UUID | None,
    once: Once | None = None,
) -> bool:
    """Let the run go on with this answer; False if an earlier request with this key has done so.

    Raises Conflict if it waits for nothing, or for something else, RateLimited, KeyReused, and Unavailable.
    """
    flow = await find_deployed_flow(run.chatflow_id, run.version_id)
    await check_rate(process.redis, flow, address, key_id)
    if once and await find_first(process.pool, once):
        return False
    waiting = await find_waiting_run(process.pool, execution_id=run.id, answer=answer)
    await resume_prediction(
        process, run=waiting, answer=answer, is_streaming=flow.is_streamable, once=once, has_caller=False
    )
    return True
