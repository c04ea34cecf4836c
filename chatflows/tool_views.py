"""Tools over HTTP."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from chatflows import tools
from chatflows.models import Tool
from chatflows.serializers import ToolCreateSerializer, ToolSerializer, ToolUpdateSerializer
from forjinn.core.pagination import PAGE_PARAMETERS, page_of
from workspaces.access import access_of

AFFECTED = OpenApiResponse(
    {"type": "object", "properties": {"affected": {"type": "integer"}}, "required": ["affected"]},
    description="How many tools were deleted: one.",
)
NEW_TOOL = OpenApiExample(
    "A tool of one property",
    {
        "name": "get_weather",
        "description": "Tells the weather in a city.",
        "color": "linear-gradient(rgb(55,66,2), rgb(3,4,5))",
        "schema": '[{"id":1,"property":"city","type":"string","description":"Which city.","required":true}]',
        "func": "return `Sunny in ${$city}`",
    },
    request_only=True,
)


class ToolsView(APIView):
    """The tools of the key's workspace."""

    needs = {"GET": "tools:view", "POST": "tools:create"}

    @extend_schema(
        operation_id="tool_list",
        summary="List the tools, newest first.",
        parameters=PAGE_PARAMETERS,
        responses=ToolSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        page, headers = page_of(Tool.objects.of(access_of(request).workspace_id).newest_first(), request)
        return Response([ToolSerializer().to_representation(tool) for tool in page], headers=headers)

    @extend_schema(
        operation_id="tool_create",
        summary="Keep a new tool.",
        request=ToolCreateSerializer,
        responses={200: ToolSerializer},
        examples=[NEW_TOOL],
    )
    def post(self, request: Request) -> Response:
        form = ToolCreateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        tool = tools.create_tool(workspace_id=access_of(request).workspace_id, **form.validated_data)
        return Response(ToolSerializer().to_representation(tool))


class ToolView(APIView):
    """One tool."""

    needs = {"GET": "tools:view", "PUT": "tools:edit", "DELETE": "tools:delete"}

    @extend_schema(operation_id="tool_get", summary="Read one tool.", responses=ToolSerializer)
    def get(self, request: Request, tool_id: str) -> Response:
        tool = Tool.objects.get_for(access_of(request).workspace_id, pk=tool_id)
        return Response(ToolSerializer().to_representation(tool))

    @extend_schema(
        operation_id="tool_update",
        summary="Change a tool; what is left out keeps its value.",
        request=ToolUpdateSerializer,
        responses=ToolSerializer,
    )
    def put(self, request: Request, tool_id: str) -> Response:
        form = ToolUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        tool = tools.update_tool(workspace_id=access_of(request).workspace_id, tool_id=tool_id, **form.validated_data)
        return Response(ToolSerializer().to_representation(tool))

    @extend_schema(operation_id="tool_delete", summary="Delete a tool for good.", responses={200: AFFECTED})
    def delete(self, request: Request, tool_id: str) -> Response:
        tools.delete_tool(workspace_id=access_of(request).workspace_id, tool_id=tool_id)
        return Response({"affected": 1})
