"""Stored conversations and runs, for key holders of the workspace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NoReturn
from uuid import UUID

from django.db.models import Prefetch, QuerySet
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.authentication import key_of
from chatflows.models import Chatflow
from forjinn.core.errors import BadRequest
from forjinn.core.pagination import PAGE_PARAMETERS, page_of
from predictions.models import ChatMessage, Execution, NodeRun
from predictions.serializers import ChatMessageSerializer, ExecutionSerializer

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
        chatflow = Chatflow.objects.get_for(key_of(request).workspace_id, pk=chatflow_id)
        messages = ChatMessage.objects.filter(workspace_id=chatflow.workspace_id, chatflow=chatflow)
        for name, column in FILTERS.items():
            if value := request.query_params.get(name):
                messages = messages.filter(**{column: _uuid(name, value) if column == "id" else _text(name, value)})
        if chat_types := request.query_params.getlist("chatType"):
            chosen = [part.strip(' "') for text in chat_types for part in text.strip("[]").split(",")]
            messages = messages.filter(chat_type__in=[_text("chatType", kind) for kind in chosen])
        for name, lookup in (("startDate", "created_at__gte"), ("endDate", "created_at__lte")):
            if value := request.query_params.get(name):
                messages = messages.filter(**{lookup: _date(name, value)})
        return messages


class ExecutionView(APIView):
    """One run."""

    @extend_schema(operation_id="execution_get", summary="Look up a run.", responses=ExecutionSerializer)
    def get(self, request: Request, execution_id: str) -> Response:
        runs = Execution.objects.prefetch_related(Prefetch("node_runs", NodeRun.objects.order_by("attempt", "seq")))
        run = runs.get_for(key_of(request).workspace_id, pk=execution_id)
        return Response(ExecutionSerializer().to_representation(run))


def _newest_first(request: Request) -> bool:
    order = request.query_params.get("order") or "ASC"
    if order.upper() not in ("ASC", "DESC"):
        raise BadRequest(f"order: expected ASC or DESC, got '{order[:40]}'")
    return order.upper() == "DESC"


def _text(name: str, value: str) -> str:
    if "\0" in value:
        raise BadRequest(f"{name}: the character NUL is not allowed")
    return value


def _uuid(name: str, value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise BadRequest(f"{name}: expected an id") from None


def _date(name: str, value: str) -> datetime:
    """A time without an offset is UTC, like every time that this API tells."""
    try:
        parsed = parse_datetime(value)
        # The database knows fewer offsets than calendars do, so it is asked in UTC.
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC) if parsed else _no_date(name)
    except (ValueError, OverflowError):
        return _no_date(name)


def _no_date(name: str) -> NoReturn:
    raise BadRequest(f"{name}: expected a date like 2026-01-31T12:00:00Z")
