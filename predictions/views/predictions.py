"""The prediction call and what its clients ask around it. Plain asynchronous views: no thread waits for a model."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from chatflows.records import FlowRecord, afind_flow
from forjinn.core.errors import (
    AppError,
    Forbidden,
    NotFound,
    TooManyRequests,
    Unavailable,
    error_headers,
)
from forjinn.core.openapi import documented
from forjinn.core.permissions import BY_FLOW, PUBLIC
from forjinn.core.rates import RateLimited
from forjinn.core.scopes import system_scope
from predictions import openapi
from predictions.admission import Caller, NotRunnable, OriginForbidden, admit, find_callable_flow, let_in, needed_access
from predictions.asking import Begun, begin
from predictions.commands import request_stop
from predictions.flowise import FrameRenderer
from predictions.idempotency import REPLAYED, read_once
from predictions.limits import check_visit, is_of_author, known_id, own_key_id
from predictions.passes import Pass
from predictions.preferences import NONE, Preference, read_preference, time_of, wants_brief
from predictions.publicity import public_config
from predictions.requests import PredictionRequest, RequestInvalid, asks_for_stream, read_request
from predictions.seats import Seat, take_seat
from predictions.services import RunFailedError, find_run
from predictions.speakers import apart, speaker_of
from predictions.sse import Frames, stream_response
from predictions.store import Store
from predictions.stream import EntryId
from predictions.views.api import api_view, json_response, read_caller
from predictions.web import web_process

AnyResponse = TypeVar("AnyResponse", bound=HttpResponseBase)


@documented(post=openapi.PREDICT)
@api_view(POST=BY_FLOW)
async def predict(request: HttpRequest, chatflow_id: str) -> HttpResponseBase:
    """Ask a chatflow: the whole answer as JSON, or as it comes when streaming is asked for and the flow can.

    With `Last-Event-ID` nothing is asked: the stream that this id belongs to continues after it.
    """
    caller = await read_caller(request)
    if last := request.headers.get("Last-Event-ID"):
        execution_id, _, after = last.partition(":")
        flow = await find_callable_flow(chatflow_id, caller)
        speaker = await speaker_of(request, flow, caller)
        return await follow(request, flow, _uuid(execution_id), after, caller, speaker=speaker)
    process = web_process()
    try:
        flow = await admit(process.redis, chatflow_id, caller, has_body=bool(request.body))
        return await _run(request, flow, caller)
    except (TooManyRequests, OriginForbidden) as exc:
        # A widget that asked for a stream shows the body of this refusal as it is.
        if (isinstance(exc, RateLimited) and is_of_author(exc)) or asks_for_stream(request):
            return _plain_refusal(exc)
        raise


async def _run(request: HttpRequest, flow: FlowRecord, caller: Caller) -> HttpResponseBase:
    asked = read_request(request)
    asked = replace(asked, end_user=await speaker_of(request, flow, caller, asked.end_user_token))
    preference = read_preference(request)
    whose = [part for part in (apart(asked.end_user, caller.address),) if part]
    once = read_once(request, flow.workspace_id, flow.id, caller.access.id if caller.access else "", *whose)
    is_streaming, key_id = asked.wants_stream and flow.is_streamable, own_key_id(caller.access, flow)
    with contextlib.ExitStack() as leaving:
        has_seat = is_streaming and preference.wait_s is None
        seat = take_seat(caller.address, known_id(caller.access, flow)) if has_seat else None
        if seat is not None:
            leaving.callback(seat.close)
        begun = await begin(
            web_process(),
            flow=flow,
            asked=asked,
            is_streaming=is_streaming,
            once=once,
            has_caller=preference.wait_s != 0,
            timeout_s=time_of(flow, preference),
            key_id=key_id,
        )
        leaving.pop_all()  # from here on the stream leaves
    if seat is not None:
        return streamed_answer(begun, asked, preference, seat, _pass(request, caller))
    if preference.wait_s is None:
        return await whole_answer(begun, asked, preference)
    with contextlib.closing(begun.watcher):
        settled = await begun.watcher.settled(timeout_s=min(preference.wait_s, _longest_s()))
    if settled is None:
        return _marked(_accepted(begun.execution_id, asked, preference), begun)
    return _marked(_answer(settled, begun.execution_id, asked, preference), begun)


def streamed_answer(
    begun: Begun,
    asked: PredictionRequest,
    preference: Preference = NONE,
    seat: Seat | None = None,
    shown: Pass | None = None,
) -> HttpResponseBase:
    """The run's frames as they come."""
    renderer = FrameRenderer(
        question=asked.question, chat_id=asked.chat_id, session_id=asked.session_id, is_brief=preference.is_brief
    )
    closing = web_process().closing
    frames = Frames(begun.watcher, renderer, after=EntryId(0, 0), closing=closing, seat=seat, shown=shown)
    return _marked(stream_response(frames, execution_id=str(begun.execution_id)), begun)


