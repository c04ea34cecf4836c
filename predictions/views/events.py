"""Events that runs wait for, reported by key holders of their workspace."""

from __future__ import annotations

from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponseBase

from forjinn.core.errors import NotFound
from forjinn.core.openapi import documented
from predictions import openapi
from predictions.idempotency import read_once
from predictions.requests import RequestInvalid, check_json
from predictions.resumes import report_event
from predictions.views.api import api_view, json_response
from predictions.web import web_process
from workspaces.access import access_of


@documented(post=openapi.REPORT_EVENT)
@api_view(POST="executions:control")
async def report(request: HttpRequest, event: str) -> HttpResponseBase:
    """Let the runs go on that wait for this event; the body, any JSON, is what their nodes put out."""
    access = access_of(request)
    access.check_unlimited("events")
    try:
        data = orjson.loads(request.body) if request.body else None
    except orjson.JSONDecodeError as exc:
        raise RequestInvalid(f"The body is not valid JSON: {exc}") from exc
    check_json("The body", data)
    once = read_once(request, "event", access.workspace_id)
    resumed: list[UUID] = []
    if "\0" not in event:
        resumed = await report_event(web_process(), workspace_id=access.workspace_id, event=event, data=data, once=once)
    if not resumed:
        raise NotFound(f"No run waits for the event {event[:255]}: what nobody waits for is not kept")
    return json_response({"event": event, "executionIds": [str(execution_id) for execution_id in resumed]})
