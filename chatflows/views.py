"""Chatflows over HTTP, and agentflows: the same flows, seen through the four agent kinds."""

from __future__ import annotations

from typing import ClassVar

from django.utils.http import parse_etags
from django_filters import ChoiceFilter, FilterSet
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_view,
)
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.models import ApiKey
from chatflows import services
from chatflows.access import (
    AGENT_KINDS,
    KINDS,
    check_deploying,
    check_own_flow,
    either,
    find_own_flow,
    flows_of,
    resource_of,
)
from chatflows.inspection import PROBLEMS_HEADER, problems_of
from chatflows.models import Chatflow
from chatflows.serializers import (
    LISTED,
    AgentflowCreateSerializer,
    ChatflowCreateSerializer,
    ChatflowSerializer,
    ChatflowUpdateSerializer,
    KeyMetadataSerializer,
    ListedChatflowSerializer,
)
from forjinn.core.errors import BadRequest, NotFound
from forjinn.core.pagination import PAGE_PARAMETERS, page_of
from forjinn.core.permissions import Rule
from forjinn.core.refusals import first_problem
from workspaces.access import access_of

IF_MATCH = OpenApiParameter("If-Match", str, "header", description="The ETag that was read.")
IF_NONE_MATCH = OpenApiParameter("If-None-Match", str, "header", description="The ETag that is at hand.")
ETAG = OpenApiParameter("ETag", str, "header", response=[200], description="The flow's present revision.")
PROBLEMS = OpenApiParameter(
    PROBLEMS_HEADER, int, "header", response=[200], description="How many problems /chatflows/{id}/problems tells."
)
AFFECTED = OpenApiResponse(
    {"type": "object", "properties": {"affected": {"type": "integer"}}, "required": ["affected"]},
    description="How many flows were deleted: one.",
)
NEW_FLOW = OpenApiExample(
    "An empty flow",
    {
        "name": "Customer Support Bot",
        "type": "CHATFLOW",
        "category": "Support",
        "flowData": '{"nodes":[],"edges":[],"viewport":{"x":0,"y":0,"zoom":1}}',
    },
    request_only=True,
)
NEW_AGENT = OpenApiExample("An empty flow", {**NEW_FLOW.value, "type": "AGENTFLOW"}, request_only=True)
DEPLOYMENT = OpenApiExample("Deploy and publish", {"deployed": True, "isPublic": True}, request_only=True)


def kind_choice(kinds: tuple[str, ...]) -> ChoiceFilter:
    message = f"expected one of {', '.join(kinds)}; got '%(value)s'"
    return ChoiceFilter(
        field_name="kind", choices=[(kind, kind) for kind in kinds], error_messages={"invalid_choice": message}
    )


# The library has no types.
class KindFilter(FilterSet):  # type: ignore[misc]
    """`?type=`: one of the kinds of flow."""

    type = kind_choice(KINDS)


class AgentKindFilter(FilterSet):  # type: ignore[misc]
    """`?type=`: one of the agent kinds."""

    type = kind_choice(AGENT_KINDS)


class ChatflowsView(APIView):
    """The flows of the key's workspace."""

    needs: ClassVar[dict[str, Rule]] = {"GET": either("view"), "POST": either("create")}
    kinds: ClassVar[tuple[str, ...]] = KINDS
    filter_class: ClassVar[type[FilterSet]] = KindFilter
    create_serializer: ClassVar[type[ChatflowCreateSerializer]] = ChatflowCreateSerializer

    @extend_schema(
        operation_id="chatflow_list",
        summary="List the flows, newest first.",
        parameters=[OpenApiParameter("type", str, enum=KINDS), *PAGE_PARAMETERS],
        responses=ListedChatflowSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        flows = flows_of(access_of(request), "view", self.kinds).newest_first()
        chosen = self.filter_class(request.query_params, queryset=flows)
        if not chosen.is_valid():
            raise BadRequest(first_problem(chosen.errors))
        page, headers = page_of(chosen.qs.values(*LISTED), request)
        return Response([ListedChatflowSerializer().to_representation(row) for row in page], headers=headers)

    @extend_schema(
        operation_id="chatflow_create",
        summary="Save a new flow.",
        parameters=[ETAG, PROBLEMS],
        request=ChatflowCreateSerializer,
        responses={200: ChatflowSerializer},
        examples=[NEW_FLOW],
    )
    def post(self, request: Request) -> Response:
        form = self.create_serializer(data=request.data)
        form.is_valid(raise_exception=True)
        access, given = access_of(request), form.validated_data
        access.check(f"{resource_of(given['kind'])}:create")
        check_deploying(access, given, kind=given["kind"])
        chatflow = services.create_chatflow(workspace_id=access.workspace_id, author=access.name, **given)
        return _saved(chatflow)


class ChatflowView(APIView):
    """One flow."""

    needs: ClassVar[dict[str, Rule]] = {"GET": either("view"), "PUT": either("edit"), "DELETE": either("delete")}
    kinds: ClassVar[tuple[str, ...]] = KINDS

    @extend_schema(
        operation_id="chatflow_get",
        summary="Read one flow.",
        parameters=[IF_NONE_MATCH, ETAG],
        responses={200: ChatflowSerializer, 304: OpenApiResponse(description="It is still what is at hand.")},
    )
    def get(self, request: Request, chatflow_id: str) -> Response:
        chatflow = find_own_flow(access_of(request), "view", chatflow_id, self.kinds)
        known = [tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))]
        if "*" in known or _etag(chatflow) in known:
            return Response(status=304, headers={"ETag": _etag(chatflow)})
        return _whole(chatflow)

    @extend_schema(
        operation_id="chatflow_update",
        summary="Change a flow; what is left out keeps its value.",
        parameters=[IF_MATCH, ETAG, PROBLEMS],
        request=ChatflowUpdateSerializer,
        responses=ChatflowSerializer,
        examples=[DEPLOYMENT],
    )
    def put(self, request: Request, chatflow_id: str) -> Response:
        form = ChatflowUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        access = access_of(request)

        def check(flow: Chatflow) -> None:
            check_own_flow(access, "edit", flow, self.kinds)
            check_deploying(access, form.validated_data, kind=flow.kind, flow=flow)

        chatflow = services.update_chatflow(
            workspace_id=access.workspace_id,
            chatflow_id=chatflow_id,
            author=access.name,
            if_revision=_expected(request),
            check=check,
            **form.validated_data,
        )
        return _saved(chatflow)

    @extend_schema(
        operation_id="chatflow_delete",
        summary="Delete a flow for good, with its versions, runs and messages.",
        parameters=[IF_MATCH],
        responses={200: AFFECTED},
    )
    def delete(self, request: Request, chatflow_id: str) -> Response:
        access = access_of(request)
        services.delete_chatflow(
            workspace_id=access.workspace_id,
            chatflow_id=chatflow_id,
            if_revision=_expected(request),
            check=lambda flow: check_own_flow(access, "delete", flow, self.kinds),
        )
        return Response({"affected": 1})