async def whole_answer(begun: Begun, asked: PredictionRequest, preference: Preference = NONE) -> HttpResponseBase:
    """The run's answer, once it is there. Raises RunFailedError, Unavailable if it takes longer than a run may."""
    with contextlib.closing(begun.watcher):
        settled = await begun.watcher.settled(timeout_s=_longest_s())
    return _marked(_answer(settled, begun.execution_id, asked, preference), begun)


def _longest_s() -> float:
    return settings.PREDICTION_TIMEOUT_S + 5


def _marked(response: AnyResponse, begun: Begun) -> AnyResponse:
    if begun.is_replay:
        response.headers[REPLAYED] = "true"
    return response


def _accepted(execution_id: UUID, asked: PredictionRequest, preference: Preference) -> HttpResponse:
    """The run goes on by itself; where to look for its answer."""
    body = {
        "executionId": str(execution_id),
        "chatId": asked.chat_id,
        "sessionId": asked.session_id,
        "state": "INPROGRESS",
    }
    response = json_response(body)
    response.status_code = 202
    response.headers["Location"] = f"/api/v1/executions/{execution_id}"
    if preference.applied:
        response.headers["Preference-Applied"] = preference.applied
    return response


def _answer(
    settled: Mapping[str, Any] | None, execution_id: UUID, asked: PredictionRequest, preference: Preference
) -> HttpResponseBase:
    where = f"/api/v1/executions/{execution_id}"
    if settled is None:
        raise Unavailable(f"The answer is not ready yet; look it up at {where}")
    if settled["state"] == "FAILED":
        raise RunFailedError(settled["error"], settled["error_code"])
    body = dict(settled["output"] or {"text": "", "executionId": str(execution_id), "chatId": asked.chat_id})
    if settled["state"] == "CANCELLED":
        body["warnings"] = [*body.get("warnings", ()), settled["error"]]
    if preference.is_brief:
        body.pop("agentFlowExecutedData", None)
    response = json_response(body)
    if preference.applied:
        response.headers["Preference-Applied"] = preference.applied
    return response


async def follow(
    request: HttpRequest, flow: FlowRecord, execution_id: UUID, after: str, caller: Caller, *, speaker: str
) -> HttpResponseBase:
    """The stream of a run of this flow, after the given frame. A speaker without a key follows their own runs alone."""
    try:
        position = EntryId.parse(after) if after else EntryId(0, 0)
    except ValueError:
        raise RequestInvalid("Last-Event-ID: expected the id of an event of this stream") from None
    process = web_process()
    run = await find_run(process.pool, execution_id=execution_id, chatflow_id=flow.id)
    if speaker and run.end_user != speaker:
        raise NotFound(f"Execution {execution_id} not found")
    renderer = FrameRenderer(
        question=run.question,
        chat_id=run.chat_id,
        session_id=run.session_id,
        said=position.said,
        is_brief=wants_brief(request),
    )
    # An earlier part of the run, up to a pause, is read from the beginning: only its own end says where it ended.
    is_earlier = after and position.attempt <= run.attempts_before
    before = 0 if is_earlier else run.attempts_before
    known = known_id(caller.access, flow)
    await check_visit(process.redis, flow, caller.address, known)
    seat = take_seat(caller.address, known)
    watcher = process.hub.watch(execution_id, is_live=False, after=before, is_new=not after)
    shown = _pass(request, caller)
    frames = Frames(watcher, renderer, after=position, closing=process.closing, seat=seat, shown=shown)
    return stream_response(frames, execution_id=str(execution_id))


