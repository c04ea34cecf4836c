"""A run as it stands, for the APIs that show runs: how far it is, what its nodes did, what was said in it.

`read_run` gives a `RunReading`: the run's row; `steps`, the nodes that have ended, in order; `current_node`, the one
that runs or waits now; `values`, the input and what nodes have put into the flow's state; `messages`, the
conversation, each with the node that said or asked it. The database has what is written down: nodes that cost or do
something at once, the others with the next of those. With `redis` the live log says more exactly which node runs.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson
from psycopg.rows import dict_row
from redis.asyncio import Redis
from redis.exceptions import RedisError

from predictions.pool import Connection, Pool, borrowed
from predictions.stream import FIELD, stream_key

TAIL = 100  # entries of the live log that are looked through for the node that runs
ENDS_OF_NODES = ("NodeFinished", "NodeFailed")
STOPPED = "STOPPED"  # the status of a node that waits

# What callers gave to be used and not to be read stays out of sight.
RUN = """
SELECT run.id, run.workspace_id, run.chatflow_id, run.version_id, run.state, run.chat_id, run.session_id, run.question,
    run.request - 'connections' - 'hooks' AS request, run.attempt, run.attempts_before, run.created_at, run.started_at,
    run.finished_at, run.output, run.error, run.error_code, run.input_tokens, run.output_tokens,
    run.flow_state->'state' AS left_values, wait.kind AS wait_kind, wait.event AS wait_event, wait.due_at AS wait_due_at
FROM predictions_execution run
LEFT JOIN predictions_wait wait ON wait.execution_id = run.id AND run.state = 'WAITING'
WHERE run.id = %b
"""
STEPS = """
SELECT node_id, label, status, attempt, seq, entry, duration_ms, changes IS NOT NULL FROM predictions_noderun
WHERE execution_id = %b ORDER BY attempt, seq
"""
NEXT = """
SELECT changes FROM predictions_noderun
WHERE execution_id = %b AND changes IS NOT NULL ORDER BY attempt DESC, seq DESC LIMIT 1
"""
MESSAGES = """
SELECT id, role, content, created_at FROM predictions_chatmessage WHERE execution_id = %b ORDER BY id
"""


RUN_NAME = re.compile(r"run_([0-9a-f]{32})")


def run_name(execution_id: UUID) -> str:
    """How some APIs spell a run's id: `run_` and 32 hexadecimal digits."""
    return f"run_{execution_id.hex}"


def read_run_name(text: str) -> UUID | None:
    """The id that is spelled so; None if the text is no such spelling."""
    found = RUN_NAME.fullmatch(text)
    return UUID(hex=found[1]) if found else None


@dataclass(frozen=True, slots=True)
class StepReading:
    """A node that has ended, or that waits. `entry` is its part of the trace; `data` in it has input and output."""

    node_id: str
    label: str
    status: str  # FINISHED, STOPPED, ERROR or TERMINATED
    attempt: int
    seq: int
    entry: Mapping[str, Any]
    duration_ms: float
    is_own: bool  # a node of the flow itself, not one inside an iteration

    @property
    def output(self) -> Mapping[str, Any]:
        return self.entry["data"].get("output") or {}


@dataclass(frozen=True, slots=True)
class MessageReading:
    """A turn of the conversation. The first turn of the user is what the run was asked."""

    id: UUID
    role: Literal["user", "assistant"]
    content: str
    created_at: datetime
    node_id: str  # that said it, or that it was said to; empty for what the run was asked


@dataclass(frozen=True, slots=True)
class RunReading:
    """A run as it stands. `request` is what was asked beside `question`, without what is not to be shown."""

    id: UUID
    workspace_id: UUID
    chatflow_id: UUID
    version_id: UUID
    state: str  # of `Execution.State`
    chat_id: str
    session_id: str
    question: str
    request: Mapping[str, Any]
    attempt: int
    attempts_before: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None  # or when it began to wait
    output: Mapping[str, Any] | None
    error: str
    error_code: str
    input_tokens: int
    output_tokens: int
    wait_kind: str | None  # of `predictions.models.Wait`, while it waits
    wait_event: str | None
    wait_due_at: datetime | None
    steps: Sequence[StepReading]
    current_node: str | None
    values: Mapping[str, Any]
    messages: Sequence[MessageReading]

    @property
    def input(self) -> Mapping[str, Any]:
        """What it was started with, as one object."""
        return input_of(self.request)

    @property
    def action(self) -> Mapping[str, Any]:
        """What a person is asked to decide, while it waits for that."""
        return (self.output or {}).get("action") or {}

    @property
    def is_over(self) -> bool:
        return self.state in ("COMPLETED", "FAILED", "CANCELLED")


