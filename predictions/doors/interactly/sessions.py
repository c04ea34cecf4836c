"""Runs as this API sees them: sessions of turns, each from one word of the user's to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from engine.budget import LOOPING
from engine.nodes.waits import SLEEP, WAIT_FOR_EVENT
from predictions.doors.interactly.reading import RunFilter
from predictions.pool import Connection, Pool, borrowed
from workspaces.access import Access

STATES_OF = {  # of `predictions.models.Execution`
    "not_started": ("QUEUED",),
    "started": ("QUEUED",),
    "running": ("RUNNING", "WAITING"),
    "failed": ("FAILED",),
    "completed": ("COMPLETED",),
    "paused": ("WAITING",),
    "waiting_for_user_input": ("WAITING",),
    "cancelled": ("CANCELLED",),
    "aborted_looping_risk": ("FAILED",),
}
STATUSES = tuple(STATES_OF)
TERMINAL = frozenset({"completed", "failed", "cancelled", "aborted_looping_risk"})
GOING_ON = frozenset({"not_started", "started", "running"})
IN_THE_BACKGROUND = (SLEEP.name, WAIT_FOR_EVENT.name)  # what they wait for is not the user's to say

# In one expression, so that a list can be filtered by it, too.
STATUS = """
CASE run.state
    WHEN 'QUEUED' THEN CASE run.attempt WHEN 0 THEN 'not_started' ELSE 'started' END
    WHEN 'RUNNING' THEN 'running'
    WHEN 'WAITING' THEN CASE coalesce(wait.kind, 'human')
        WHEN 'order' THEN 'paused' WHEN 'event' THEN 'running' WHEN 'timer' THEN 'running'
        ELSE 'waiting_for_user_input' END
    WHEN 'COMPLETED' THEN 'completed'
    WHEN 'CANCELLED' THEN 'cancelled'
    ELSE CASE WHEN run.error_code = 'run_limit' AND run.error LIKE %(looping)s THEN 'aborted_looping_risk'
        ELSE 'failed' END
END"""
COLUMNS = f"""
SELECT run.id, run.object_id, run.workspace_id, run.chatflow_id, run.version_id, flow.object_id AS workflow_id,
    version.number AS version_number, {STATUS} AS status, run.state, run.attempt, run.attempts_before, run.question,
    run.request - 'connections' - 'hooks' - 'images' AS request, run.created_at, run.started_at, run.finished_at,
    run.output->>'text' AS text, run.output->'action' AS action, run.error, run.error_code, run.input_tokens,
    run.output_tokens, wait.kind AS wait_kind, wait.due_at AS wait_due_at
