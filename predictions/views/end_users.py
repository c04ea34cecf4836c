"""End users over HTTP, and the secret that pages name them under."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from forjinn.core.errors import BadRequest
from forjinn.core.times import iso_millis
from predictions import end_users
from workspaces.access import access_of
from workspaces.end_users import rotate_secret
from workspaces.models import EndUserSecret

MOST = 1000
LONGEST_OVERLAP_S = 7 * 24 * 3600
ERASED = OpenApiResponse(
    {
        "type": "object",
        "properties": {"executions": {"type": "integer"}, "messages": {"type": "integer"}},
        "required": ["executions", "messages"],
    },
    description="How much there was of each.",
)
EXPORT = {(200, "application/x-ndjson"): {"type": "string"}}


class EndUserSerializer(serializers.Serializer[end_users.EndUser]):
    """Somebody whom a page has named."""

    id = serializers.CharField(help_text="The token's sub.")
    firstSeenDate = serializers.DateTimeField()
    lastSeenDate = serializers.DateTimeField()

    def to_representation(self, instance: end_users.EndUser) -> dict[str, str]:
        first, last = iso_millis(instance.first_seen_at), iso_millis(instance.last_seen_at)
        return {"id": instance.id, "firstSeenDate": first, "lastSeenDate": last}


class SecretRotationSerializer(serializers.Serializer[Any]):
    """How long former secrets stay good."""

    overlapSeconds = serializers.IntegerField(min_value=0, max_value=LONGEST_OVERLAP_S, default=0)


class SecretSerializer(serializers.Serializer[Any]):
    """A secret; itself only when it was just made."""

    createdDate = serializers.DateTimeField()
    expiryDate = serializers.DateTimeField(required=False)
    secret = serializers.CharField(required=False, help_text="Shown this once.")


class EndUsersView(APIView):
    """The end users of the workspace's flows."""

    needs = {"GET": "end-users:view"}

    @extend_schema(
        operation_id="end_user_list",
        summary="List the end users whom pages have named, by id.",
        parameters=[
            OpenApiParameter("after", str, description="Those behind this id."),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": 100}),
        ],
        responses=EndUserSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        access = access_of(request)
        access.check_unlimited("end users")
        limit, after = request.query_params.get("limit", "100"), request.query_params.get("after", "")
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:9]) <= MOST:
            raise BadRequest(f"limit: expected a whole number from 1 to {MOST}")
        if "\0" in after:
            raise BadRequest("after: the character NUL is not allowed")
        found = end_users.list_end_users(access.workspace_id, after=after, limit=int(limit))
        return Response([EndUserSerializer().to_representation(one) for one in found])


class EndUserView(APIView):
    """One end user."""

    needs = {"GET": "end-users:view", "DELETE": "end-users:delete"}

    @extend_schema(operation_id="end_user_get", summary="When somebody was seen.", responses=EndUserSerializer)
    def get(self, request: Request, end_user_id: str) -> Response:
        found = end_users.find_end_user(access_of(request).workspace_id, end_user_id)
        return Response(EndUserSerializer().to_representation(found))

    @extend_schema(
        operation_id="end_user_erase",
        summary="Erase somebody: their runs with all traces, their messages, the streams.",
        responses={200: ERASED},
    )
    def delete(self, request: Request, end_user_id: str) -> Response:
        return Response(end_users.erase_end_user(access_of(request).workspace_id, end_user_id))


class EndUserExportView(APIView):
    """What is kept of one end user."""

    needs = {"GET": "end-users:view"}

    @extend_schema(
        operation_id="end_user_export",
        summary="All that is kept of somebody, one JSON object a line.",
        responses=EXPORT,
    )
    def get(self, request: Request, end_user_id: str) -> StreamingHttpResponse:
        rows = end_users.export_end_user(access_of(request).workspace_id, end_user_id)
        first = next(rows)  # whether there is anything is told before the answer begins
        lines = [_line(*first), *(_line(*row) for row in rows)]
        response = StreamingHttpResponse(lines, content_type="application/x-ndjson")
        response.headers["Content-Disposition"] = 'attachment; filename="end-user.ndjson"'
        return response


class EndUserSecretView(APIView):
    """What the server of a page signs with."""

    needs = {"GET": "end-users:view", "POST": "workspace:edit"}

    @extend_schema(
        operation_id="end_user_secret_list",
        summary="Since when there are secrets to sign end users with, newest first.",
        responses=SecretSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = EndUserSecret.objects.of(access_of(request).workspace_id).order_by("-created_at")[:10]
        return Response([_shown(row) for row in rows])

    @extend_schema(
        operation_id="end_user_secret_create",
        summary="Make a secret to sign end users with; it is shown this once.",
        request=SecretRotationSerializer,
        responses={201: SecretSerializer},
    )
    def post(self, request: Request) -> Response:
        form = SecretRotationSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        workspace_id = access_of(request).workspace_id
        row, raw = rotate_secret(workspace_id=workspace_id, overlap_s=form.validated_data["overlapSeconds"])
        return Response({**_shown(row), "secret": raw}, status=201)


def _shown(row: EndUserSecret) -> dict[str, str]:
    until: datetime | None = row.expires_at
    return {"createdDate": iso_millis(row.created_at), **({"expiryDate": iso_millis(until)} if until else {})}


def _line(kind: str, row: Any) -> bytes:
    return orjson.dumps({"kind": kind, **row}, default=str) + b"\n"