async def read_run(pool: Pool, execution_id: UUID, *, redis: Redis | None = None) -> RunReading | None:
    """The run as it stands; None if there is none. Whether the caller may see it is the caller's to check.

    Raises DatabaseAway. A Redis that is away only makes the answer less exact.
    """
    async with borrowed(pool) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        row = await (await cursor.execute(RUN, [execution_id])).fetchone()
        if row is None:
            return None
        steps = [StepReading(*step) for step in await _rows(connection, STEPS, execution_id)]
        turns = await _rows(connection, MESSAGES, execution_id)
        following = await _rows(connection, NEXT, execution_id)
    tail = await tail_of(redis, execution_id) if redis is not None and row["state"] == "RUNNING" else []
    queue = orjson.loads(following[0][0]).get("queue") if following else []
    left = row.pop("left_values") or {}
    newest = _newest_values(steps, tail, row["attempts_before"])
    return RunReading(
        **row,
        steps=list(_ended(steps)),
        current_node=_current(row["state"], steps, tail, queue),
        values={**input_of(row["request"]), **left, **newest},
        messages=list(_messages(turns, steps)),
    )


def input_of(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a run was started with, as one object; see `predictions.inputs.request_of`."""
    return request.get("state") or dict(request.get("form") or ())


async def _rows(connection: Connection, statement: str, execution_id: UUID) -> list[Any]:
    return await (await connection.execute(statement, [execution_id])).fetchall()


async def tail_of(redis: Redis, execution_id: UUID) -> list[tuple[str, Mapping[str, Any]]]:
    """The newest events of the run's log, newest first; none if Redis is away."""
    with contextlib.suppress(RedisError, OSError):
        rows = await redis.xrevrange(stream_key(execution_id), count=TAIL)
        return [(name, fields) for _, row in rows for name, fields in orjson.loads(row[FIELD])[::-1]]
    return []


def _ended(steps: Sequence[StepReading]) -> Iterator[StepReading]:
    """A node that waited and went on has ended once."""
    for index, step in enumerate(steps):
        if step.status != STOPPED or index == len(steps) - 1:
            yield step


def _current(
    state: str,
    steps: Sequence[StepReading],
    tail: Sequence[tuple[str, Mapping[str, Any]]],
    queue: Sequence[str] | None,
) -> str | None:
    if state == "WAITING":
        return steps[-1].node_id if steps else None
    if state != "RUNNING":
        return None
    ended = set()
    for name, fields in tail:
        node_id = fields.get("node_id")
        if name in ENDS_OF_NODES:
            ended.add(node_id)
        elif node_id and node_id not in ended:
            return str(node_id)
    return queue[0] if queue else None


def _newest_values(
    steps: Sequence[StepReading], tail: Sequence[tuple[str, Mapping[str, Any]]], attempts_before: int
) -> Mapping[str, Any]:
    """The flow's state behind the node that ended last, as far as that is news since the run last came to a stop."""
    for name, fields in tail:
        if name in ENDS_OF_NODES:
            return _values(fields["entry"])
    return next((_values(s.entry) for s in reversed(steps) if s.is_own and s.attempt > attempts_before), {})


def _values(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return entry["data"].get("state") or {}


def _messages(turns: Sequence[Any], steps: Sequence[StepReading]) -> Iterator[MessageReading]:
    """Empty turns, of an answer that never came, are left out."""
    parts = _parts(steps)
    asked = ""  # the node that waited for what is said next
    for message_id, role, content, created_at in turns:
        if role == "userMessage":
            if content:
                yield MessageReading(message_id, "user", content, created_at, asked)
            continue
        part = next(parts, [])
        asked = part[-1].node_id if part else ""
        if content:
            yield MessageReading(message_id, "assistant", content, created_at, _speaker(part, content))


def _parts(steps: Sequence[StepReading]) -> Iterator[list[StepReading]]:
    """The steps from one stop of the run to the next: each ends with a turn of the assistant's."""
    part: list[StepReading] = []
    for step in steps:
        part.append(step)
        if step.status == STOPPED:
            yield part
            part = []
    if part:
        yield part


def _speaker(part: Sequence[StepReading], content: str) -> str:
    """The node whose words these are; the last one, if they were put together from several."""
    same = (step.node_id for step in reversed(part) if step.output.get("content") == content)
    return next(same, part[-1].node_id if part else "")
