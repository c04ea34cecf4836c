"""Taking a turn: begin a session, let it go on with what its user says, stop it, and wait for what comes of that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from chatflows.models import new_object_id
from chatflows.records import FlowRecord, aflow_at
from forjinn.core.errors import Conflict, NotFound
from predictions.asking import begin
from predictions.commands import pause_runs, stop_runs
from predictions.doors.interactly.reading import Turn
from predictions.doors.interactly.refusals import Fault, RuleBroken, Unreadable
from predictions.doors.interactly.sessions import (
    Session,
    TurnReading,
    find_session,
    find_session_by_id,
    find_version,
    read_turn,
)
from predictions.idempotency import Once, find_first
from predictions.inputs import problems_of, question_in, request_of
from predictions.requests import HumanAnswer, PredictionRequest
from predictions.resumes import find_waiting_run, resume_prediction
from predictions.watch import Watcher
from predictions.web import WebProcess
from workspaces.access import Access

YES = ("proceed", "approve", "yes")
NO = ("reject", "no")
ONE_STEP = ("CHATFLOW", "ASSISTANT")  # kinds of flows that cannot be paused
NOT_FOUND = "Session not found"


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn that a key holder asks for. `wait_s`: how long they wait for its end."""

    process: WebProcess
    access: Access
    flow: FlowRecord
    turn: Turn
    once: Once | None
    wait_s: float
    timeout_s: float | None  # what a new run may take in all


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it. `is_stop`: nothing is to be told but that it ended."""

    reading: TurnReading
    is_replay: bool = False
    is_stop: bool = False


async def take_turn(asked: Asked) -> Taken:
    """Begin a session or let one go on, once however often it is asked for with one key.

    Raises NotFound for an unknown session or version, Conflict for one that takes no turn now, Unreadable and
    RuleBroken for a turn that does not fit, Unavailable within seconds.
    """
    if asked.turn.run_id is None:
        return await _begin(asked)
    session = await find_own_session(asked, asked.turn.run_id)
    match asked.turn.run_input.command:
        case "stop":
            return Taken(await _stop(asked, session), is_stop=True)
        case "pause":
            return Taken(await _pause(asked, session))
        # Who follows a turn may come when it has just ended.
        case "resume" if session.is_going_on or (session.status != "paused" and not _said(asked)):
            return Taken(await _watched(asked, session))
        case "resume" if session.status == "paused":
            return await _once(asked, lambda: _go_on(asked, session, HumanAnswer("order")))
    return await _once(asked, lambda: _go_on(asked, session, _answer(asked, session)))


async def find_own_session(asked: Asked, run_id: str) -> Session:
    """The flow's run of this id. Raises NotFound for one that is another flow's, or a neighbour's."""
    session = None
    if "\0" not in run_id and len(run_id) == 24:
        session = await find_session(asked.process.pool, object_id=run_id, workspace_id=asked.access.workspace_id)
    if session is None or session.chatflow_id != asked.flow.id:
        raise NotFound(NOT_FOUND)
    return session


async def _begin(asked: Asked) -> Taken:
    flow = await _chosen_version(asked)
    begun = await begin(
        asked.process,
        flow=flow,
        asked=_request(asked, flow),
        is_streaming=False,
        once=asked.once,
        has_caller=asked.wait_s > 0,
        timeout_s=asked.timeout_s,
        key_id=asked.access.id,
    )
    session = await _followed(asked, begun.watcher, asked.wait_s)
    reading = await read_turn(asked.process.pool, session, after=0)
    return Taken(reading, begun.is_replay)


async def _chosen_version(asked: Asked) -> FlowRecord:
    """The flow as it is to run: 0 and nothing mean the version that is active now."""
    turn, flow = asked.turn, asked.flow
    number = turn.version if turn.version is not None else turn.run_input.version_number
    if not number:
        return flow
    version_id = await find_version(asked.process.pool, flow.id, number)
    if version_id is None:
        raise NotFound(
            f"Workflow {flow.object_id} has no version {number}: "
            f"GET /workflows/v1/workflows/{flow.object_id}/versions lists those that it has"
        )
    return await aflow_at(flow, version_id)


def _request(asked: Asked, flow: FlowRecord) -> PredictionRequest:
    """The prediction that a first turn asks for. Raises Unreadable for variables that the flow's form does not take."""
    given = asked.turn.run_input
    if problems := problems_of(flow, given.variables):
        where = ("body", "run_input", "dynamic_variables")
        raise Unreadable([Fault((*where, *filter(None, [p.field])), p.message, "value_error") for p in problems])
    request = request_of(flow, given.variables)
    question = "" if flow.inputs else given.said or question_in(given.dynamic_variables)
    kept = {"door": {"by": str(asked.access.id), "runInput": dict(given.given)}}
    return replace(request, question=question, object_id=new_object_id(), beside=kept)


async def _once(asked: Asked, act: Callable[[], Awaitable[TurnReading]]) -> Taken:
    """The turn, or that of an earlier request with the same key."""
    if first := await _replayed(asked):
        return Taken(first, is_replay=True)
    try:
        return Taken(await act())
    except Conflict:
        # Another request with this key may have been faster, and the run no longer waits because of it.
        if first := await _replayed(asked):
            return Taken(first, is_replay=True)
        raise


