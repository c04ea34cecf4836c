"""Letting a run go on that waits: which one, whether it may, and that only one caller does."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from chatflows.records import FlowRecord
from forjinn.core.errors import Conflict, Unavailable
from predictions.checkpoints import Checkpoint, read_checkpoint
from predictions.dispatch import BrokerAway, dispatch
from predictions.idempotency import Once, find_first
from predictions.lanes import QueuedRun
from predictions.pool import DatabaseAway, Pool, borrowed
from predictions.requests import HumanAnswer, RequestInvalid
from predictions.reservations import Payer, given_back, reserve
from predictions.web import WebProcess

LAST = """
SELECT run.id, run.state, run.attempt, run.error_code, run.checkpoint, coalesce(wait.kind, 'human'),
    coalesce(wait.event, ''), run.workspace_id, run.chatflow_id, (run.request->>'key')::uuid
FROM predictions_execution run LEFT JOIN predictions_wait wait ON wait.execution_id = run.id
WHERE run.chatflow_id = %b AND run.session_id = %b AND run.end_user = %b ORDER BY run.id DESC LIMIT 1
"""
ONE = """
SELECT run.id, run.state, run.attempt, run.error_code, run.checkpoint, coalesce(wait.kind, 'human'),
    coalesce(wait.event, ''), run.workspace_id, run.chatflow_id, (run.request->>'key')::uuid
FROM predictions_execution run LEFT JOIN predictions_wait wait ON wait.execution_id = run.id
WHERE run.id = %b
"""
# Compares and sets: of two callers at once one finds the run as it was. The attempt changes with each time it ran.
RESUME = """
WITH resumed AS (
    UPDATE predictions_execution
    SET state = 'QUEUED', attempts_before = attempt, request = request || %b::jsonb, is_streaming = %b, reply_to = %b,
        worker = NULL, dispatches = 1, dispatched_at = now(), stop_requested = false, pause_requested = false,
        output = NULL, error = '', error_code = '', finished_at = NULL
    WHERE id = %b AND state = %b AND attempt = %b AND checkpoint IS NOT NULL
    RETURNING id, workspace_id, attempts_before
), noted AS (
    INSERT INTO predictions_idempotencykey (scope, key, fingerprint, execution_id, attempt)
    SELECT once->>'scope', once->>'key', once->>'fingerprint', id, attempts_before
    FROM resumed, (SELECT %b::jsonb AS once) AS request WHERE once->>'key' IS NOT NULL
    ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, execution_id = excluded.execution_id,
        attempt = excluded.attempt, created_at = now()
)
SELECT id, workspace_id FROM resumed
"""
FOR_WHAT = {
    "human": "a person's decision",
    "message": "the user's next message",
    "event": "the event '{event}'",
    "timer": "a time to come",
    "order": "an order to go on",
}
# No worker was told. The answer may be given again, also to a run that had failed.
WAIT_ON = """
WITH waiting AS (
    UPDATE predictions_execution SET state = 'WAITING', finished_at = now()
    WHERE id = %b AND state = 'QUEUED' AND attempt = %b RETURNING id, workspace_id, attempt
), held AS ( -- a run that failed has left what it waited for
    INSERT INTO predictions_wait (execution_id, workspace_id, kind, event, due_at, goes_on)
    SELECT id, workspace_id, 'human', '', now() + make_interval(hours => %b), false FROM waiting
    ON CONFLICT (execution_id) DO NOTHING
)
DELETE FROM predictions_idempotencykey known USING waiting
WHERE known.execution_id = waiting.id AND known.attempt = waiting.attempt
"""


# Everybody who waits for the event goes on with what was reported; nobody waits for those who watched.
NOTIFY = """
WITH resumed AS (
    UPDATE predictions_execution
    SET state = 'QUEUED', attempts_before = attempt, request = request || %b::jsonb, reply_to = '', worker = NULL,
        dispatches = 1, dispatched_at = now(), stop_requested = false, pause_requested = false, output = NULL,
        error = '', error_code = '', finished_at = NULL
    WHERE id IN (
        SELECT run.id FROM predictions_wait wait JOIN predictions_execution run ON run.id = wait.execution_id
        WHERE wait.workspace_id = %b AND wait.kind = 'event' AND wait.event = %b AND run.state = 'WAITING'
        ORDER BY run.id FOR UPDATE OF run
    )
    RETURNING id
), noted AS (
    INSERT INTO predictions_idempotencykey (scope, key, fingerprint, execution_id, attempt, answer)
    SELECT once->>'scope', once->>'key', once->>'fingerprint', (SELECT id FROM resumed LIMIT 1), 0,
        (SELECT jsonb_agg(id ORDER BY id) FROM resumed)
    FROM (SELECT %b::jsonb AS once) AS request WHERE once->>'key' IS NOT NULL AND EXISTS (SELECT FROM resumed)
    ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, execution_id = excluded.execution_id,
        attempt = excluded.attempt, answer = excluded.answer, created_at = now()
)
SELECT id FROM resumed ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A run that an answer may let go on, as it was found."""

    id: UUID
    state: str
    attempt: int
    checkpoint: Checkpoint
    kind: str  # of `predictions.models.Wait`
    event: str
    payer: Payer


async def find_waiting(
    pool: Pool, *, flow: FlowRecord, session_id: str, end_user: str, answer: HumanAnswer
) -> WaitingRun:
    """The session's last run, if it waits for this answer, or failed after one and may be tried again.

    Raises Conflict if it does not, RequestInvalid for an answer that it does not understand.
    """
    async with borrowed(pool) as connection:
        row = await (await connection.execute(LAST, [flow.id, session_id, end_user])).fetchone()
    if row is None:
        raise Conflict(
            f"Nothing waits for an answer in session '{session_id}': send the chatId or overrideConfig.sessionId of "
            "the call whose answer had an action"
        )
    execution_id, state, attempt, code, written, kind, event, *payer = row
    if state not in ("WAITING", "FAILED") or written is None:
        raise Conflict(f"Run {execution_id}, the last of this session, {_why_not(state, code)}")
    run = WaitingRun(execution_id, state, attempt, read_checkpoint(written), kind, event, Payer(*payer))
    _check(run, answer)
    return run


async def find_asking(pool: Pool, *, flow: FlowRecord, session_id: str, end_user: str) -> WaitingRun | None:
    """The session's last run, if it has asked the user something and waits for their next message."""
    if not flow.asks_users:
        return None
    async with borrowed(pool) as connection:
        row = await (await connection.execute(LAST, [flow.id, session_id, end_user])).fetchone()
    if row is None or row[1] != "WAITING" or row[5] != "message":
        return None
    execution_id, state, attempt, _, written, kind, event, *payer = row
    return WaitingRun(execution_id, state, attempt, read_checkpoint(written), kind, event, Payer(*payer))


