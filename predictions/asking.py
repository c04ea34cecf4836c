"""What a request to ask a flow leads to: a new run, one that waited and goes on, or the run of an earlier request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict
from uuid import UUID

from chatflows.records import FlowRecord
from forjinn.core.errors import Conflict
from predictions.idempotency import First, Once, find_first
from predictions.requests import HumanAnswer, PredictionRequest
from predictions.reservations import given_back, payer_of, release, reserve
from predictions.resumes import WaitingRun, find_asking, find_waiting, resume_prediction
from predictions.services import new_execution_id, start_prediction
from predictions.watch import Watcher
from predictions.web import WebProcess


class Conversation(TypedDict):
    """What a conversation is found by: its session's id is nothing without whose it is."""

    flow: FlowRecord
    session_id: str
    end_user: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A run to follow. Whoever gets it closes the watcher. `is_replay`: an earlier request with its key began it."""

    execution_id: UUID
    watcher: Watcher
    is_replay: bool = False


async def begin(
    process: WebProcess,
    *,
    flow: FlowRecord,
    asked: PredictionRequest,
    is_streaming: bool,
    once: Once | None = None,
    has_caller: bool = True,
    timeout_s: float | None = None,
    key_id: UUID | None = None,
) -> Begun:
    """Start a run, or let the one go on that waits for what is asked; once, however many say so with one key.

    `has_caller`: somebody waits in this process for what the run says; `timeout_s`: what a new run may take in all;
    `key_id`: that of the key of the flow's workspace which asks, if one does. Raises Conflict and RequestInvalid for an
    answer that nothing waits for, KeyReused, TooManyRequests, and Unavailable within seconds when it cannot be done.
    """
    if key_id is not None:
        asked = replace(asked, beside={**asked.beside, "key": str(key_id)})
    if once is None:
        return await _begin(process, flow, asked, is_streaming, None, has_caller, timeout_s)
    if first := await find_first(process.pool, once):
        return _attached(process, first)
    try:
        return await _begin(process, flow, asked, is_streaming, once, has_caller, timeout_s)
    except Conflict:
        # Another request with this key may have been faster, and the run no longer waits because of it.
        if first := await find_first(process.pool, once):
            return _attached(process, first)
        raise


async def _begin(
    process: WebProcess,
    flow: FlowRecord,
    asked: PredictionRequest,
    is_streaming: bool,
    once: Once | None,
    has_caller: bool,
    timeout_s: float | None,
) -> Begun:
    answer, waiting = await _answer(process, flow, asked)
    if waiting and answer:
        return await _resume(process, waiting, answer, is_streaming=is_streaming, once=once, has_caller=has_caller)
    execution_id = new_execution_id()
    payer = payer_of(flow.workspace_id, flow.id, asked.beside)
    await reserve(process.redis, process.pool, payer, execution_id)
    # Before the run can say anything, so that nothing is missed.
    watcher = process.hub.watch(execution_id, is_live=has_caller)
    try:
        async with given_back(process.redis, payer, execution_id):
            is_new = await start_prediction(
                process,
                flow=flow,
                request=asked,
                execution_id=execution_id,
                is_streaming=is_streaming,
                once=once,
                has_caller=has_caller,
                timeout_s=timeout_s,
            )
    except BaseException:
        watcher.close()
        raise
    if is_new:
        return Begun(execution_id, watcher)
    watcher.close()
    await release(process.redis, payer, execution_id)
    first = await find_first(process.pool, once) if once else None
    if first is None:
        raise Conflict("The request with this key that came first was deleted meanwhile: send it again")
    return _attached(process, first)


async def _resume(
    process: WebProcess,
    waiting: WaitingRun,
    answer: HumanAnswer,
    *,
    is_streaming: bool,
    once: Once | None,
    has_caller: bool,
) -> Begun:
    watcher = process.hub.watch(waiting.id, is_live=has_caller, after=waiting.attempt)
    try:
        await resume_prediction(
            process, run=waiting, answer=answer, is_streaming=is_streaming, once=once, has_caller=has_caller
        )
    except BaseException:
        watcher.close()
        raise
    return Begun(waiting.id, watcher)


async def _answer(
    process: WebProcess, flow: FlowRecord, asked: PredictionRequest
) -> tuple[HumanAnswer | None, WaitingRun | None]:
    """The run that waits for what is asked, if one does, and what it is told."""
    conversation: Conversation = {"flow": flow, "session_id": asked.session_id, "end_user": asked.end_user}
    if asked.answer:
        waiting = await find_waiting(process.pool, answer=asked.answer, **conversation)
        return asked.answer, waiting
    if asked.question and (asking := await find_asking(process.pool, **conversation)):
        return HumanAnswer("message", asked.question), asking
    return None, None


def _attached(process: WebProcess, first: First) -> Begun:
    watcher = process.hub.watch(first.execution_id, is_live=False, after=first.attempt)
    return Begun(first.execution_id, watcher, is_replay=True)