async def _replayed(asked: Asked) -> TurnReading | None:
    if asked.once is None:
        return None
    first = await find_first(asked.process.pool, asked.once)
    if first is None:
        return None
    session = await _read(asked, first.execution_id)
    reading = await read_turn(asked.process.pool, session, after=first.attempt)
    if reading.is_going_on:
        watcher = asked.process.hub.watch(session.id, is_live=False, after=first.attempt)
        session = await _followed(asked, watcher, asked.wait_s)
        reading = await read_turn(asked.process.pool, session, after=first.attempt)
    return reading


async def _go_on(asked: Asked, session: Session, answer: HumanAnswer) -> TurnReading:
    process, has_caller = asked.process, asked.wait_s > 0
    watcher = process.hub.watch(session.id, is_live=has_caller, after=session.attempt)
    try:
        waiting = await find_waiting_run(process.pool, execution_id=session.id, answer=answer)
        if waiting.attempt != session.attempt:
            raise Conflict(f"Run {session.object_id} was answered by another call at the same time")
        await resume_prediction(
            process, run=waiting, answer=answer, is_streaming=False, once=asked.once, has_caller=has_caller
        )
    except BaseException:
        watcher.close()
        raise
    after = await _followed(asked, watcher, asked.wait_s)
    return await read_turn(process.pool, after, after=session.attempt)


def _answer(asked: Asked, session: Session) -> HumanAnswer:
    """What the user says to a session that waits for that. Raises Conflict if it does not, RuleBroken."""
    name, said = session.object_id, _said(asked)
    if session.is_over:
        raise Conflict(f"Run {name} is {session.status} and takes no more turns: begin another one without run_id")
    if session.status == "paused":
        raise Conflict(f"Run {name} is paused: send the command resume first")
    if session.is_going_on:
        raise Conflict(f"Run {name} is {session.status} and waits for no message: send the command resume to follow it")
    if not said:
        raise RuleBroken(
            "User message missing",
            f"Run {name} waits for its user: send a message of type human in thread_to_node_inputs, or "
            "dynamic_variables.user_message",
        )
    return HumanAnswer("message", said) if session.wait_kind == "message" else _decision(session, said)


def _said(asked: Asked) -> str:
    given = asked.turn.run_input
    return given.said or question_in(given.dynamic_variables)


def _decision(session: Session, said: str) -> HumanAnswer:
    """Yes or no, in the words of the buttons or in plain ones; what stands behind a colon is why."""
    labels = (session.action or {}).get("mapping") or {}
    yes, no = str(labels.get("approve", "Proceed")), str(labels.get("reject", "Reject"))
    word, _, why = said.strip().partition(":")
    word = word.strip().lower()
    if word in (yes.lower(), *YES):
        return HumanAnswer("proceed", why.strip())
    if word in (no.lower(), *NO):
        return HumanAnswer("reject", why.strip())
    raise RuleBroken(
        "Decision expected",
        f"Run {session.object_id} waits for a decision: say '{yes}' or '{no}', and why behind a colon",
    )


async def _stop(asked: Asked, session: Session) -> TurnReading:
    """End the session now. One that was stopped before is told of again."""
    process = asked.process
    if session.status != "cancelled" and not await stop_runs(process.pool, process.redis, [session.id]):
        session = await _read(asked, session.id)
        if session.status != "cancelled":
            raise Conflict(f"Run {session.object_id} is {session.status}: there is nothing to stop")
    return await _watched(asked, session)


async def _pause(asked: Asked, session: Session) -> TurnReading:
    """Have the session wait before its next node; one that waits already has nothing to pause."""
    if session.status != "paused":
        process = asked.process
        if asked.flow.kind in ONE_STEP:
            raise Conflict(f"Run {session.object_id} is one step, with no place to pause at: stop it instead")
        if not await pause_runs(process.pool, process.redis, [session.id]):
            session = await _read(asked, session.id)
            if session.status != "paused":
                raise Conflict(
                    f"Run {session.object_id} is {session.status} and not at work: there is nothing to pause"
                )
    return await _watched(asked, session)


async def _watched(asked: Asked, session: Session) -> TurnReading:
    """The session's turn, once it has come to a stop."""
    if session.state in ("QUEUED", "RUNNING"):
        watcher = asked.process.hub.watch(session.id, is_live=False, after=session.attempts_before)
        session = await _followed(asked, watcher, asked.wait_s)
    else:
        session = await _read(asked, session.id)
    return await read_turn(asked.process.pool, session)


async def _followed(asked: Asked, watcher: Watcher, wait_s: float) -> Session:
    """The run behind the watcher, once it has ended, waits for somebody, or the time is over. Closes the watcher."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while True:
        with contextlib.closing(watcher):
            settled = await watcher.settled(timeout_s=deadline - loop.time())
        session = await _read(asked, watcher.execution_id)
        left_s = deadline - loop.time()
        if settled is None or not session.is_going_on or left_s <= 0 or not _goes_on_within(session, left_s):
            return session
        after = session.attempts_before if session.wait_kind is None else session.attempt
        watcher = asked.process.hub.watch(session.id, is_live=False, after=after)


def _goes_on_within(session: Session, left_s: float) -> bool:
    """Whether it is worth while to wait: a timer tells when it ends, an event does not."""
    if session.wait_kind is None:
        return True
    due = session.wait_due_at
    return session.wait_kind == "timer" and due is not None and (due - datetime.now(UTC)).total_seconds() < left_s


async def _read(asked: Asked, execution_id: UUID) -> Session:
    session = await find_session_by_id(
        asked.process.pool, execution_id=execution_id, workspace_id=asked.access.workspace_id
    )
    if session is None:
        raise NotFound(NOT_FOUND)
    return session
