"""Starting a run, and finding one: the record, the wake-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from uuid import UUID

from chatflows.records import FlowRecord
from forjinn.core.errors import AppError, NotFound, Unavailable
from forjinn.core.ids import uuid7
from predictions.dispatch import BrokerAway
from predictions.idempotency import Once
from predictions.pool import DatabaseAway, Pool, borrowed
from predictions.post_processing import post_processor
from predictions.requests import PredictionRequest
from predictions.store import NewRun
from predictions.web import WebProcess


class RunFailedError(AppError):
    """The run ended without an answer; the status follows from why."""

    STATUS: ClassVar[Mapping[str, int]] = {
        "provider_error": 502,
        "node_timeout": 504,
        "worker_lost": 503,
        "database_away": 503,
        "deadline": 504,
        "broker_away": 503,
        "cannot_go_on": 409,
        "budget_exceeded": 429,
        "internal": 500,
        "node_failed": 500,
    }

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code
        # What is left is the flow's own: a graph, an input or a limit that its author can mend.
        self.status = self.STATUS.get(code, 422)


@dataclass(frozen=True, slots=True)
class FoundRun:
    """What a viewer of a run needs to know of it."""

    id: UUID
    chatflow_id: UUID
    question: str
    chat_id: str
    session_id: str
    attempts_before: int
    end_user: str


FIND_RUN = """
SELECT id, chatflow_id, question, chat_id, session_id, attempts_before, end_user
FROM predictions_execution WHERE id = %b
"""


async def start_prediction(
    process: WebProcess,
    *,
    flow: FlowRecord,
    request: PredictionRequest,
    execution_id: UUID,
    is_streaming: bool,
    once: Once | None = None,
    has_caller: bool = True,
    timeout_s: float | None = None,
) -> bool:
    """Record the run and wake a worker; False if a request with this idempotency key has done so before.

    `has_caller`: somebody waits in this process for what the run says. Raises Unavailable, within seconds, when it
    cannot be done.
    """
    if not process.hub.is_connected:
        raise Unavailable("Predictions are unavailable for the moment: the broker cannot be reached")
    run = new_run(flow, request, execution_id, is_streaming=is_streaming, timeout_s=timeout_s)
    run = replace(run, once=once, reply_to=process.hub.channel if has_caller else "")
    try:
        return await process.start_run(run)
    except BrokerAway as exc:
        raise Unavailable("Predictions are unavailable for the moment: the broker cannot be reached") from exc
    except DatabaseAway as exc:
        raise Unavailable("Predictions are unavailable for the moment: the database cannot be reached") from exc


def new_run(
    flow: FlowRecord,
    request: PredictionRequest,
    execution_id: UUID,
    *,
    is_streaming: bool = False,
    timeout_s: float | None = None,
) -> NewRun:
    """The run as it is to be recorded, whoever does it. Nobody waits for what it says."""
    return NewRun(
        id=execution_id,
        workspace_id=flow.workspace_id,
        chatflow_id=flow.id,
        version_id=flow.version_id,
        chat_id=request.chat_id,
        session_id=request.session_id,
        chat_type=request.chat_type,
        question=request.question,
        request=_stored(request, flow),
        is_streaming=is_streaming,
        reply_to="",
        object_id=request.object_id,
        end_user=request.end_user,
        timeout_s=timeout_s,
    )


def _stored(request: PredictionRequest, flow: FlowRecord) -> dict[str, Any]:
    """With overrides go the rules of this moment, and with all the function that has the last word: a run that starts
    again later means the same, and its answer needs nothing more of the database."""
    stored = request.stored()
    if request.overrides:
        stored["overrideRules"] = flow.api_config.get("overrideConfig")
    if code := post_processor(flow):
        stored["lastWord"] = code
    return stored


async def find_run(pool: Pool, *, execution_id: UUID, chatflow_id: UUID | None = None) -> FoundRun:
    """A run, of the given flow if one is given. Raises NotFound."""
    async with borrowed(pool) as connection:
        row = await (await connection.execute(FIND_RUN, [execution_id])).fetchone()
    if row is None or (chatflow_id is not None and row[1] != chatflow_id):
        raise NotFound(f"Execution {execution_id} not found")
    return FoundRun(*row)


def new_execution_id() -> UUID:
    """Time-ordered, so that runs of a flow lie together."""
    return uuid7()
