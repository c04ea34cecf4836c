"""Runs, for key holders of the workspace: which there are, and one of them whole."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.authentication import key_of
from forjinn.core.errors import BadRequest
from forjinn.core.models import ScopedQuerySet
from forjinn.core.pagination import PAGE_PARAMETERS, page_of
from predictions.models import Execution, NodeRun
from predictions.serializers import WIRE_STATES, ExecutionSerializer
from predictions.views import query

CHOICE = [
    OpenApiParameter(
        "state", str, enum=list(dict.fromkeys(WIRE_STATES.values())), description="STOPPED runs wait for a person."
    ),
    OpenApiParameter("agentflowId", UUID, description="Runs of this flow, of whichever kind it is."),
    OpenApiParameter("sessionId", str),
    OpenApiParameter("startDate", datetime, description="Not before; without an offset it is UTC."),
    OpenApiParameter("endDate", datetime, description="Not after."),
]


class ExecutionsView(APIView):
    """The runs of a workspace."""

    @extend_schema(
        operation_id="execution_list",
        summary="List runs, newest first.",
        parameters=[*CHOICE, *PAGE_PARAMETERS],
        responses=ExecutionSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        page, headers = page_of(_chosen(request).order_by("-id"), request)
        return Response([ExecutionSerializer().to_representation(run) for run in page], headers=headers)


class ExecutionView(APIView):
    """One run."""

    @extend_schema(operation_id="execution_get", summary="Look up a run.", responses=ExecutionSerializer)
    def get(self, request: Request, execution_id: str) -> Response:
        run = _runs().get_for(key_of(request).workspace_id, pk=execution_id)
        return Response(ExecutionSerializer().to_representation(run))


def _runs() -> ScopedQuerySet[Execution]:
    # What a run is to go on with is big, and nobody's to read.
    runs: ScopedQuerySet[Execution] = Execution.objects.defer("checkpoint", "flow_state")
    return runs.prefetch_related(Prefetch("node_runs", NodeRun.objects.order_by("attempt", "seq")))


def _chosen(request: Request) -> ScopedQuerySet[Execution]:
    runs = _runs().filter(workspace_id=key_of(request).workspace_id)
    params = request.query_params
    if state := params.get("state"):
        runs = runs.filter(state__in=_states(state))
    if flow_id := params.get("agentflowId"):
        runs = runs.filter(chatflow_id=query.identifier("agentflowId", flow_id))
    if session_id := params.get("sessionId"):
        runs = runs.filter(session_id=query.text("sessionId", session_id))
    for name, lookup in (("startDate", "created_at__gte"), ("endDate", "created_at__lte")):
        if value := params.get(name):
            runs = runs.filter(**{lookup: query.date(name, value)})
    return runs


def _states(wanted: str) -> list[str]:
    states = [state for state, shown in WIRE_STATES.items() if shown == wanted]
    if not states:
        raise BadRequest(f"state: expected one of {', '.join(dict.fromkeys(WIRE_STATES.values()))}")
    return states
