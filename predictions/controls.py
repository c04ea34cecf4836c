"""What key holders do with single runs: stop, pause, run again from a node on."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from uuid import UUID

from forjinn.core.errors import Conflict, NotFound, Unavailable
from forjinn.core.scopes import system_scope
from predictions.commands import pause_runs, stop_runs
from predictions.dispatch import BrokerAway, dispatch
from predictions.idempotency import Once, find_first
from predictions.lanes import QueuedRun
from predictions.pool import Connection, DatabaseAway, Pool, borrowed
from predictions.reservations import Payer, given_back, release, reserve
from predictions.services import new_execution_id
from predictions.web import WebProcess

OPEN = ("QUEUED", "RUNNING", "WAITING")

FIND = """
SELECT run.id, run.workspace_id, run.chatflow_id, run.version_id, run.state, run.attempt, run.contents, flow.kind
FROM predictions_execution run JOIN chatflows_chatflow flow ON flow.id = run.chatflow_id
WHERE run.id = %b AND run.workspace_id = %b
"""
# The node's last turn: what came before it is behind the new run. Nodes within iterations are not turns of the run.
TURN = """
SELECT attempt, seq FROM predictions_noderun
WHERE execution_id = %b AND node_id = %b AND changes IS NOT NULL AND status <> 'STOPPED'
ORDER BY attempt DESC, seq DESC LIMIT 1
"""
BROKEN = """
SELECT node_id FROM predictions_noderun
WHERE execution_id = %b AND changes IS NOT NULL AND status IN ('ERROR', 'TERMINATED')
ORDER BY attempt DESC, seq DESC LIMIT 1
"""
VERSION = "SELECT id FROM chatflows_chatflowversion WHERE chatflow_id = %b AND number = %b"
# The rows of the journal before that turn become those of an attempt 0, which has paid for nothing, as if a worker had
# died behind them.
FORK = """
WITH noted AS (
    INSERT INTO predictions_idempotencykey AS known (scope, key, fingerprint, execution_id, attempt)
    SELECT %(scope)s::text, %(key)s::text, %(fingerprint)s::text, %(id)s::uuid, 0 WHERE %(key)s::text IS NOT NULL
    ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, execution_id = excluded.execution_id,
        attempt = excluded.attempt, created_at = now()
    WHERE known.created_at < now() - interval '24 hours'
    RETURNING execution_id
), behind AS (
    SELECT row_number() OVER (ORDER BY attempt, seq) AS seq, node_id, label, status, entry, changes, duration_ms
    FROM predictions_noderun WHERE execution_id = %(source)s AND (attempt, seq) < (%(attempt)s::int, %(seq)s::int)
), forked AS (
    INSERT INTO predictions_execution (id, workspace_id, chatflow_id, version_id, state, chat_id, session_id,
        end_user, chat_type, question, request, is_streaming, reply_to, attempt, dispatches, stop_requested, error,
        error_code, input_tokens, output_tokens, forked_from)
    SELECT %(id)s::uuid, workspace_id, chatflow_id, coalesce(%(version)s::uuid, version_id), 'QUEUED', chat_id,
        session_id, end_user, chat_type, question,
        (request - 'humanInput') || jsonb_build_object('key', %(key_id)s::text), is_streaming, '',
        CASE WHEN EXISTS (SELECT FROM behind) THEN 1 ELSE 0 END, 1, false, '', '', 0, 0, id
    FROM predictions_execution WHERE id = %(source)s AND (%(key)s::text IS NULL OR EXISTS (SELECT FROM noted))
    RETURNING id, workspace_id
), ran AS (
    INSERT INTO predictions_noderun (execution_id, attempt, seq, node_id, label, status, entry, changes, duration_ms)
    SELECT forked.id, 0, behind.seq, node_id, label, status, entry, changes, duration_ms FROM forked, behind
)
SELECT id, workspace_id FROM forked
"""


@dataclass(frozen=True, slots=True)
class OwnRun:
    """A run of the caller's workspace."""

    id: UUID
    workspace_id: UUID
    chatflow_id: UUID
    version_id: UUID
    state: str
    attempt: int
    contents: str
    kind: str  # of its flow

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


async def find_own_run(pool: Pool, *, execution_id: UUID, workspace_id: UUID) -> OwnRun:
    """Raises NotFound for one that is not there, or is a neighbour's."""
    async with borrowed(pool) as connection:
        row = await (await connection.execute(FIND, [execution_id, workspace_id])).fetchone()
    if row is None:
        raise NotFound(f"Execution {execution_id} not found")
    return OwnRun(*row)