"""
WAITS = "LEFT JOIN predictions_wait wait ON wait.execution_id = run.id AND run.state = 'WAITING'"
TABLES = f"""
FROM predictions_execution run
JOIN chatflows_chatflow flow ON flow.id = run.chatflow_id
JOIN chatflows_chatflowversion version ON version.id = run.version_id
{WAITS}
"""
FIND = f"{COLUMNS}{TABLES} WHERE run.object_id = %(object_id)s AND run.workspace_id = %(workspace_id)s"
FIND_BY_ID = f"{COLUMNS}{TABLES} WHERE run.id = %(id)s AND run.workspace_id = %(workspace_id)s"
STOPS = """
SELECT attempt FROM predictions_noderun
WHERE execution_id = %(id)s AND status = 'STOPPED' AND NOT entry->'data'->>'name' = ANY(%(background)s)
ORDER BY attempt
"""
STEPS = """
SELECT node_id, label, status, attempt, seq, entry, duration_ms, created_at FROM predictions_noderun
WHERE execution_id = %(id)s AND attempt > %(after)s AND attempt <= %(upto)s ORDER BY attempt, seq
"""
COUNTS = """
SELECT node_id, count(*) FROM predictions_noderun WHERE execution_id = %(id)s AND attempt <= %(after)s GROUP BY node_id
"""
OF_WORKSPACE = "run.object_id IS NOT NULL AND run.workspace_id = %(workspace_id)s"
OF_FLOWS = f"{OF_WORKSPACE} AND run.chatflow_id = ANY(%(flows)s)"
OF_FLOW = "run.object_id IS NOT NULL AND run.chatflow_id = %(chatflow_id)s"  # one of the workspace's
CHOICES = {
    "start": "run.created_at >= %(start)s",
    "end": "run.created_at <= %(end)s",
    "status": f"run.state = ANY(%(states)s) AND {STATUS} = %(status)s",
}
VERSIONS = """
SELECT version.number, version.created_at, version.author, version.id = flow.version_id AS is_active
FROM chatflows_chatflowversion version JOIN chatflows_chatflow flow ON flow.id = version.chatflow_id
WHERE flow.id = %b ORDER BY version.number DESC LIMIT %b
"""
VERSION = "SELECT id FROM chatflows_chatflowversion WHERE chatflow_id = %b AND number = %b"
MOST_VERSIONS = 1000
LAST_ATTEMPT = 32767


@dataclass(frozen=True, slots=True)
class Session:
    """A run that was begun here, as it stands."""

    id: UUID
    object_id: str
    workspace_id: UUID
    chatflow_id: UUID
    version_id: UUID
    workflow_id: str
    version_number: int
    status: str  # one of STATUSES
    state: str  # of `predictions.models.Execution`
    attempt: int
    attempts_before: int
    question: str
    request: Mapping[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None  # or when it began to wait
    text: str | None  # what it answered, or asks
    action: Mapping[str, Any] | None  # what a person is asked to decide
    error: str
    error_code: str
    input_tokens: int
    output_tokens: int
    wait_kind: str | None
    wait_due_at: datetime | None

    @property
    def is_over(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_going_on(self) -> bool:
        return self.status in GOING_ON

    @property
    def begun_by(self) -> str | None:
        """The id of the key that began it."""
        return (self.request.get("door") or {}).get("by")

    @property
    def run_input(self) -> Mapping[str, Any]:
        """What the first turn was asked, as it was sent."""
        given: Mapping[str, Any] = (self.request.get("door") or {}).get("runInput") or {}
        return given


@dataclass(frozen=True, slots=True)
class Step:
    """A node that has ended, or that waits."""

    node_id: str
    label: str
    status: str
    attempt: int
    seq: int
    entry: Mapping[str, Any]
    duration_ms: float
    written_at: datetime

    @property
    def data(self) -> Mapping[str, Any]:
        data: Mapping[str, Any] = self.entry["data"]
        return data

    @property
    def type(self) -> str:
        return str(self.data.get("name", ""))

    @property
    def output(self) -> Mapping[str, Any]:
        return self.data.get("output") or {}


@dataclass(frozen=True, slots=True)
class TurnReading:
    """One turn of a session. `runs_before` counts, by node, the runs in the turns before it."""

    session: Session
    number: int
    is_last: bool
    steps: Sequence[Step]
    runs_before: Mapping[str, int]

    @property
    def status(self) -> str:
        """The session's after this turn."""
        return self.session.status if self.is_last else "waiting_for_user_input"

    @property
    def is_going_on(self) -> bool:
        return self.status in GOING_ON


async def find_session(pool: Pool, *, object_id: str, workspace_id: UUID) -> Session | None:
    """The workspace's run of this id. Raises DatabaseAway."""
    return await _session(pool, FIND, object_id=object_id, workspace_id=workspace_id)


async def find_session_by_id(pool: Pool, *, execution_id: UUID, workspace_id: UUID) -> Session | None:
    """The same by the id that other APIs know the run by."""
    return await _session(pool, FIND_BY_ID, id=execution_id, workspace_id=workspace_id)


async def _session(pool: Pool, statement: str, **names: Any) -> Session | None:
    async with borrowed(pool) as connection:
        cursor = await connection.cursor(row_factory=dict_row).execute(statement, {**names, "looping": f"%{LOOPING}%"})
        row = await cursor.fetchone()
    return Session(**row) if row else None


