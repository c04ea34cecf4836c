"""The statements of a run's life: record, claim, read its memory, settle. Each works on many runs at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

import orjson

from engine.encoding import encode
from engine.providers.base import Message
from predictions.batching import Batcher
from predictions.checkpoints import Checkpoint, read_checkpoint
from predictions.idempotency import Once
from predictions.pool import DatabaseAway, Pool, borrowed


@dataclass(frozen=True, slots=True)
class NewRun:
    """What the web process writes down before anything else happens."""

    id: UUID
    workspace_id: UUID
    chatflow_id: UUID
    version_id: UUID
    chat_id: str
    session_id: str
    chat_type: str
    question: str
    request: Mapping[str, Any]
    is_streaming: bool
    reply_to: str
    once: Once | None = None
    object_id: str | None = None
    end_user: str = ""
    timeout_s: float | None = None  # of the whole run, from now on; None: each part as long as the server allows


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that this worker owns until it settles it; `attempt` is its fence."""

    id: UUID
    attempt: int
    workspace_id: UUID
    chatflow_id: UUID
    version_id: UUID
    chat_id: str
    session_id: str
    chat_type: str
    question: str
    request: Mapping[str, Any]
    is_streaming: bool
    reply_to: str
    stop_requested: bool
    attempts_before: int = 0
    written: str | None = None  # JSON text of its checkpoint, if it has waited
    pause_requested: bool = False
    left_s: float | None = None  # until its deadline, if it has one
    forked_from: UUID | None = None
    end_user: str = ""

    @property
    def is_restarted(self) -> bool:
        """Whether a worker that died has begun on it since it was asked, or answered, the last time."""
        return self.attempt > self.attempts_before + 1

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Where it goes on; None if it begins."""
        return read_checkpoint(self.written) if self.written else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended and what it leaves. `messages` and `node_runs` are rows as `SETTLE` names their columns."""

    id: UUID
    attempt: int
    state: str
    output: Mapping[str, Any] | None
    error: str
    error_code: str
    input_tokens: int
    output_tokens: int
    messages: Sequence[Mapping[str, Any]]
    node_runs: Sequence[Mapping[str, Any]]
    checkpoint: str | None = None  # JSON text, of a run that waits
    wait: Mapping[str, Any] | None = None  # and what for: a row as `SETTLE` names its columns
    flow_state: Mapping[str, Any] | None = None  # state and form at the end
    spent_tokens: int = 0
    spent_nano_usd: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What a run has done since it was written down the last time; `node_runs` are rows as `JOURNAL` names them."""

    id: UUID
    attempt: int
    node_runs: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class JournalledNode:
    """A node that an earlier attempt wrote down; 0: another run did, of which this one is a fork."""

    attempt: int
    entry: Mapping[str, Any]
    changes: str | None  # JSON text that `engine.journal.fold` reads


SLOTS = 16  # of the ledger: see `workspaces.limits.models.Spending`

# Of the runs with an idempotency key those are recorded whose key is new, or too old to count.
RECORD = """
WITH new AS (
    SELECT * FROM jsonb_to_recordset(%b::jsonb) AS new (id uuid, workspace_id uuid, chatflow_id uuid, version_id uuid,
        chat_id text, session_id text, chat_type text, question text, request jsonb, is_streaming boolean,
        reply_to text, once jsonb, timeout_s float8, object_id text, end_user text)
), noted AS (
    INSERT INTO predictions_idempotencykey AS known (scope, key, fingerprint, execution_id, attempt)
    SELECT DISTINCT ON (once->>'scope', once->>'key') once->>'scope', once->>'key', once->>'fingerprint', id, 0
    FROM new WHERE once->>'key' IS NOT NULL ORDER BY once->>'scope', once->>'key', id
    ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, execution_id = excluded.execution_id,
        attempt = excluded.attempt, created_at = now()
    WHERE known.created_at < now() - interval '24 hours'
    RETURNING execution_id
)
INSERT INTO predictions_execution (id, workspace_id, chatflow_id, version_id, state, chat_id, session_id, chat_type,
    question, request, is_streaming, reply_to, attempt, dispatches, stop_requested, error, error_code,
    input_tokens, output_tokens, deadline_at, object_id, end_user)