async def cancel_run(process: WebProcess, run: OwnRun) -> None:
    """Stop it, whether it is queued, runs or waits. Raises Conflict if it has ended."""
    if not run.is_open or not await stop_runs(process.pool, process.redis, [run.id]):
        raise Conflict(f"Execution {run.id} has ended: there is nothing to stop")


async def pause_run(process: WebProcess, run: OwnRun) -> None:
    """Have it wait before its next node. Raises Conflict if it cannot."""
    if run.kind in ("CHATFLOW", "ASSISTANT"):
        raise Conflict("Runs of this kind of flow are one step, with no place to pause at: cancel it instead")
    if not await pause_runs(process.pool, process.redis, [run.id]):
        raise Conflict(f"Execution {run.id} does not run: there is nothing to pause")


async def fork_run(
    process: WebProcess,
    run: OwnRun,
    *,
    key_id: UUID,
    from_node: str | None,
    version: int | None = None,
    once: Once | None = None,
) -> UUID:
    """Start a new run that goes on before the node's last turn, with what the journal holds of the time before.

    Without a node it begins anew. `version`: the number of another version of the flow, which must have the same nodes
    up to there. `key_id`: whoever asks for it, and pays. Returns the new run's id, or that of the first request with
    the same key. Raises NotFound for a node that had no turn and for a version that there is not, Conflict if nothing
    is kept of the run, BudgetSpent, TooManyRuns, KeyReused, Unavailable.
    """
    if once and (first := await find_first(process.pool, once)):
        return first.execution_id
    if run.contents == "gone":
        raise Conflict(f"Nothing is kept of execution {run.id} that it could be run again with: send the request again")
    execution_id, payer = new_execution_id(), Payer(run.workspace_id, run.chatflow_id, key_id)
    await reserve(process.redis, process.pool, payer, execution_id)
    async with given_back(process.redis, payer, execution_id):
        new = await _forked(process, run, execution_id, key_id=key_id, from_node=from_node, version=version, once=once)
    if new is None:
        await release(process.redis, payer, execution_id)
        first = await find_first(process.pool, once) if once else None
        return first.execution_id if first else execution_id
    with contextlib.suppress(BrokerAway):  # it is recorded: what nobody took is dispatched again
        await dispatch(process.redis, [new])
    return execution_id


async def _forked(
    process: WebProcess,
    run: OwnRun,
    execution_id: UUID,
    *,
    key_id: UUID,
    from_node: str | None,
    version: int | None,
    once: Once | None,
) -> QueuedRun | None:
    """The new run, written down; None if the first request with the same key has done so."""
    try:
        # A run and its journal are inserted in one statement: policies do not let the second see the first yet.
        with system_scope():
            async with borrowed(process.pool) as connection:
                attempt, seq = await _turn(connection, run, from_node) if from_node is not None else (0, 0)
                values = {
                    "source": run.id,
                    "id": execution_id,
                    "key_id": str(key_id),
                    "version": await _version(connection, run, version) if version is not None else None,
                    "attempt": attempt,
                    "seq": seq,
                    "scope": once and once.scope,
                    "key": once and once.key,
                    "fingerprint": once and once.fingerprint,
                }
                row = await (await connection.execute(FORK, values)).fetchone()
    except DatabaseAway as exc:
        raise Unavailable("Runs are not started for the moment: the database cannot be reached") from exc
    return QueuedRun(*row) if row else None


async def _turn(connection: Connection, run: OwnRun, node_id: str) -> tuple[int, int]:
    row = None if "\0" in node_id else await (await connection.execute(TURN, [run.id, node_id])).fetchone()
    if row is None:
        raise NotFound(f"fromNode: {node_id[:80]!r} had no turn in this run")
    return row[0], row[1]


async def _version(connection: Connection, run: OwnRun, number: int) -> UUID:
    row = await (await connection.execute(VERSION, [run.chatflow_id, number])).fetchone()
    if row is None:
        raise NotFound(f"version: the flow has no version {number}")
    found: UUID = row[0]
    return found


async def retry_run(process: WebProcess, run: OwnRun, *, key_id: UUID, once: Once | None = None) -> UUID:
    """Start a new run before the node that broke. Raises Conflict if the run has not failed, and as `fork_run`."""
    if run.state not in ("FAILED", "CANCELLED"):
        raise Conflict(f"Execution {run.id} has not failed: fork it to run it again")
    async with borrowed(process.pool) as connection:
        broken = await (await connection.execute(BROKEN, [run.id])).fetchone()
    return await fork_run(process, run, key_id=key_id, from_node=broken[0] if broken else None, once=once)
