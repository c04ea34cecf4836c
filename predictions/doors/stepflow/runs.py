"""A run as this API shows it, whichever API began it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError
from redis.asyncio import Redis

from chatflows.flowdata import FlowDataInvalid, read_graph
from chatflows.models import ChatflowVersion
from engine.events import TraceEntry
from forjinn.core.errors import DATABASE_AWAY, Unavailable
from forjinn.core.scopes import in_scope
from forjinn.core.times import iso_millis
from predictions.checkpoints import Checkpoint, read_checkpoint
from predictions.doors.stepflow.refusals import RunNotFound
from predictions.doors.stepflow.steps import STOPPED, Step, steps_of, value_of
from predictions.pool import Pool, borrowed
from predictions.reading import ENDS_OF_NODES, run_name, tail_of
from workspaces.access import Access

STATUSES = {"RUNNING": "running", "WAITING": "running"}
START = "startAgentflow"
ENDED = ("COMPLETED", "FAILED", "CANCELLED")

RUN = """
SELECT run.checkpoint, run.id, run.workspace_id, run.chatflow_id, flow.slug, run.version_id, run.state, run.question,
    run.request, run.output, run.error, run.attempt, run.attempts_before, run.created_at,
    greatest(run.created_at, run.dispatched_at, run.started_at, run.finished_at)