class AgentflowsView(ChatflowsView):
    """The agent flows of the key's workspace."""

    needs = {"GET": "agentflows:view", "POST": "agentflows:create"}
    kinds = AGENT_KINDS
    filter_class = AgentKindFilter
    create_serializer = AgentflowCreateSerializer

    @extend_schema(
        operation_id="agentflow_list",
        summary="List the agent flows, newest first.",
        parameters=[OpenApiParameter("type", str, enum=AGENT_KINDS), *PAGE_PARAMETERS],
        responses=ListedChatflowSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        return super().get(request)

    @extend_schema(
        operation_id="agentflow_create",
        summary="Save a new agent flow.",
        parameters=[ETAG, PROBLEMS],
        request=AgentflowCreateSerializer,
        responses={200: ChatflowSerializer},
        examples=[NEW_AGENT],
    )
    def post(self, request: Request) -> Response:
        return super().post(request)


@extend_schema_view(
    get=extend_schema(operation_id="agentflow_get", summary="Read one agent flow."),
    put=extend_schema(operation_id="agentflow_update", summary="Change an agent flow."),
    delete=extend_schema(operation_id="agentflow_delete", summary="Delete an agent flow for good."),
)
class AgentflowView(ChatflowView):
    """One agent flow; a flow of another kind is not found here."""

    needs = {"GET": "agentflows:view", "PUT": "agentflows:edit", "DELETE": "agentflows:delete"}
    kinds = AGENT_KINDS


class ChatflowsOfKeyView(APIView):
    """What a raw key is for: the flows tied to it, or the key's own data."""

    needs = {"GET": either("view")}

    @extend_schema(
        operation_id="chatflow_list_of_key",
        summary="The flows that are tied to a raw key.",
        parameters=[
            OpenApiParameter("keyonly", str, description="Given at all: the key's data instead."),
            *PAGE_PARAMETERS[:2],
        ],
        responses={
            200: PolymorphicProxySerializer(
                component_name="FlowsOrKey",
                serializers=[ChatflowSerializer(many=True), KeyMetadataSerializer],
                resource_type_field_name=None,
                many=False,
            )
        },
    )
    def get(self, request: Request, raw_key: str) -> Response:
        key = _named_key(request, raw_key)
        if "keyonly" in request.query_params:
            return Response(KeyMetadataSerializer().to_representation(key))
        flows = flows_of(access_of(request), "view").filter(apikey=key).select_related("version").newest_first()
        page, headers = page_of(flows, request)
        return Response([ChatflowSerializer().to_representation(flow) for flow in page], headers=headers)


def _named_key(request: Request, raw_key: str) -> ApiKey:
    try:
        return ApiKey.objects.known_as(raw_key).get_for(access_of(request).workspace_id)
    except NotFound:
        # The raw key is not repeated: errors are logged by clients.
        raise NotFound("API key not found in this workspace") from None


def _whole(chatflow: Chatflow) -> Response:
    body = ChatflowSerializer().to_representation(chatflow)
    return Response(body, headers={"ETag": _etag(chatflow)})


def _saved(chatflow: Chatflow) -> Response:
    """A flow is saved whatever is wrong with it; the header says whether to look."""
    response = _whole(chatflow)
    response.headers[PROBLEMS_HEADER] = str(len(problems_of(chatflow)))
    return response


def _etag(chatflow: Chatflow) -> str:
    return f'"{chatflow.revision}"'


def _expected(request: Request) -> list[str] | None:
    """The revisions that If-Match allows; None without the header, and for `*`, which any flow matches."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    return [tag.strip('"') for tag in parse_etags(header) if not tag.startswith("W/")]