async def read_turn(pool: Pool, session: Session, *, after: int | None = None) -> TurnReading:
    """The turn that the session is in, or the one that began after so many attempts."""
    [turn] = await _turns(pool, session, after, is_whole=False)
    return turn


async def read_turns(pool: Pool, session: Session) -> list[TurnReading]:
    """All turns of a session."""
    return await _turns(pool, session, None, is_whole=True)


async def _turns(pool: Pool, session: Session, after: int | None, *, is_whole: bool) -> list[TurnReading]:
    async with borrowed(pool) as connection:
        names = {"id": session.id, "background": list(IN_THE_BACKGROUND)}
        stops = [row[0] for row in await (await connection.execute(STOPS, names)).fetchall()]
        behind = sum(stop <= session.attempts_before for stop in stops)  # turns that were answered
        wanted = behind if after is None else min(behind, sum(stop <= after for stop in stops))
        numbers = range(behind + 1) if is_whole else [wanted]
        return [await _turn(connection, session, stops, number, is_last=number == behind) for number in numbers]


async def _turn(
    connection: Connection, session: Session, stops: Sequence[int], number: int, *, is_last: bool
) -> TurnReading:
    after = stops[number - 1] if number else 0
    upto = LAST_ATTEMPT if is_last else stops[number]
    names = {"id": session.id, "after": after, "upto": upto}
    rows = await (await connection.execute(STEPS, names)).fetchall()
    counts = await (await connection.execute(COUNTS, names)).fetchall() if after else []
    return TurnReading(session, number + 1, is_last, [Step(*row) for row in rows], dict(counts))


async def list_sessions(
    pool: Pool, *, access: Access, chatflow_id: UUID | None, chosen: RunFilter
) -> tuple[list[Session], int]:
    """A page of the runs that were begun here, newest first, and how many there are: those that they can reach.

    `chatflow_id`: only those of this flow, which they must be able to reach.
    """
    page, count, names = list_statements(access, chatflow_id, chosen)
    async with borrowed(pool) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        rows = await (await cursor.execute(page, names)).fetchall()
        total = await (await connection.execute(count, names)).fetchone()
    return [Session(**row) for row in rows], total[0] if total else 0


def list_statements(access: Access, chatflow_id: UUID | None, chosen: RunFilter) -> tuple[str, str, dict[str, Any]]:
    """The statement of the page, that of the count, and the values of both."""
    wanted = {name: value for name in CHOICES if (value := getattr(chosen, name)) is not None}
    of_all = OF_WORKSPACE if access.flows is None else OF_FLOWS
    own = of_all if chatflow_id is None else OF_FLOW
    where = " AND ".join([own, *(CHOICES[name] for name in wanted)])
    names = {
        **wanted,
        "workspace_id": access.workspace_id,
        "flows": list(access.flows or ()),
        "chatflow_id": chatflow_id,
        "looping": f"%{LOOPING}%",
        "states": list(STATES_OF.get(chosen.status or "", ())),
        "size": chosen.size,
        "skipped": (chosen.page - 1) * chosen.size,
    }
    page = f"{COLUMNS}{TABLES} WHERE {where} ORDER BY run.id DESC LIMIT %(size)s OFFSET %(skipped)s"
    waits = WAITS if chosen.status is not None else ""  # only a status asks what is waited for
    count = f"SELECT count(*) FROM predictions_execution run {waits} WHERE {where}"  # noqa: S608 -- of constants
    return page, count, names


async def list_versions(pool: Pool, chatflow_id: UUID) -> list[tuple[int, datetime, str, bool]]:
    """The newest versions of a flow: number, when and by whom it was saved, and whether it is the one that runs."""
    async with borrowed(pool) as connection:
        return await (await connection.execute(VERSIONS, [chatflow_id, MOST_VERSIONS])).fetchall()


async def find_version(pool: Pool, chatflow_id: UUID, number: int) -> UUID | None:
    """The id of the flow's version of this number."""
    async with borrowed(pool) as connection:
        row = await (await connection.execute(VERSION, [chatflow_id, number])).fetchone()
    return row[0] if row else None
