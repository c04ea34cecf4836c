"""Stepflow's endpoints. Plain asynchronous views: no thread waits for a run."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from chatflows.access import check_flow_access, either
from chatflows.records import FlowRecord, afind_named_flow
from forjinn.core.errors import NotFound
from forjinn.core.jsontext import to_json
from forjinn.core.openapi import documented
from forjinn.core.permissions import OWN, PUBLIC
from forjinn.core.scopes import system_scope
from forjinn.core.times import iso_millis
from predictions.admission import Caller, find_callable_flow
from predictions.asking import begin
from predictions.doors.stepflow import openapi
from predictions.doors.stepflow.access import read_caller, reading_access, token_of
from predictions.doors.stepflow.refusals import EventNotFound, WorkflowNotFound, stepflow_view
from predictions.doors.stepflow.runs import Run, not_found, read_run
from predictions.doors.stepflow.stream import Place, follow
from predictions.health import is_storage_up
from predictions.idempotency import REPLAYED, read_once
from predictions.inputs import problems_of, request_of
from predictions.limits import check_look, check_rate
from predictions.passes import Pass
from predictions.preferences import NONE, time_of
from predictions.reading import read_run_name, run_name
from predictions.requests import RequestInvalid, check_json
from predictions.resumes import report_event
from predictions.seats import take_seat
from predictions.views.api import json_response
from predictions.web import WebProcess, web_process
from workspaces.access import Access, access_of


@documented(post=openapi.TRIGGER)
@stepflow_view(POST=either("execute"), counts_itself=True)
async def trigger(request: HttpRequest, workflow_id: str) -> HttpResponseBase:
    """Start a run; the answer comes once it is written down."""
    access, process = access_of(request), web_process()
    flow = await _find_workflow(process, access, await read_caller(request), workflow_id)
    given = _read_input(request, flow)
    begun = await begin(
        process,
        flow=flow,
        asked=request_of(flow, given),
        is_streaming=flow.is_streamable,
        once=read_once(request, flow.workspace_id, flow.id, access.id),
        has_caller=False,
        timeout_s=time_of(flow, NONE),
        key_id=access.id,
    )
    begun.watcher.close()
    response = json_response({"runId": run_name(begun.execution_id), "publicAccessToken": token_of(begun.execution_id)})
    if begun.is_replay:
        response.headers[REPLAYED] = "true"
    return response


@documented(get=openapi.GET_RUN)
@stepflow_view(GET=("executions:view", OWN))
async def run(request: HttpRequest, run_id: str) -> HttpResponseBase:
    """How a run stands."""
    found = await _find_run(request, run_id)
    return HttpResponse(to_json(found.shown()), content_type="application/json")


@documented(get=openapi.STREAM)
@stepflow_view(GET=("executions:view", OWN))
async def stream(request: HttpRequest, run_id: str) -> HttpResponseBase:
    """A run's events, from the first or after one, to its end."""
    found = await _find_run(request, run_id)
    last, in_query = Place.read(request.headers.get("Last-Event-ID")), Place.read(request.GET.get("lastEventId"))
    place = last or in_query or Place()
    if place.is_over and found.has_ended:
        return HttpResponse(status=204)  # tells browsers not to come back
    access = await reading_access(request, found.id)
    seat = take_seat(request.META.get("REMOTE_ADDR", ""), access.id if access else None)
    return follow(web_process(), found, place, seat, Pass(lambda: reading_access(request, found.id)))


@documented(post=openapi.NOTIFY)
@stepflow_view(POST="executions:control")
async def notify(request: HttpRequest, event_id: str) -> HttpResponseBase:
    """Let every run go on that waits for this event."""
    access = access_of(request)
    access.check_unlimited("events")
    data, once = _read_json(request), read_once(request, access.workspace_id, "stepflow events", access.id)
    process, is_name = web_process(), "\0" not in event_id
    if not is_name or not await report_event(
        process, workspace_id=access.workspace_id, event=event_id, data=data, once=once
    ):
        raise EventNotFound(
            f"Event not found: no run waits for {event_id[:255]}, and what nobody waits for is not kept"
        )
    return json_response({"success": True})


@documented(get=openapi.HEALTH)
@stepflow_view(GET=PUBLIC)
async def health(request: HttpRequest) -> HttpResponseBase:
    """Whether runs can be written down and started; public."""
    is_up = await is_storage_up()
    response = json_response({"status": "ok" if is_up else "error", "timestamp": iso_millis(datetime.now(UTC))})
    response.status_code = 200 if is_up else 503
    return response


@documented(get=openapi.DOCUMENT)
@stepflow_view(GET=PUBLIC)
async def document(request: HttpRequest) -> HttpResponseBase:
    """What this API is; public."""
    return HttpResponse(openapi.document(), content_type="application/yaml")


@stepflow_view(GET=PUBLIC, POST=PUBLIC, PUT=PUBLIC, PATCH=PUBLIC, DELETE=PUBLIC)
async def nothing(request: HttpRequest) -> HttpResponseBase:
    """Every other address below this API's prefix."""
    raise NotFound(f"Nothing here: {request.method} {request.path[:200]}")


async def _find_workflow(process: WebProcess, access: Access, caller: Caller, workflow_id: str) -> FlowRecord:
    """The deployed flow of that name, within its rate limit. Raises WorkflowNotFound and other refusals."""
    flow = await afind_named_flow(access.workspace_id, workflow_id)
    if flow is None or not access.reaches(flow.id):
        raise WorkflowNotFound(f"Workflow not found: no flow here has the slug or id {workflow_id[:100]!r}")
    await check_rate(process.redis, flow, caller.address, access.id)
    # Also where the flow is public: here everybody has the rights of a key, not those of a visitor.
    check_flow_access(access, "execute", kind=flow.kind, flow_id=flow.id)
    try:
        return await find_callable_flow(str(flow.id), caller)
    except NotFound as exc:
        raise WorkflowNotFound(f"Workflow not found: {exc.message}") from exc


async def _find_run(request: HttpRequest, name: str) -> Run:
    """A run of the caller's workspace, or of their token. Raises Unauthenticated, RunNotFound."""
    run_id = read_run_name(name)
    access = await reading_access(request, run_id)
    if run_id is None:
        raise not_found(name)
    process = web_process()
    # A token names its run, and no workspace.
    with contextlib.nullcontext() if access else system_scope():
        found = await read_run(process.pool, process.redis, run_id, access=access)
    await check_look(found.workspace_id, request.META.get("REMOTE_ADDR", ""), access.id if access else None)
    return found


def _read_input(request: HttpRequest, flow: FlowRecord) -> Mapping[str, Any]:
    """The run's input. Raises RequestInvalid that names every field that does not fit."""
    given = _read_json(request, when_empty={})
    if not isinstance(given, dict):
        raise RequestInvalid("The input must be a JSON object")
    if problems := problems_of(flow, given):
        raise RequestInvalid("; ".join(f"{problem.field or 'The input'} {problem.message}" for problem in problems))
    return given


def _read_json(request: HttpRequest, *, when_empty: Any = None) -> Any:
    try:
        said = orjson.loads(request.body) if request.body else when_empty
    except orjson.JSONDecodeError as exc:
        raise RequestInvalid(f"The body is not valid JSON: {exc}") from exc
    check_json("The body", said)
    return said
