"""Limits over HTTP."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from predictions.allowances.serializers import AllowancesSerializer, LimitsChangeSerializer
from predictions.allowances.services import change_limits, read_allowances
from workspaces.access import access_of

CHANGE = OpenApiExample(
    "A hundred dollars a month, and five runs at once for each key",
    {"workspace": {"usdPerMonth": 100}, "eachKey": {"runsAtOnce": 5}},
    request_only=True,
)


class LimitsView(APIView):
    """What the workspace may use."""

    needs = {"GET": "limits:view", "PUT": "limits:edit"}

    @extend_schema(
        operation_id="limits_get",
        summary="Read the limits of the workspace, its keys and flows, and what was used this month.",
        responses=AllowancesSerializer,
    )
    def get(self, request: Request) -> Response:
        return _shown(request)

    @extend_schema(
        operation_id="limits_update",
        summary="Set limits; what is left out keeps its value.",
        request=LimitsChangeSerializer,
        responses=AllowancesSerializer,
        examples=[CHANGE],
    )
    def put(self, request: Request) -> Response:
        form = LimitsChangeSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        change_limits(access_of(request).workspace_id, form.changes())
        return _shown(request)


def _shown(request: Request) -> Response:
    found = read_allowances(access_of(request).workspace_id)
    return Response(AllowancesSerializer().to_representation(found))
