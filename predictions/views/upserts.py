"""The call that fills a flow's vector store."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from chatflows.access import either
from chatflows.catalogue import node_types
from forjinn.core.openapi import documented
from predictions.admission import find_own_flow
from predictions.upserts import read_upsert, upsert
from predictions.upserts_openapi import UPSERT, UPSERT_INTERNAL
from predictions.views.api import api_view, json_response
from predictions.web import web_process
from workspaces.access import access_of


@documented(post=UPSERT)
@api_view(POST=either("edit"))
async def upsert_documents(request: HttpRequest, chatflow_id: str) -> HttpResponseBase:
    """Read the documents that lead to the flow's vector store, and keep them there. Takes a key of its workspace."""
    return await _upserted(request, chatflow_id)


@documented(post=UPSERT_INTERNAL)
@api_view(POST=either("edit"))
async def upsert_from_editor(request: HttpRequest, chatflow_id: str) -> HttpResponseBase:
    """The same by the name that the editor calls."""
    return await _upserted(request, chatflow_id)


async def _upserted(request: HttpRequest, chatflow_id: str) -> HttpResponse:
    flow = await find_own_flow(chatflow_id, access_of(request), "edit")
    counts = await upsert(process=web_process(), flow=flow, asked=read_upsert(request), registry=node_types())
    return json_response(counts)
