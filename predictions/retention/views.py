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


class RuleSerializer(serializers.Serializer[Any]):
    """For how many days; null is for ever. Without `store` nothing is kept of what is asked and said."""

    days = serializers.IntegerField(min_value=1, max_value=LONGEST_D, allow_null=True)
    store = serializers.BooleanField(
        source="is_stored",
        default=True,
        help_text="False: what a run was asked and what it said is deleted a minute after it has ended.",
    )


class FlowRuleSerializer(RuleSerializer):
    """The rule of one flow, which counts instead of the workspace's."""

    chatflowId = serializers.UUIDField()


class RetentionSerializer(RuleSerializer):
    """The workspace's rule, and those of single flows."""

    flows = FlowRuleSerializer(many=True)


class RetentionView(APIView):
    """For how long the workspace keeps runs that have ended, and their messages."""

    needs = {"GET": "workspace:view", "PUT": "workspace:edit"}

    @extend_schema(operation_id="retention_get", summary="How long runs are kept.", responses=RetentionSerializer)
    def get(self, request: Request) -> Response:
        access = access_of(request)
        rules = list(Retention.objects.of(access.workspace_id).order_by("id"))
        own = next((_shown(rule) for rule in rules if rule.chatflow_id is None), _shown(Retention()))
        return Response({**own, "flows": [_shown(rule) for rule in rules if rule.chatflow_id]})

    @extend_schema(
        operation_id="retention_set",
        summary="Keep runs for so many days: older ones that have ended are deleted within minutes.",
        request=RuleSerializer,
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
        request=RuleSerializer,
        responses=FlowRuleSerializer,
    )
    def put(self, request: Request, chatflow_id: str) -> Response:
        flow = Chatflow.objects.get_for(access_of(request).workspace_id, pk=chatflow_id)
        return Response(_shown(_set(request, flow)))

    @extend_schema(
        operation_id="flow_retention_delete",
        summary="Let the workspace's rule count for a flow again.",
        responses={200: AFFECTED},
    )
    def delete(self, request: Request, chatflow_id: str) -> Response:
        flow = Chatflow.objects.get_for(access_of(request).workspace_id, pk=chatflow_id)
        deleted, _ = Retention.objects.of(flow.workspace_id).filter(chatflow=flow).delete()
        return Response({"affected": deleted})


def _shown(rule: Retention) -> dict[str, Any]:
    flow = {"chatflowId": str(rule.chatflow_id)} if rule.chatflow_id else {}
    return {**flow, "days": rule.days, "store": rule.is_stored}


def _set(request: Request, flow: Chatflow | None) -> Retention:
    form = RuleSerializer(data=request.data)
    form.is_valid(raise_exception=True)
    rule, _ = Retention.objects.update_or_create(
        workspace_id=access_of(request).workspace_id, chatflow=flow, defaults=form.validated_data
    )
    return rule