FROM predictions_execution run JOIN chatflows_chatflow flow ON flow.id = run.chatflow_id
WHERE run.id = %b
"""
NODES = """
SELECT entry FROM predictions_noderun WHERE execution_id = %b AND attempt > %b ORDER BY attempt, seq
"""
NEXT = """
SELECT changes::jsonb->'queue'->>0 FROM predictions_noderun
WHERE execution_id = %b AND attempt > %b AND changes IS NOT NULL ORDER BY attempt DESC, seq DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a flow; `begins`: an agent flow begins with it."""

    id: str
    label: str
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """How a run stood when it was read.

    `entries` are the node runs of all that is behind it, in order; `current` is the node that runs or waits, if
    that is known.
    """

    entries: Sequence[TraceEntry]
    current: Node | None
    id: UUID
    workspace_id: UUID
    chatflow_id: UUID
    workflow: str
    version_id: UUID
    state: str
    question: str
    request: Mapping[str, Any]
    output: Mapping[str, Any] | None
    error: str
    attempt: int
    attempts_before: int
    created_at: datetime
    updated_at: datetime

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def status(self) -> str:
        if self.state == "QUEUED":
            return "running" if self.attempt else "pending"
        return STATUSES.get(self.state) or self.state.lower()

    @property
    def steps(self) -> list[Step]:
        current = (self.current.id, self.current.label) if self.current else None
        return steps_of(self.entries, current, is_waiting=self.state == "WAITING")

    def shown(self) -> dict[str, Any]:
        """On the wire."""
        return {
            "id": run_name(self.id),
            "workflowId": self.workflow,
            "status": self.status,
            "input": self._input(),
            "steps": [step.shown() for step in self.steps],
            "createdAt": iso_millis(self.created_at),
            "updatedAt": iso_millis(self.updated_at),
            **(ending_of(self.state, self.output, self.error) if self.has_ended else {}),
        }

    def _input(self) -> Mapping[str, Any]:
        if state := self.request.get("state"):
            return dict(state)
        asked = {"question": self.question} if self.question else {}
        return {**asked, **dict(self.request.get("form") or ())}


def ending_of(state: str, output: Mapping[str, Any] | None, error: str) -> dict[str, Any]:
    """`result` of a completed run, `error` of any other that has ended."""
    if state != "COMPLETED":
        return {"error": error}
    said = output or {}
    return {"result": said["json"] if said.get("json") is not None else value_of(str(said.get("text", "")).strip())}


async def read_run(pool: Pool, redis: Redis, run_id: UUID, *, access: Access | None) -> Run:
    """The run, if they can reach it; None can. Raises RunNotFound, DatabaseAway.

    A Redis that is away only makes the answer less exact.
    """
    async with borrowed(pool) as connection:
        row = await (await connection.execute(RUN, [run_id])).fetchone()
        if row is None:
            raise not_found(run_name(run_id))
        written, *facts = row
        run = Run((), None, *facts)
        if access and not (access.workspace_id == run.workspace_id and access.reaches(run.chatflow_id)):
            raise not_found(run_name(run_id))
        # Since an answer, the checkpoint has what is behind the run: what failed after an earlier answer is not.
        checkpoint = read_checkpoint(written) if written else None
        since = [run_id, run.attempts_before if checkpoint else 0]
        rows = await (await connection.execute(NODES, since)).fetchall()
        queued = await (await connection.execute(NEXT, since)).fetchone()
    entries = [*(checkpoint.done if checkpoint else ()), *(entry for (entry,) in rows)]
    if run.has_ended or run.state == "WAITING":
        return replace(run, entries=_trace(run) or entries, current=await _current(run, checkpoint, ""))
    if run.state == "RUNNING" and (live := _live(entries, (await tail_of(redis, run_id))[::-1])):
        return replace(run, entries=[*entries, *live[0]], current=live[1])
    if queued and not queued[0]:
        return replace(run, entries=entries)  # all nodes are behind it
    return replace(run, entries=entries, current=await _current(run, checkpoint, queued[0] if queued else ""))


def _live(
    written: Sequence[TraceEntry], events: Sequence[tuple[str, Mapping[str, Any]]]
) -> tuple[list[TraceEntry], Node | None] | None:
    """What the end of the run's log, oldest first, adds to what is written down, and the node that runs.

    None if it does not reach back so far.
    """
    known = written[-1] if written else None
    places = [
        number
        for number, (name, fields) in enumerate(events)
        if (fields.get("entry") == known if known else name == "RunStarted")
    ]
    if not places:
        return None
    # Passes of a loop may leave equal entries: what is written down are the first ones.
    behind = places[min(len(places), written.count(known)) - 1] if known else places[-1]
    ended: list[TraceEntry] = []
    begun: dict[str, Node] = {}
    for name, fields in events[behind + 1 :]:
        if name == "NodeStarted":
            begun[fields["node_id"]] = Node(fields["node_id"], fields["label"])
        elif name in ENDS_OF_NODES and fields["entry"]["status"] != STOPPED:
            begun.pop(fields["node_id"], None)
            ended.append(fields["entry"])
    return ended, next(reversed(begun.values()), None)


def _trace(run: Run) -> Sequence[TraceEntry]:
    trace: Sequence[TraceEntry] = (run.output or {}).get("agentFlowExecutedData") or ()
    return trace


async def _current(run: Run, checkpoint: Checkpoint | None, queued: str) -> Node | None:
    """The node that runs or waits; None if that is none, or not sure."""
    if run.has_ended or not run.attempt:
        return None
    if checkpoint and not queued:
        queued = checkpoint.node_id or checkpoint.snapshot["queue"][0]
    try:
        nodes = await in_scope(run.workspace_id, _nodes, run.version_id)
    except (OperationalError, InterfaceError) as exc:
        raise Unavailable(DATABASE_AWAY) from exc
    return next((node for node in nodes if node.id == queued or (not queued and node.begins)), None)


def not_found(name: str) -> RunNotFound:
    return RunNotFound(f"Run not found: {name[:100]!r} is the id of no run here")


@lru_cache(maxsize=512)
def _nodes(version_id: UUID) -> Sequence[Node]:
    """The nodes of a version, which never changes."""
    text = ChatflowVersion.objects.values_list("flow_data", flat=True).get(pk=version_id)
    try:
        drawn = [node.get("data") or {} for node in read_graph(text)["nodes"]]
    except FlowDataInvalid:
        return ()
    return [
        Node(str(data.get("id")), str(data.get("label") or data.get("name") or ""), data.get("name") == START)
        for data in drawn
    ]
