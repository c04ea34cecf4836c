"""The calls of this API: turns of sessions, the runs that were begun here, the versions that they may begin with."""

from __future__ import annotations

from functools import partial

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from chatflows.access import check_flow_access, either
from chatflows.records import FlowRecord, afind_named_flow
from forjinn.core.errors import Forbidden, NotFound
from forjinn.core.openapi import documented
from predictions.admission import admit, find_callable_flow
from predictions.doors.interactly import openapi
from predictions.doors.interactly.graphs import Drawing, drawing_of
from predictions.doors.interactly.reading import (
    OBJECT_ID,
    ORDERS,
    Turn,
    check_workflow_id,
    read_body,
    read_filter,
    read_run_input,
)
from predictions.doors.interactly.records import run_record, turn_answer, version_record
from predictions.doors.interactly.sessions import (
    STATUSES,
    Session,
    find_session,
    list_sessions,
    list_versions,
    read_turn,
    read_turns,
)
from predictions.doors.interactly.turns import NOT_FOUND, Asked, Taken, take_turn
from predictions.idempotency import REPLAYED, read_once
from predictions.limits import check_caller
from predictions.preferences import read_preference, time_of
from predictions.views.api import api_view, identify, json_response, read_caller
from predictions.web import web_process
from workspaces.access import Access, access_of

TURN_WAIT_S = 25.0  # clients of this API hang up after 30
NO_DRAWING = Drawing()


async def _identify(request: HttpRequest) -> Access:
    """Raises Unauthenticated without a key, Forbidden if the headers beside it name another team or user."""
    access = await identify(request)
    for name, own in (("teamid", access.workspace_id), ("uuid", access.id)):
        sent = request.headers.get(name)
        if sent is not None and sent.strip().lower() != str(own):
            raise Forbidden(f"The header {name} names another one than the API key's: leave it out")
    return access


interactly_view = partial(api_view, by=_identify)


@documented(post=openapi.EXECUTE)
@interactly_view(POST=either("execute"), counts_itself=True)
async def execute(request: HttpRequest, workflow_id: str) -> HttpResponseBase:
    """Take a turn: begin a session, let it go on, or stop it."""
    check_workflow_id(workflow_id)
    return await _turn_response(await _taken(request, workflow_id, read_body(request)))


@documented(post=openapi.PUMP)
@interactly_view(POST=either("execute"))
async def pump(request: HttpRequest, workflow_id: str, run_id: str) -> HttpResponseBase:
    """The turn that a session is in, as it stands: what clients ask again and again while it has background work."""
    check_workflow_id(workflow_id)
    access = access_of(request)
    flow = await _flow(workflow_id, access)
    await find_callable_flow(str(flow.id), await read_caller(request))
    check_flow_access(access, "execute", kind=flow.kind, flow_id=flow.id)
    pool = web_process().pool
    session = await find_session(pool, object_id=run_id, workspace_id=access.workspace_id) if _is_id(run_id) else None
    if session is None or session.chatflow_id != flow.id:
        raise NotFound(NOT_FOUND)
    return await _turn_response(Taken(await read_turn(pool, session)))


@documented(get=openapi.LIST_RUNS, post=openapi.START_OR_RESUME)
@interactly_view(GET="executions:view", POST=either("execute"), counts_itself=True)
async def workflow_runs(request: HttpRequest) -> HttpResponseBase:
    """The runs that were begun here; or a turn whose body is its input, and whose answer is the run's record."""
    if request.method == "GET":
        await check_caller(access_of(request))
        return await _listed(request, access_of(request))
    given = read_run_input(request)
    workflow_id = given.workflow_id or ""
    check_workflow_id(workflow_id, ("body", "workflow_id"))
    turn = Turn(given, given.workflow_run_id, None)
    taken = await _taken(request, workflow_id, turn)
    return await _recorded(taken.reading.session)


@documented(get=openapi.GET_RUN)
@interactly_view(GET="executions:view")
async def workflow_run(request: HttpRequest, run_id: str) -> HttpResponseBase:
    """One run, with all its turns."""
    access, pool = access_of(request), web_process().pool
    session = await find_session(pool, object_id=run_id, workspace_id=access.workspace_id) if _is_id(run_id) else None
    if session is None or not access.reaches(session.chatflow_id):
        raise NotFound("Workflow run not found")
    return await _recorded(session)


@documented(get=openapi.LIST_VERSIONS)
@interactly_view(GET=either("view"))
async def versions(request: HttpRequest, workflow_id: str) -> HttpResponseBase:
    """The versions of a workflow, newest first."""
    check_workflow_id(workflow_id)
    access = access_of(request)
    flow = await _flow(workflow_id, access)
    check_flow_access(access, "view", kind=flow.kind, flow_id=flow.id)
    found = await list_versions(web_process().pool, flow.id)
    return json_response({"versions": [version_record(flow.object_id, version) for version in found]})


async def _flow(workflow_id: str, access: Access) -> FlowRecord:
    flow = await afind_named_flow(access.workspace_id, workflow_id)
    if flow is None or not access.reaches(flow.id):
        raise NotFound(f"Workflow {workflow_id} not found")
    return flow


async def _taken(request: HttpRequest, workflow_id: str, turn: Turn) -> Taken:
    access, caller = access_of(request), await read_caller(request)
    flow, process = await _flow(workflow_id, access), web_process()
    # Who may not ask the flow any more, or not so often, may still stop what they began.
    if turn.run_input.command in ORDERS:
        await find_callable_flow(str(flow.id), caller)
    else:
        await admit(process.redis, str(flow.id), caller, has_body=True)
    # Also where the flow is public: here everybody has the rights of a key, not those of a visitor.
    check_flow_access(access, "execute", kind=flow.kind, flow_id=flow.id)
    preference = read_preference(request)
    wait_s = TURN_WAIT_S if preference.wait_s is None else min(preference.wait_s, TURN_WAIT_S)
    asked = Asked(
        process=process,
        access=access,
        flow=flow,
        turn=turn,
        once=read_once(request, flow.workspace_id, flow.id, access.id),
        wait_s=wait_s,
        timeout_s=time_of(flow, preference),
    )
    return await take_turn(asked)


async def _turn_response(taken: Taken) -> HttpResponse:
    drawing = await drawing_of(taken.reading.session.version_id)
    response = json_response(turn_answer(taken.reading, drawing, is_stop=taken.is_stop))
    if taken.is_replay:
        response.headers[REPLAYED] = "true"
    return response


async def _listed(request: HttpRequest, access: Access) -> HttpResponse:
    chosen = read_filter(request, STATUSES)
    flow = await afind_named_flow(access.workspace_id, chosen.workflow_id) if chosen.workflow_id else None
    if chosen.workflow_id and (flow is None or not access.reaches(flow.id)):
        return json_response({"workflow_runs": [], "total": 0})
    found, total = await list_sessions(
        web_process().pool, access=access, chatflow_id=flow.id if flow else None, chosen=chosen
    )
    return json_response({"workflow_runs": [run_record(session, (), NO_DRAWING) for session in found], "total": total})


async def _recorded(session: Session) -> HttpResponse:
    turns = await read_turns(web_process().pool, session)
    drawing = await drawing_of(session.version_id)
    return json_response({"workflow_run": run_record(session, turns, drawing)})


def _is_id(run_id: str) -> bool:
    return OBJECT_ID.fullmatch(run_id) is not None
