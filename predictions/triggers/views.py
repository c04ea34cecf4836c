"""Triggers over HTTP, for key holders of their workspace."""

from __future__ import annotations

from django.db.models import Prefetch
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import HTTP_201_CREATED
from rest_framework.views import APIView

from chatflows.access import check_flow_access
from chatflows.models import Chatflow
from forjinn.core.pagination import PAGE_PARAMETERS, page_of
from predictions.models import Execution, NodeRun
from predictions.serializers import ExecutionSerializer
from predictions.triggers import services
from predictions.triggers.models import Trigger
from predictions.triggers.serializers import (
    NewAddressSerializer,
    TriggerCreateSerializer,
    TriggerSerializer,
    TriggerUpdateSerializer,
)
from workspaces.access import Access, access_of

AFFECTED = OpenApiResponse(
    {"type": "object", "properties": {"affected": {"type": "integer"}}, "required": ["affected"]},
    description="How many triggers were deleted: one.",
)
EVERY_MORNING = OpenApiExample(
    "Every morning in Tokyo",
    {
        "name": "Morning report",
        "chatflowId": "0199f1d2-7a3a-7f00-9c1b-2d3e4f5a6b7c",
        "type": "cron",
        "cronExpression": "30 9 * * 1-5",
        "timezone": "Asia/Tokyo",
        "triggerMessage": "What is new?",
    },
    request_only=True,
)


class TriggersView(APIView):
    """The triggers of the key's workspace."""

    needs = {"GET": "triggers:view", "POST": "triggers:create"}

    @extend_schema(
        operation_id="trigger_list",
        summary="List the triggers, newest first.",
        parameters=PAGE_PARAMETERS,
        responses=TriggerSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        page, headers = page_of(Trigger.objects.of(access_of(request).workspace_id).order_by("-id"), request)
        return Response([TriggerSerializer().to_representation(trigger) for trigger in page], headers=headers)

    @extend_schema(
        operation_id="trigger_create",
        summary="Keep a new trigger. A webhook's address is told this once.",
        request=TriggerCreateSerializer,
        responses={201: NewAddressSerializer},
        examples=[EVERY_MORNING],
    )
    def post(self, request: Request) -> Response:
        form = TriggerCreateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        access = access_of(request)
        _check_starting(access, form.validated_data["chatflow_id"])
        made = services.create_trigger(workspace_id=access.workspace_id, **form.validated_data)
        return Response(_with_address(request, *made), status=HTTP_201_CREATED)


class TriggerView(APIView):
    """One trigger."""

    needs = {"GET": "triggers:view", "PUT": "triggers:edit", "DELETE": "triggers:delete"}

    @extend_schema(operation_id="trigger_get", summary="Read one trigger.", responses=TriggerSerializer)
    def get(self, request: Request, trigger_id: str) -> Response:
        trigger = Trigger.objects.get_for(access_of(request).workspace_id, pk=trigger_id)
        return Response(TriggerSerializer().to_representation(trigger))

    @extend_schema(
        operation_id="trigger_update",
        summary="Change a trigger; what is left out keeps its value.",
        request=TriggerUpdateSerializer,
        responses=TriggerSerializer,
    )
    def put(self, request: Request, trigger_id: str) -> Response:
        form = TriggerUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        access = access_of(request)
        before = Trigger.objects.get_for(access.workspace_id, pk=trigger_id)
        for chatflow_id in {before.chatflow_id, form.validated_data.get("chatflow_id", before.chatflow_id)}:
            _check_starting(access, chatflow_id)
        trigger = services.update_trigger(
            workspace_id=access.workspace_id, trigger_id=trigger_id, **form.validated_data
        )
        return Response(TriggerSerializer().to_representation(trigger))

    @extend_schema(
        operation_id="trigger_delete",
        summary="Delete a trigger for good; the runs that it started stay.",
        responses={200: AFFECTED},
    )
    def delete(self, request: Request, trigger_id: str) -> Response:
        services.delete_trigger(workspace_id=access_of(request).workspace_id, trigger_id=trigger_id)
        return Response({"affected": 1})


class RotationView(APIView):
    """A webhook's address."""

    needs = {"POST": "triggers:edit"}

    @extend_schema(
        operation_id="trigger_rotate",
        summary="Give a webhook a new address, told this once; the former stops working at once.",
        request=None,
        responses={200: NewAddressSerializer},
    )
    def post(self, request: Request, trigger_id: str) -> Response:
        access = access_of(request)
        _check_starting(access, Trigger.objects.get_for(access.workspace_id, pk=trigger_id).chatflow_id)
        made = services.rotate_token(workspace_id=access.workspace_id, trigger_id=trigger_id)
        return Response(_with_address(request, *made))


class TriggerExecutionsView(APIView):
    """What a trigger has started."""

    needs = {"GET": "executions:view"}

    @extend_schema(
        operation_id="trigger_executions",
        summary="List the runs that the trigger has started, newest first.",
        parameters=PAGE_PARAMETERS,
        responses=ExecutionSerializer(many=True),
    )
    def get(self, request: Request, trigger_id: str) -> Response:
        access = access_of(request)
        trigger = access.within(Trigger.objects.all(), "chatflow_id").get_for(access.workspace_id, pk=trigger_id)
        runs = Execution.objects.filter(firing__trigger=trigger).defer("checkpoint", "flow_state").order_by("-id")
        whole = runs.prefetch_related(Prefetch("node_runs", NodeRun.objects.order_by("attempt", "seq")))
        page, headers = page_of(whole, request)
        return Response([ExecutionSerializer().to_representation(run) for run in page], headers=headers)


def _check_starting(access: Access, chatflow_id: object) -> None:
    """A trigger starts its flow for whoever made it: raises Forbidden if they may not, NotFound for a stranger's."""
    flow = Chatflow.objects.get_for(access.workspace_id, pk=chatflow_id)
    check_flow_access(access, "execute", kind=flow.kind, flow_id=flow.pk)


def _with_address(request: Request, trigger: Trigger, token: str) -> dict[str, object]:
    address = request.build_absolute_uri(f"/api/webhooks/{token}") if token else None
    return {**TriggerSerializer().to_representation(trigger), "webhookUrl": address}
