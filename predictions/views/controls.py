"""What key holders do with single runs: stop, pause, let go on, run again from a node on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from chatflows.access import check_flow_access
from chatflows.records import afind_flow
from forjinn.core.errors import NotFound, Unauthenticated
from forjinn.core.openapi import documented
from predictions import controls_openapi
from predictions.admission import TIED
from predictions.controls import OwnRun, cancel_run, find_own_run, fork_run, pause_run, retry_run
from predictions.idempotency import find_first, read_once
from predictions.limits import check_flow_rate
from predictions.requests import HumanAnswer, RequestInvalid, read_answer, read_object
from predictions.resumes import find_waiting_run, resume_prediction
from predictions.views.api import api_view, json_response
from predictions.web import web_process
from workspaces.access import access_of


@documented(post=controls_openapi.CANCEL)
@api_view(POST="executions:control")
async def cancel(request: HttpRequest, execution_id: str) -> HttpResponseBase:
    """Stop a run for good."""
    run = await _run(request, execution_id)
    await cancel_run(web_process(), run)
    return _accepted(run.id, "TERMINATED" if run.state != "RUNNING" else "INPROGRESS")


@documented(post=controls_openapi.PAUSE)
@api_view(POST="executions:control")
async def pause(request: HttpRequest, execution_id: str) -> HttpResponseBase:
    """Have a run wait before its next node."""
    run = await _run(request, execution_id)
    await pause_run(web_process(), run)
    return _accepted(run.id, "INPROGRESS")


@documented(post=controls_openapi.RESUME)
@api_view(POST="executions:control")
async def resume(request: HttpRequest, execution_id: str) -> HttpResponseBase:
    """Let a run go on that waits: with a decision, with a message, or as it is told to."""
    run = await _run(request, execution_id)
    process = web_process()
    once = read_once(request, "resume", run.id)
    await _count(request, run)
    if once and await find_first(process.pool, once):
        return _accepted(run.id, "INPROGRESS")
    answer = _answer(read_object(request))
    waiting = await find_waiting_run(process.pool, execution_id=run.id, answer=answer)
    await resume_prediction(process, run=waiting, answer=answer, is_streaming=True, once=once, has_caller=False)
    return _accepted(run.id, "INPROGRESS")


@documented(post=controls_openapi.FORK)
@api_view(POST="executions:control")
async def fork(request: HttpRequest, execution_id: str) -> HttpResponseBase:
    """Start a new run with what this one did before a node."""
    run = await _run_again(request, execution_id)
    body = read_object(request)
    from_node, version = body.get("fromNode"), body.get("version")
    if from_node is not None and (not isinstance(from_node, str) or not from_node):
        raise RequestInvalid("fromNode: expected the id of a node")
    if isinstance(version, float) and version.is_integer():
        version = int(version)  # JSON knows no whole numbers: 2.0 is one
    if version is not None and (isinstance(version, bool) or not isinstance(version, int) or not 0 <= version < 2**31):
        raise RequestInvalid("version: expected the number of a version")
    once = read_once(request, "fork", run.id)
    key_id = access_of(request).id
    forked = await fork_run(web_process(), run, key_id=key_id, from_node=from_node, version=version, once=once)
    return _accepted(forked, "INPROGRESS", status=201)


@documented(post=controls_openapi.RETRY)
@api_view(POST="executions:control")
async def retry(request: HttpRequest, execution_id: str) -> HttpResponseBase:
    """Start a new run where this one failed."""
    run = await _run_again(request, execution_id)
    once = read_once(request, "retry", run.id)
    retried = await retry_run(web_process(), run, key_id=access_of(request).id, once=once)
    return _accepted(retried, "INPROGRESS", status=201)


async def _run(request: HttpRequest, execution_id: str) -> OwnRun:
    access = access_of(request)
    try:
        wanted = UUID(execution_id)
    except ValueError:
        raise NotFound(f"Execution {execution_id[:64]} not found") from None
    run = await find_own_run(web_process().pool, execution_id=wanted, workspace_id=access.workspace_id)
    if not access.reaches(run.chatflow_id):
        raise NotFound(f"Execution {execution_id[:64]} not found")
    return run


async def _run_again(request: HttpRequest, execution_id: str) -> OwnRun:
    """A run that its caller may not only control but start anew."""
    run = await _run(request, execution_id)
    access = access_of(request)
    check_flow_access(access, "execute", kind=run.kind, flow_id=run.chatflow_id)
    flow = await afind_flow(run.chatflow_id)
    # People tend runs from the dashboard, which has no key; a key that may not ask may not have asked again either.
    if flow and access.kind == "key" and flow.apikey_id not in (None, access.id):
        raise Unauthenticated(TIED)
    await _count(request, run)
    return run


async def _count(request: HttpRequest, run: OwnRun) -> None:
    """The call in the limits of the run's flow; in those of its caller it is counted already."""
    if flow := await afind_flow(run.chatflow_id):
        await check_flow_rate(web_process().redis, flow, request.META.get("REMOTE_ADDR", ""))


def _answer(body: Mapping[str, Any]) -> HumanAnswer:
    if answer := read_answer(body):
        return answer
    if message := body.get("message"):
        if not isinstance(message, str) or "\0" in message:
            raise RequestInvalid("message: expected text")
        return HumanAnswer("message", message)
    return HumanAnswer("order")


def _accepted(execution_id: UUID, state: str, *, status: int = 202) -> HttpResponse:
    response = json_response({"executionId": str(execution_id), "state": state})
    response.status_code = status
    response.headers["Location"] = f"/api/v1/executions/{execution_id}"
    return response