async def find_waiting_run(pool: Pool, *, execution_id: UUID, answer: HumanAnswer) -> WaitingRun:
    """This run, if it waits for such an answer. Raises Conflict, and RequestInvalid for one that it does not take."""
    async with borrowed(pool) as connection:
        row = await (await connection.execute(ONE, [execution_id])).fetchone()
    if row is None or row[1] != "WAITING":
        raise Conflict(f"Run {execution_id} waits for nothing: it {'is going on' if row else 'is gone'} or has ended")
    _, state, attempt, _, written, kind, event, *payer = row
    run = WaitingRun(execution_id, state, attempt, read_checkpoint(written), kind, event, Payer(*payer))
    said = answer.kind if answer.kind in ("message", "order") else "human"
    if said != kind:
        raise Conflict(f"Run {run.id} waits for {FOR_WHAT[kind].format(event=event)}, not for {FOR_WHAT[said]}")
    if kind == "human":
        _check(run, answer)
    return run


async def report_event(
    process: WebProcess, *, workspace_id: UUID, event: str, data: Any, once: Once | None = None
) -> list[UUID]:
    """Let every run of the workspace go on that waits for this event; returns them. Raises Unavailable, KeyReused.

    `data` is JSON and becomes the output of the nodes that wait. What is reported before anybody waits is not kept.
    """
    said = orjson.dumps({"humanInput": {"type": "event", "data": data}}).decode()
    try:
        if once and (first := await find_first(process.pool, once)):
            return [UUID(one) for one in first.resumed]
        async with borrowed(process.pool) as connection:
            values = [said, workspace_id, event, orjson.dumps(once).decode()]
            ids = [row[0] for row in await (await connection.execute(NOTIFY, values)).fetchall()]
        if not ids and once and (first := await find_first(process.pool, once)):
            return [UUID(one) for one in first.resumed]  # the same report was a moment faster
    except DatabaseAway as exc:
        raise Unavailable("Events are not taken for the moment: the database cannot be reached") from exc
    if ids:
        with contextlib.suppress(BrokerAway):  # they go on, if later: what nobody took is dispatched again
            await dispatch(process.redis, [QueuedRun(one, workspace_id) for one in ids])
    return ids


