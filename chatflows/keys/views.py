"""API keys over HTTP. A key is shown when it is made or rotated, and never again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys import services
from apikeys.authentication import KEY_INVALID
from apikeys.models import ApiKey
from apikeys.records import find_key
from apikeys.scopes import Scopes, check_within, scopes_of
from chatflows.access import flows_of
from chatflows.keys.giving import changed_scopes, check_owner, given_scopes, owner_of_new
from chatflows.keys.serializers import (
    ApiKeyCreateSerializer,
    ApiKeySerializer,
    ApiKeyUpdateSerializer,
    NewApiKeySerializer,
    RotationSerializer,
    shown,
)
from chatflows.models import Chatflow
from forjinn.core.errors import Unauthenticated
from forjinn.core.pagination import PAGE_PARAMETERS, page_of
from forjinn.core.permissions import PUBLIC
from workspaces.access import Access, access_of

AFFECTED = OpenApiResponse(
    {"type": "object", "properties": {"affected": {"type": "integer"}}, "required": ["affected"]},
    description="How many keys were deleted: one.",
)
ASKS_ONE = OpenApiExample(
    "For a server that asks flows",
    {"keyName": "shop backend", "permissions": ["chatflows:execute", "agentflows:execute"]},
    request_only=True,
)
PUBLISHABLE = OpenApiExample(
    "For a page",
    {
        "keyName": "shop widget",
        "kind": "publishable",
        "flows": ["0197a6c0-0000-7000-8000-000000000000"],
        "origins": ["https://shop.example.com"],
    },
    request_only=True,
)


class KeysView(APIView):
    """The keys of the workspace."""

    needs = {"GET": "apikeys:view", "POST": "apikeys:create"}

    @extend_schema(
        operation_id="apikey_list",
        summary="List the API keys, newest first.",
        parameters=PAGE_PARAMETERS,
        responses=ApiKeySerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        access = access_of(request)
        page, headers = page_of(ApiKey.objects.of(access.workspace_id).order_by("-id"), request)
        tied = _tied(access, page)
        return Response([shown(key, f"{key.prefix}…", tied[key.pk]) for key in page], headers=headers)

    @extend_schema(
        operation_id="apikey_create",
        summary="Make an API key, which is shown this once. It may what its maker may, at most.",
        request=ApiKeyCreateSerializer,
        responses={200: NewApiKeySerializer},
        examples=[ASKS_ONE, PUBLISHABLE],
    )
    def post(self, request: Request) -> Response:
        form = ApiKeyCreateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        access, given = access_of(request), form.validated_data
        kind = ApiKey.Kind(given["kind"])
        key, raw = services.create_api_key(
            workspace=access.workspace_id,
            name=given["name"],
            kind=kind,
            owner_id=owner_of_new(access, given),
            created_by=access.name,
            **given_scopes(access, kind, _scopes_in(given)),
        )
        return _told_once(key, raw)


class KeyView(APIView):
    """One key."""

    needs = {"GET": "apikeys:view", "PUT": "apikeys:edit", "DELETE": "apikeys:delete"}

    @extend_schema(operation_id="apikey_get", summary="Read one API key, without the key.", responses=ApiKeySerializer)
    def get(self, request: Request, key_id: str) -> Response:
        access = access_of(request)
        return _shown(access, ApiKey.objects.get_for(access.workspace_id, pk=key_id))

    @extend_schema(
        operation_id="apikey_update",
        summary="Change an API key; what is left out keeps its value. Nobody gives it more than they have.",
        request=ApiKeyUpdateSerializer,
        responses=ApiKeySerializer,
    )
    def put(self, request: Request, key_id: str) -> Response:
        form = ApiKeyUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        access, given = access_of(request), form.validated_data
        key = ApiKey.objects.get_for(access.workspace_id, pk=key_id)
        scopes = changed_scopes(access, key, _scopes_in(given))
        return _shown(access, services.update_api_key(key=key, name=given.get("name"), **scopes))

    @extend_schema(
        operation_id="apikey_delete",
        summary="Delete an API key for good; it ends within a second. Not while flows are tied to it.",
        responses={200: AFFECTED},
    )
    def delete(self, request: Request, key_id: str) -> Response:
        services.delete_api_key(key=ApiKey.objects.get_for(access_of(request).workspace_id, pk=key_id))
        return Response({"affected": 1})


class RotationView(APIView):
    """Another text for the same key."""

    needs = {"POST": "apikeys:edit"}

    @extend_schema(
        operation_id="apikey_rotate",
        summary="Give an API key another text, shown this once; the present one is good for a while yet.",
        request=RotationSerializer,
        responses={200: NewApiKeySerializer},
    )
    def post(self, request: Request, key_id: str) -> Response:
        form = RotationSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        access = access_of(request)
        key = ApiKey.objects.get_for(access.workspace_id, pk=key_id)
        # Whoever rotates a key has it afterwards.
        check_within(access, scopes_of(key))
        check_owner(access, key.owner_id)
        overlap = timedelta(seconds=form.validated_data["overlap_s"])
        return _told_once(*services.rotate_api_key(workspace_id=access.workspace_id, key_id=key.pk, overlap=overlap))


class VerificationView(APIView):
    """Whether a text is a good key."""

    authentication_classes = ()
    needs = {"GET": PUBLIC}

    @extend_schema(
        operation_id="apikey_verify",
        summary="Whether a raw key is good, here and for this page.",
        auth=[],
        responses={200: OpenApiResponse({"type": "string", "const": "OK"}, description="It is.")},
    )
    def get(self, request: Request, raw_key: str) -> Response:
        key = find_key(raw_key)
        if key is None:
            raise Unauthenticated(KEY_INVALID)
        key.check_use(request.headers.get("Origin", ""), asks_flow=True)
        return Response("OK")


def _scopes_in(given: dict[str, object]) -> Scopes:
    return {name: given[name] for name in Scopes.__annotations__ if name in given}  # type: ignore[return-value]  # by the serializer's fields


def _told_once(key: ApiKey, raw: str) -> Response:
    return Response(shown(key, raw, ()), headers={"Cache-Control": "no-store"})


def _shown(access: Access, key: ApiKey) -> Response:
    return Response(shown(key, f"{key.prefix}…", _tied(access, [key])[key.pk]))


def _tied(access: Access, keys: Sequence[ApiKey]) -> dict[UUID, list[Chatflow]]:
    """By key, the flows tied to it that the caller may see."""
    tied: dict[UUID, list[Chatflow]] = defaultdict(list)
    for flow in flows_of(access, "view").filter(apikey__in=keys).newest_first():
        assert flow.apikey_id is not None
        tied[flow.apikey_id].append(flow)
    return tied
