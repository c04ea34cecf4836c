"""The calls of this API. Plain asynchronous views: translate to a start, a look or an answer, and show the run."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from forjinn.core.errors import error_response
from forjinn.core.openapi import documented
from forjinn.core.permissions import OWN
from predictions.asking import begin
from predictions.doors.chatterfly import openapi
from predictions.doors.chatterfly.access import Caller, find_deployed_flow, find_own_run, read_caller, read_key
from predictions.doors.chatterfly.answers import say
from predictions.doors.chatterfly.refusals import UpgradeNeeded
from predictions.doors.chatterfly.requests import asked_for, read_new_run, read_role, read_said
from predictions.doors.chatterfly.showing import shown_messages, shown_run
from predictions.doors.chatterfly.tokens import mint
from predictions.idempotency import REPLAYED, read_once
from predictions.limits import check_look, check_rate
from predictions.preferences import Preference, time_of
from predictions.reading import RunReading, run_name
from predictions.views.api import api_view, json_response
from predictions.web import web_process


@documented(post=openapi.START)
@api_view(POST=OWN)
async def start(request: HttpRequest) -> HttpResponseBase:
    """Start a run of the deployment that the key stands for."""
    deployment = await read_key(request.headers)
    flow = await find_deployed_flow(deployment.chatflow_id, deployment.version_id)
    process = web_process()
    await check_rate(process.redis, flow, request.META.get("REMOTE_ADDR", ""), deployment.apikey_id)
    asked = await asked_for(process, flow, deployment, read_new_run(request, flow))
    begun = await begin(
        process,
        flow=flow,
        asked=asked,
        is_streaming=flow.is_streamable,
        once=read_once(request, flow.workspace_id, deployment.id),
        has_caller=False,
        timeout_s=time_of(flow, Preference()),
        key_id=deployment.apikey_id,
    )
    begun.watcher.close()
    response = json_response({"run_id": run_name(begun.execution_id), "status": "pending"})
    response.status_code = 202
    response.headers["Location"] = f"{request.path}/{run_name(begun.execution_id)}"
    return _replayed(response) if begun.is_replay else response


@documented(get=openapi.LOOK)
@api_view(GET=OWN)
async def look(request: HttpRequest, run_id: str) -> HttpResponseBase:
    """How a run stands."""
    run, caller = await _own_run(request, run_id)
    await _count(request, run, caller)
    return json_response(shown_run(run, is_participant=caller.is_participant))


@documented(get=openapi.MESSAGES, post=openapi.SAY)
@api_view(GET=OWN, POST=OWN)
async def messages(request: HttpRequest, run_id: str) -> HttpResponseBase:
    """What was said in a run; or, to one that waits for it, what is said next."""
    run, caller = await _own_run(request, run_id)
    if request.method == "GET":
        await _count(request, run, caller)
        return json_response([message for _, message in shown_messages(run)])
    once = read_once(request, run.workspace_id, run.id)
    address, said = request.META.get("REMOTE_ADDR", ""), read_said(request)
    is_new = await say(web_process(), run, said, address=address, key_id=caller.key_id, once=once)
    response = json_response({"run_id": run_name(run.id), "status": "running"})
    response.status_code = 202
    return response if is_new else _replayed(response)


@api_view(GET=OWN)
async def stream(request: HttpRequest, run_id: str) -> HttpResponseBase:
    """A plain request where a WebSocket is; `predictions.doors.chatterfly.stream` answers those."""
    await _own_run(request, run_id)
    response = error_response(UpgradeNeeded("This is a WebSocket: connect to it with ws:// or wss://"), request)
    response.headers["Upgrade"] = "websocket"
    return response


@documented(post=openapi.MINT)
@api_view(POST=OWN)
async def tokens(request: HttpRequest, run_id: str) -> HttpResponseBase:
    """A token for a participant of a run."""
    deployment = await read_key(request.headers)
    run = await find_own_run(run_id, Caller(deployment.id))
    await _count(request, run, Caller(deployment.id, key_id=deployment.apikey_id))
    token = mint(run_id=run.id, role=read_role(request), deployment_id=deployment.id)
    response = json_response({"participant_token": token})
    response.headers["Cache-Control"] = "no-store"
    return response


async def _own_run(request: HttpRequest, run_id: str) -> tuple[RunReading, Caller]:
    caller = await read_caller(request.headers, request.GET)
    return await find_own_run(run_id, caller), caller


async def _count(request: HttpRequest, run: RunReading, caller: Caller) -> None:
    await check_look(run.workspace_id, request.META.get("REMOTE_ADDR", ""), caller.key_id)


def _replayed(response: HttpResponse) -> HttpResponse:
    response.headers[REPLAYED] = "true"
    return response