SELECT id, workspace_id, chatflow_id, version_id, 'QUEUED', chat_id, session_id, chat_type,
    question, request, is_streaming, reply_to, 0, 1, false, '', '', 0, 0, now() + make_interval(secs => timeout_s),
    object_id, end_user
FROM new WHERE once->>'key' IS NULL OR id IN (SELECT execution_id FROM noted)
RETURNING id
"""

# Locked in id order and without waiting: two workers that were sent the same runs neither deadlock nor queue up.
CLAIM = """
WITH due AS (
    SELECT id FROM predictions_execution WHERE id = ANY(%b) AND state = 'QUEUED' ORDER BY id FOR UPDATE SKIP LOCKED
)
UPDATE predictions_execution run
SET state = 'RUNNING', attempt = attempt + 1, worker = %b, started_at = clock_timestamp()
FROM due WHERE run.id = due.id
RETURNING run.id, attempt, workspace_id, chatflow_id, version_id, chat_id, session_id, chat_type, question, request,
    is_streaming, reply_to, stop_requested, attempts_before, checkpoint, pause_requested,
    extract(epoch FROM deadline_at - clock_timestamp())::float8, forked_from, end_user
"""

# Claimed by a statement whose answer was lost, or left behind because how it ended could not be written. A claim that
# is under way is not older than this.
LET_GO = """
UPDATE predictions_execution SET worker = NULL
WHERE state = 'RUNNING' AND worker = %b AND id <> ALL(%b) AND started_at < now() - interval '10 seconds' RETURNING id
"""

# A run that goes on has in its checkpoint what was said in it; a fork says what its model said in other words.
HISTORY = """
SELECT role, content FROM predictions_chatmessage
WHERE chatflow_id = %b AND session_id = %b AND end_user = %b AND error = ''
    AND (execution_id IS NULL OR (execution_id <> %b AND execution_id IS DISTINCT FROM %b))
ORDER BY id DESC LIMIT %b
"""

PREVIOUS = """
SELECT flow_state FROM predictions_execution
WHERE chatflow_id = %b AND session_id = %b AND end_user = %b AND id < %b AND flow_state IS NOT NULL
    AND contents = 'kept'
