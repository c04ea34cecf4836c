"""Runs, for key holders of the workspace: which there are, and one of them whole."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from forjinn.core import query
from forjinn.core.errors import BadRequest, Conflict
from forjinn.core.models import ScopedQuerySet
from forjinn.core.pagination import PAGE_PARAMETERS, page_after, page_of
from predictions.models import Execution, NodeRun
from predictions.serializers import WIRE_STATES, ExecutionSerializer
from workspaces.access import access_of

MOST_DELETED = 100
IDS = {"type": "array", "items": {"type": "string", "format": "uuid"}, "minItems": 1, "maxItems": MOST_DELETED}
DELETED = inline_serializer(
    "DeletedExecutions", {"success": serializers.BooleanField(), "deletedCount": serializers.IntegerField()}
)

CHOICE = [
    OpenApiParameter(
        "state", str, enum=list(dict.fromkeys(WIRE_STATES.values())), description="STOPPED runs wait for a person."
    ),
    OpenApiParameter("agentflowId", UUID, description="Runs of this flow, of whichever kind it is."),
    OpenApiParameter("sessionId", str),
    OpenApiParameter("startDate", datetime, description="Not before; without an offset it is UTC."),
    OpenApiParameter("endDate", datetime, description="Not after."),
    OpenApiParameter("before", UUID, description="Older than this one: pages that cost the same however far back."),
]


class ExecutionsView(APIView):
    """The runs of a workspace."""

    needs = {"GET": "executions:view", "DELETE": "executions:delete"}

    @extend_schema(
        operation_id="execution_list",
        summary="List runs, newest first.",
        parameters=[*CHOICE, *PAGE_PARAMETERS],
        responses=ExecutionSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        runs = _chosen(request).order_by("-id")
        if before := request.query_params.get("before"):
            runs = runs.filter(pk__lt=query.identifier("before", before))
            page, headers = page_after(runs, request)
        else:
            page, headers = page_of(runs, request)
        return Response([ExecutionSerializer().to_representation(run) for run in page], headers=headers)

    @extend_schema(
        operation_id="execution_delete_many",
        summary="Delete runs that have ended, or wait, by their ids.",
        description="The ids may also come as `executionIds` of a JSON body.",
        parameters=[OpenApiParameter("executionIds", IDS, required=True)],
        request=None,
        responses={200: DELETED},
    )
    def delete(self, request: Request) -> Response:
        ids = request.query_params.getlist("executionIds") or _ids_in(request.data)
        if not isinstance(ids, list) or len(ids) > MOST_DELETED:
            raise BadRequest(f"executionIds: expected a list of at most {MOST_DELETED} ids")
        chosen = [query.identifier("executionIds", str(one)) for one in ids]
        _, counts = _deletable(request).filter(pk__in=chosen).delete()
        return Response({"success": True, "deletedCount": counts.get("predictions.Execution", 0)})


class ExecutionView(APIView):
    """One run."""

    needs = {"GET": "executions:view", "DELETE": "executions:delete"}

    @extend_schema(operation_id="execution_get", summary="Look up a run.", responses=ExecutionSerializer)
    def get(self, request: Request, execution_id: str) -> Response:
        run = _find(request, execution_id)
        return Response(ExecutionSerializer().to_representation(run))

    @extend_schema(
        operation_id="execution_delete",
        summary="Delete a run that has ended, or waits, and its trace; the conversation stays.",
        responses={200: DELETED},
    )
    def delete(self, request: Request, execution_id: str) -> Response:
        run = _find(request, execution_id)
        if not _deletable(request).filter(pk=run.pk).exists():
            raise Conflict(f"Execution {run.pk} is going on: cancel it first")
        run.delete()
        return Response({"success": True, "deletedCount": 1})


def _ids_in(body: object) -> object:
    return body.get("executionIds") if isinstance(body, dict) else None


def _find(request: Request, execution_id: str) -> Execution:
    access = access_of(request)
    return access.within(_runs(), "chatflow_id").get_for(access.workspace_id, pk=execution_id)


def _deletable(request: Request) -> ScopedQuerySet[Execution]:
    access = access_of(request)
    runs: ScopedQuerySet[Execution] = Execution.objects.of(access.workspace_id)
    return access.within(runs, "chatflow_id").exclude(state__in=[Execution.State.QUEUED, Execution.State.RUNNING])


def _runs() -> ScopedQuerySet[Execution]:
    # What a run is to go on with is big, and nobody's to read.
    runs: ScopedQuerySet[Execution] = Execution.objects.defer("checkpoint", "flow_state")
    return runs.prefetch_related(Prefetch("node_runs", NodeRun.objects.order_by("attempt", "seq")))


def _chosen(request: Request) -> ScopedQuerySet[Execution]:
    access = access_of(request)
    runs = access.within(_runs(), "chatflow_id").of(access.workspace_id)
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
