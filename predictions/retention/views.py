"""How long conversations are kept, over HTTP."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from chatflows.models import Chatflow
from predictions.retention.models import Retention
from workspaces.access import access_of

LONGEST_D = 36_500
AFFECTED = OpenApiResponse(
    {"type": "object", "properties": {"affected": {"type": "integer"}}, "required": ["affected"]},
    description="How many rules the flow had of its own: one or none.",
)


class DaysSerializer(serializers.Serializer[Any]):
    """For how many days; null is for ever."""

    days = serializers.IntegerField(min_value=1, max_value=LONGEST_D, allow_null=True)


class FlowDaysSerializer(DaysSerializer):
    """The rule of one flow, which counts instead of the workspace's."""

    chatflowId = serializers.UUIDField()


class RetentionSerializer(DaysSerializer):
    """The workspace's rule, and those of single flows."""

    flows = FlowDaysSerializer(many=True)


class RetentionView(APIView):
    """For how long the workspace keeps runs that have ended, and their messages."""

    needs = {"GET": "workspace:view", "PUT": "workspace:edit"}

    @extend_schema(operation_id="retention_get", summary="How long runs are kept.", responses=RetentionSerializer)
    def get(self, request: Request) -> Response:
        access = access_of(request)
        rules = list(Retention.objects.of(access.workspace_id).order_by("id"))
        own = next((rule.days for rule in rules if rule.chatflow_id is None), None)
        flows = [{"chatflowId": str(rule.chatflow_id), "days": rule.days} for rule in rules if rule.chatflow_id]
        return Response({"days": own, "flows": flows})

    @extend_schema(
        operation_id="retention_set",
        summary="Keep runs for so many days: older ones that have ended are deleted within minutes.",
        request=DaysSerializer,
        responses=RetentionSerializer,
    )
    def put(self, request: Request) -> Response:
        _set(request, None)
        return self.get(request)


class FlowRetentionView(APIView):
    """For how long the runs of one flow are kept."""

    needs = {"PUT": "workspace:edit", "DELETE": "workspace:edit"}

    @extend_schema(
        operation_id="flow_retention_set",
        summary="Keep a flow's runs for so many days, whatever the workspace's rule says.",
        request=DaysSerializer,
        responses=FlowDaysSerializer,
    )
    def put(self, request: Request, chatflow_id: str) -> Response:
        flow = Chatflow.objects.get_for(access_of(request).workspace_id, pk=chatflow_id)
        return Response({"chatflowId": str(flow.pk), "days": _set(request, flow).days})

    @extend_schema(
        operation_id="flow_retention_delete",
        summary="Let the workspace's rule count for a flow again.",
        responses={200: AFFECTED},
    )
    def delete(self, request: Request, chatflow_id: str) -> Response:
        flow = Chatflow.objects.get_for(access_of(request).workspace_id, pk=chatflow_id)
        deleted, _ = Retention.objects.of(flow.workspace_id).filter(chatflow=flow).delete()
        return Response({"affected": deleted})


def _set(request: Request, flow: Chatflow | None) -> Retention:
    form = DaysSerializer(data=request.data)
    form.is_valid(raise_exception=True)
    rule, _ = Retention.objects.update_or_create(
        workspace_id=access_of(request).workspace_id, chatflow=flow, defaults=form.validated_data
    )
    return rule
