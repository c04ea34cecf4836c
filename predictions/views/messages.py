"""Stored conversations, for key holders of the workspace."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from chatflows.models import Chatflow
from forjinn.core import query
from forjinn.core.errors import BadRequest
from forjinn.core.pagination import PAGE_PARAMETERS, page_of
from predictions.models import ChatMessage
from predictions.serializers import ChatMessageSerializer
from workspaces.access import access_of

FILTERS = {"chatId": "chat_id", "sessionId": "session_id", "memoryType": "memory_type", "messageId": "id"}
CHOICE = [
    OpenApiParameter("chatId", str),
    OpenApiParameter("sessionId", str),
    OpenApiParameter("memoryType", str),
    OpenApiParameter("messageId", UUID),
    OpenApiParameter("chatType", str, many=True),
    OpenApiParameter("startDate", datetime, description="Not before; without an offset it is UTC."),
    OpenApiParameter("endDate", datetime, description="Not after."),
]
AFFECTED = OpenApiResponse(
    {"type": "object", "properties": {"affected": {"type": "integer"}}, "required": ["affected"]},
    description="How many messages were deleted.",
)


class ChatMessagesView(APIView):
    """The messages of a flow: list and delete."""

    needs = {"GET": "messages:view", "DELETE": "messages:delete"}

    @extend_schema(
        operation_id="chatmessage_list",
        summary="List what was said in a flow, oldest first.",
        parameters=[*CHOICE, OpenApiParameter("order", str, enum=["ASC", "DESC"]), *PAGE_PARAMETERS],
        responses=ChatMessageSerializer(many=True),
    )
    def get(self, request: Request, chatflow_id: str) -> Response:
        messages = self._chosen(request, chatflow_id)
        order = ("-created_at", "-id") if _newest_first(request) else ("created_at", "id")
        page, headers = page_of(messages.order_by(*order), request)
        return Response([ChatMessageSerializer().to_representation(message) for message in page], headers=headers)

    @extend_schema(
        operation_id="chatmessage_delete",
        summary="Delete the messages of a flow, or those of one conversation.",
        parameters=CHOICE,
        responses={200: AFFECTED},
    )
    def delete(self, request: Request, chatflow_id: str) -> Response:
        deleted, _ = self._chosen(request, chatflow_id).delete()
        return Response({"affected": deleted})

    def _chosen(self, request: Request, chatflow_id: str) -> QuerySet[ChatMessage]:
        access = access_of(request)
        chatflow = access.within(Chatflow.objects.all(), "pk").get_for(access.workspace_id, pk=chatflow_id)
        messages = ChatMessage.objects.filter(workspace_id=chatflow.workspace_id, chatflow=chatflow)
        for name, column in FILTERS.items():
            if value := request.query_params.get(name):
                messages = messages.filter(
                    **{column: query.identifier(name, value) if column == "id" else query.text(name, value)}
                )
        if chat_types := request.query_params.getlist("chatType"):
            chosen = [part.strip(' "') for text in chat_types for part in text.strip("[]").split(",")]
            messages = messages.filter(chat_type__in=[query.text("chatType", kind) for kind in chosen])
        for name, lookup in (("startDate", "created_at__gte"), ("endDate", "created_at__lte")):
            if value := request.query_params.get(name):
                messages = messages.filter(**{lookup: query.date(name, value)})
        return messages


def _newest_first(request: Request) -> bool:
    order = request.query_params.get("order") or "ASC"
    if order.upper() not in ("ASC", "DESC"):
        raise BadRequest(f"order: expected ASC or DESC, got '{order[:40]}'")
    return order.upper() == "DESC"
