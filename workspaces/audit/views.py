"""The audit trail over HTTP."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from forjinn.core import query
from forjinn.core.models import ScopedQuerySet
from forjinn.core.pagination import AFTER_PARAMETERS, page_after
from workspaces.access import access_of
from workspaces.audit.models import AuditEntry
from workspaces.audit.serializers import AuditEntrySerializer

EQUAL = {"resource": "resource", "action": "action", "rowId": "row_id", "requestId": "request_id"}
CHOICE = [
    OpenApiParameter("actor", str, description="The id or the name of whoever did it."),
    OpenApiParameter("resource", str, description="What was changed, such as credentials."),
    OpenApiParameter("action", str, description="created, updated, deleted, or an event's."),
    OpenApiParameter("rowId", str, description="What happened to this row."),
    OpenApiParameter("requestId", str, description="What this call did."),
    OpenApiParameter("startDate", datetime, description="Not before; without an offset it is UTC."),
    OpenApiParameter("endDate", datetime, description="Not after."),
]


class AuditView(APIView):
    """Who changed what in the workspace."""

    needs = {"GET": "audit:view"}

    @extend_schema(
        operation_id="audit_list",
        summary="List who changed what, from where, newest first.",
        parameters=[
            *CHOICE,
            OpenApiParameter("before", UUID, description="Older than this entry, as `Link` tells it."),
            *AFTER_PARAMETERS,
        ],
        responses=AuditEntrySerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        entries = chosen(request)
        if before := request.query_params.get("before"):
            entries = entries.filter(pk__lt=query.identifier("before", before))
        page, headers = page_after(entries, request)
        return Response([AuditEntrySerializer().to_representation(entry) for entry in page], headers=headers)


def chosen(request: Request) -> ScopedQuerySet[AuditEntry]:
    """The entries that the query asks for, newest first. Raises BadRequest."""
    params = request.query_params
    entries = AuditEntry.objects.of(access_of(request).workspace_id).order_by("-id")
    for name, column in EQUAL.items():
        if value := params.get(name):
            entries = entries.filter(**{column: query.text(name, value)})
    if actor := query.text("actor", params.get("actor", "")):
        entries = entries.filter(Q(actor_id=actor) | Q(actor_name=actor))
    if start := params.get("startDate"):
        entries = entries.filter(at__gte=query.date("startDate", start))
    if end := params.get("endDate"):
        entries = entries.filter(at__lte=query.date("endDate", end))
    return entries