async def resume_prediction(
    process: WebProcess,
    *,
    run: WaitingRun,
    answer: HumanAnswer,
    is_streaming: bool,
    once: Once | None = None,
    has_caller: bool = True,
) -> None:
    """Queue the run again with the answer, and wake a worker. `has_caller`: somebody waits here for what it says.

    Raises Conflict if somebody else was faster, BudgetSpent and TooManyRuns as at its beginning, Unavailable, within
    seconds, when it cannot be done.
    """
    if not process.hub.is_connected:
        raise Unavailable("Predictions are unavailable for the moment: the broker cannot be reached")
    await reserve(process.redis, process.pool, run.payer, run.id)
    async with given_back(process.redis, run.payer, run.id):
        await _queue_again(process, run, answer, is_streaming=is_streaming, once=once, has_caller=has_caller)


async def _queue_again(
    process: WebProcess,
    run: WaitingRun,
    answer: HumanAnswer,
    *,
    is_streaming: bool,
    once: Once | None,
    has_caller: bool,
) -> None:
    said = orjson.dumps({"humanInput": _said(run, answer)}).decode()
    noted = orjson.dumps(once).decode()
    channel = process.hub.channel if has_caller else ""
    values = [said, is_streaming, channel, run.id, run.state, run.attempt, noted]
    try:
        async with borrowed(process.pool) as connection:
            is_first = await (await connection.execute(RESUME, values)).fetchone()
        if is_first is None:
            raise Conflict(f"Run {run.id} was answered by another call at the same time; it goes on with that answer")
        await dispatch(process.redis, [QueuedRun(*is_first)])
    except BrokerAway as exc:
        async with borrowed(process.pool) as connection:
            await connection.execute(WAIT_ON, [run.id, run.attempt, settings.PREDICTION_WAIT_EXPIRY_H])
        raise Unavailable("Predictions are unavailable for the moment: the broker cannot be reached") from exc
    except DatabaseAway as exc:
        raise Unavailable("Predictions are unavailable for the moment: the database cannot be reached") from exc


def _why_not(state: str, code: str) -> str:
    if state in ("QUEUED", "RUNNING"):
        return "is going on: it waits for no answer now"
    if code == "wait_expired":
        return "waited too long for an answer and was ended: ask again from the beginning"
    return "has ended and waits for no answer: ask a new question"


def _check(run: WaitingRun, answer: HumanAnswer) -> None:
    """Raises RequestInvalid or Conflict for an answer to something else."""
    checkpoint, asked = run.checkpoint, run.checkpoint.action
    if run.kind != "human":
        raise Conflict(f"Run {run.id} waits for {FOR_WHAT[run.kind].format(event=run.event)}, not for a decision")
    if answer.start_node_id and answer.start_node_id not in (checkpoint.node_id, _asking_node(asked)):
        known = any(entry.get("nodeId") == answer.start_node_id for entry in checkpoint.trace)
        what = "waits for no answer" if known else "is not in the run's trace"
        raise RequestInvalid(
            f"humanInput.startNodeId: {answer.start_node_id[:80]!r} {what}; the run waits at {checkpoint.node_id!r}"
        )
    if answer.action_id and answer.action_id != asked.get("id"):
        raise Conflict("The run waits for an answer to another action than this one")
    _said(run, answer)


def _asking_node(action: Any) -> str:
    return str((action.get("data") or {}).get("nodeId") or "")


def _said(run: WaitingRun, answer: HumanAnswer) -> dict[str, str]:
    """The answer as the run keeps it; `text` is what the conversation shows as the person's turn."""
    if answer.kind == "order":
        return {"type": "order"}
    if answer.kind == "message":
        return {"type": "message", "feedback": answer.feedback, "text": answer.feedback}
    labels = run.checkpoint.action.get("mapping") or {}
    buttons = {"proceed": str(labels.get("approve", "Proceed")), "reject": str(labels.get("reject", "Reject"))}
    kind: str | None = answer.kind or next((name for name, label in buttons.items() if label == answer.label), None)
    if kind is None:
        raise RequestInvalid(
            f"question: expected '{buttons['proceed']}' or '{buttons['reject']}', the labels of the action's buttons"
        )
    return {"type": kind, "feedback": answer.feedback, "text": answer.feedback or answer.label or buttons[kind]}