def _pass(request: HttpRequest, caller: Caller) -> Pass | None:
    """What the caller has shown; None of strangers, to whom the flow is open."""
    if caller.access is None:
        return None
    workspace_id = caller.access.workspace_id

    async def show() -> None:
        # Who loses their place in one workspace works in another that they are in.
        if needed_access(await read_caller(request)).workspace_id != workspace_id:
            raise Forbidden("You work in another workspace by now")

    return Pass(show)


@documented(get=openapi.FOLLOW)
@api_view(GET=BY_FLOW)
async def execution_stream(request: HttpRequest, execution_id: str) -> HttpResponseBase:
    """The stream of a run from its beginning, or after `Last-Event-ID`; whoever may ask the flow may follow it."""
    with system_scope():  # whose it is decides who may follow it
        run = await find_run(web_process().pool, execution_id=_uuid(execution_id))
    caller = await read_caller(request)
    try:
        flow = await find_callable_flow(str(run.chatflow_id), caller)
    except NotFound:
        found = await afind_flow(run.chatflow_id)
        if found is not None and own_key_id(caller.access, found) is not None:
            raise
        # In the words of a run that does not exist: a stranger learns neither that it does, nor its flow's id.
        raise NotFound(f"Execution {run.id} not found") from None
    last = request.headers.get("Last-Event-ID") or request.GET.get("lastEventId", "")
    speaker = await speaker_of(request, flow, caller, request.GET.get("endUserToken", ""))
    return await follow(request, flow, run.id, last.rpartition(":")[2], caller, speaker=speaker)


@documented(get=openapi.IS_STREAMING)
@api_view(GET=PUBLIC)
async def is_streaming(request: HttpRequest, chatflow_id: str) -> HttpResponseBase:
    """Whether this flow answers with a stream when asked to. Clients with keys ask this without theirs."""
    flow = await _find_flow(chatflow_id)
    return json_response({"isStreaming": flow.is_streamable})


@documented(get=openapi.CHATBOT_CONFIG)
@api_view(GET=BY_FLOW)
async def chatbot_config(request: HttpRequest, chatflow_id: str) -> HttpResponseBase:
    """What the chat widget needs of a flow, and nothing else of it."""
    flow, _ = await _find_open_flow(request, chatflow_id)
    return json_response(public_config(flow, await Store(web_process().pool).flow_data(flow.version_id)))


@documented(put=openapi.ABORT)
@api_view(PUT=BY_FLOW)
async def abort(request: HttpRequest, chatflow_id: str, chat_id: str) -> HttpResponseBase:
    """Stop what runs in a conversation. Open like the flow; nothing running is no error."""
    flow, caller = await _find_open_flow(request, chatflow_id)
    process, speaker = web_process(), await speaker_of(request, flow, caller)
    await request_stop(process.pool, process.redis, chatflow_id=flow.id, chat_id=chat_id, end_user=speaker)
    return json_response({"status": 200, "message": "Chat message aborted"})


async def _find_open_flow(request: HttpRequest, chatflow_id: str) -> tuple[FlowRecord, Caller]:
    """The flow, deployed or not, if this caller may ask it when it is; and who that is."""
    flow, caller = await _find_flow(chatflow_id), await read_caller(request)
    await check_visit(web_process().redis, flow, caller.address, known_id(caller.access, flow))
    let_in(flow, caller, chatflow_id)
    return flow, caller


async def _find_flow(chatflow_id: str) -> FlowRecord:
    flow = await afind_flow(_flow_uuid(chatflow_id))
    if flow is None:
        raise NotFound(f"Chatflow {chatflow_id} not found")
    return flow


def _flow_uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotRunnable("Invalid Chatflow ID") from None


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"Execution {text} not found") from None


def _plain_refusal(refusal: AppError) -> HttpResponse:
    """The words alone, as the flow's author wrote them."""
    shown = error_headers(refusal)
    return HttpResponse(refusal.message, content_type="text/plain; charset=utf-8", status=refusal.status, headers=shown)