ORDER BY id DESC LIMIT 1
"""

SETTLE = """
WITH outcome AS (
    SELECT * FROM jsonb_to_recordset(%b::jsonb) AS o (id uuid, attempt int, state text, output jsonb, error text,
        error_code text, input_tokens int, output_tokens int, checkpoint text, flow_state jsonb, wait jsonb,
        spent_tokens bigint, spent_nano_usd bigint)
), settled AS (
    UPDATE predictions_execution run
    SET state = o.state, output = o.output, error = o.error, error_code = o.error_code,
        input_tokens = run.input_tokens + o.input_tokens, output_tokens = run.output_tokens + o.output_tokens,
        finished_at = clock_timestamp(), flow_state = o.flow_state,
        -- Who was told that it failed may give the answer again.
        checkpoint = CASE o.state WHEN 'FAILED' THEN run.checkpoint ELSE o.checkpoint END
    FROM outcome o WHERE run.id = o.id AND run.attempt = o.attempt AND run.state = 'RUNNING'
    RETURNING run.*
), spent AS ( -- in one order, whoever settles: none waits for another that waits for it
    INSERT INTO limits_spending AS known (workspace_id, kind, target_id, month, slot, tokens, nano_usd)
    SELECT s.workspace_id, payer.kind, payer.id, date_trunc('month', now() AT TIME ZONE 'UTC'), %b::int,
        sum(o.spent_tokens), sum(o.spent_nano_usd)
    FROM settled s JOIN outcome o USING (id), LATERAL (VALUES
        ('workspace', s.workspace_id), ('flow', s.chatflow_id), ('key', (s.request->>'key')::uuid)) AS payer (kind, id)
    WHERE payer.id IS NOT NULL AND (o.spent_tokens > 0 OR o.spent_nano_usd > 0)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (workspace_id, month, kind, target_id, slot) DO UPDATE
    SET tokens = known.tokens + excluded.tokens, nano_usd = known.nano_usd + excluded.nano_usd
), answered AS (
    UPDATE predictions_chatmessage m SET extra = m.extra - 'action'
    FROM settled s WHERE m.execution_id = s.id AND s.attempts_before > 0 AND s.state <> 'FAILED'
), waiting AS (
    INSERT INTO predictions_wait (execution_id, workspace_id, kind, event, due_at, goes_on)
    SELECT s.id, s.workspace_id, w.kind, w.event, clock_timestamp() + make_interval(secs => w.for_s), w.goes_on
    FROM outcome o JOIN settled s USING (id), jsonb_to_record(o.wait) AS w (kind text, event text, for_s float8,
        goes_on boolean)
    WHERE s.state = 'WAITING'
    ON CONFLICT (execution_id) DO UPDATE SET kind = excluded.kind, event = excluded.event, due_at = excluded.due_at,
        goes_on = excluded.goes_on, created_at = now()
), over AS (
    DELETE FROM predictions_wait w USING settled s
    WHERE w.execution_id = s.id AND s.attempts_before > 0 AND s.state <> 'WAITING'
), said AS (
    INSERT INTO predictions_chatmessage (id, workspace_id, chatflow_id, execution_id, role, content, chat_id,
        session_id, end_user, chat_type, memory_type, lead_email, error, extra)
    SELECT m.id, s.workspace_id, s.chatflow_id, s.id, m.role, m.content, s.chat_id, s.session_id, s.end_user,
        s.chat_type, m.memory_type, m.lead_email, m.error, m.extra
    FROM jsonb_to_recordset(%b::jsonb) AS m (id uuid, execution_id uuid, role text, content text, memory_type text,
        lead_email text, error text, extra jsonb)
    JOIN settled s ON s.id = m.execution_id
    WHERE s.contents = 'kept'
), ran AS (
    INSERT INTO predictions_noderun (execution_id, attempt, seq, node_id, label, status, entry, changes, duration_ms)
    SELECT s.id, s.attempt, n.seq, n.node_id, n.label, n.status, n.entry, n.changes, n.duration_ms
    FROM jsonb_to_recordset(%b::jsonb) AS n (execution_id uuid, seq int, node_id text, label text, status text,
        entry jsonb, changes text, duration_ms float8)
    JOIN settled s ON s.id = n.execution_id
    ON CONFLICT DO NOTHING -- a write that was cut off may have come through
)
SELECT id FROM settled
"""

# The lock makes it certain that who takes the run over sees what was written down, or that nothing is any more.
JOURNAL = """
WITH going AS (
    SELECT run.id, run.attempt FROM predictions_execution run
    JOIN jsonb_to_recordset(%b::jsonb) AS owned (id uuid, attempt int) USING (id, attempt)
    WHERE run.state = 'RUNNING' ORDER BY run.id FOR SHARE OF run
), ran AS (
    INSERT INTO predictions_noderun (execution_id, attempt, seq, node_id, label, status, entry, changes, duration_ms)
    SELECT g.id, g.attempt, n.seq, n.node_id, n.label, n.status, n.entry, n.changes, n.duration_ms
    FROM jsonb_to_recordset(%b::jsonb) AS n (execution_id uuid, seq int, node_id text, label text, status text,
        entry jsonb, changes text, duration_ms float8)
    JOIN going g ON g.id = n.execution_id
    ON CONFLICT DO NOTHING
)
SELECT id FROM going
"""
# Attempt 0: what a fork began with; it is in the snapshot once the fork has waited.
JOURNALLED = """
SELECT attempt, entry, changes FROM predictions_noderun
WHERE execution_id = %b AND (attempt > %b OR (attempt = 0 AND %b = 0)) ORDER BY attempt, seq
"""

FLOW_DATA = "SELECT flow_data FROM chatflows_chatflowversion WHERE id = %b"


class Store:
    """The statements over one pool. Every method raises `DatabaseAway` when PostgreSQL cannot be reached."""

    def __init__(self, pool: Pool, *, worker: int = 0) -> None:
        self.pool = pool
        self.worker = worker
        self._slots = count(worker)
        self.claim = Batcher(self._claim, whole=(DatabaseAway,))
        self.settle = Batcher(self._settle, whole=(DatabaseAway,))
        self.journal = Batcher(self._journal, whole=(DatabaseAway,))

    async def record_many(self, runs: Sequence[NewRun]) -> set[UUID]:
        """Write new runs down, committed when this returns; the ids of those that are new, by their idempotency key."""
        async with borrowed(self.pool) as connection:
            cursor = await connection.execute(RECORD, [rows_of(runs)])
            return {row[0] for row in await cursor.fetchall()}

    async def _claim(self, ids: Sequence[UUID]) -> Sequence[ClaimedRun | None]:
        async with borrowed(self.pool) as connection:
            cursor = await connection.execute(CLAIM, [list(ids), self.worker])
            claimed = {row[0]: ClaimedRun(*row) for row in await cursor.fetchall()}
        return [claimed.pop(run_id, None) for run_id in ids]

    async def let_go(self, held: Callable[[], Sequence[UUID]]) -> Sequence[UUID]:
        """Leave the runs that this worker does not hold, whatever the database says, to others; returns them."""
        async with borrowed(self.pool) as connection:
            # Asked now: a run may have been claimed while this waited for a connection.
            cursor = await connection.execute(LET_GO, [self.worker, list(held())])
            return [row[0] for row in await cursor.fetchall()]

    async def _settle(self, outcomes: Sequence[Outcome]) -> Sequence[bool]:
        rows = [
            {name: getattr(outcome, name) for name in Outcome.__slots__ if name not in ("messages", "node_runs")}
            for outcome in outcomes
        ]
        messages = [{"execution_id": o.id, **row} for o in outcomes for row in o.messages]
        node_runs = [{"execution_id": o.id, **row} for o in outcomes for row in o.node_runs]
        async with borrowed(self.pool) as connection:
            cursor = await connection.execute(
                SETTLE, [rows_of(rows), next(self._slots) % SLOTS, rows_of(messages), rows_of(node_runs)]
            )
            settled = {row[0] for row in await cursor.fetchall()}
        return [outcome.id in settled for outcome in outcomes]

    async def _journal(self, steps: Sequence[Step]) -> Sequence[bool]:
        owned = [{"id": step.id, "attempt": step.attempt} for step in steps]
        rows = [{"execution_id": step.id, **row} for step in steps for row in step.node_runs]
        async with borrowed(self.pool) as connection:
            cursor = await connection.execute(JOURNAL, [rows_of(owned), rows_of(rows)])
            going = {row[0] for row in await cursor.fetchall()}
        return [step.id in going for step in steps]

    async def journalled(self, run: ClaimedRun) -> list[JournalledNode]:
        """What the run's earlier attempts since its last pause wrote down, in order."""
        async with borrowed(self.pool) as connection:
            cursor = await connection.execute(JOURNALLED, [run.id, run.attempts_before, run.attempts_before])
            return [JournalledNode(*row) for row in await cursor.fetchall()]

    async def history(self, run: ClaimedRun, session_id: str, *, last: int) -> list[Message]:
        """The newest `last` messages of a session of the run's flow but for the run's own, oldest first."""
        async with borrowed(self.pool) as connection:
            values = [run.chatflow_id, session_id, run.end_user, run.id, run.forked_from, last]
            cursor = await connection.execute(HISTORY, values)
            rows = await cursor.fetchall()
        return [
            Message(role="user" if role == "userMessage" else "assistant", content=text) for role, text in rows[::-1]
        ]

    async def previous(self, run: ClaimedRun) -> Mapping[str, Any] | None:
        """`flow_state` of the session's latest run before this one that has left any."""
        async with borrowed(self.pool) as connection:
            cursor = await connection.execute(PREVIOUS, [run.chatflow_id, run.session_id, run.end_user, run.id])
            row = await cursor.fetchone()
        return row[0] if row else None

    async def flow_data(self, version_id: UUID) -> str:
        async with borrowed(self.pool) as connection:
            cursor = await connection.execute(FLOW_DATA, [version_id])
            row = await cursor.fetchone()
        if row is None:
            raise LookupError(f"chatflow version {version_id} is gone")
        return str(row[0])


def rows_of(rows: Sequence[Any]) -> str:
    """Rows as JSON text. PostgreSQL's text cannot hold NUL, so it is dropped from what models and tools said."""
    encoded = encode(rows)
    if b"\\u0000" in encoded:
        encoded = orjson.dumps(_without_nul(orjson.loads(encoded)))
    return encoded.decode()


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value
