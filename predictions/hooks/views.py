"""Hook subscriptions and their deliveries over HTTP."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import HTTP_202_ACCEPTED
from rest_framework.views import APIView

from forjinn.core import query
from forjinn.core.errors import BadRequest
from forjinn.core.models import ScopedQuerySet
from forjinn.core.pagination import PAGE_PARAMETERS, page_of
from predictions.hooks import services
from predictions.hooks.models import HookDelivery, HookSubscription
from predictions.hooks.serializers import (
    STATES,
    HookDeliverySerializer,
    HookSubscriptionCreateSerializer,
    HookSubscriptionSerializer,
    HookSubscriptionUpdateSerializer,
    NewHookSubscriptionSerializer,
    WholeHookDeliverySerializer,
)
from workspaces.access import access_of

SHOWN = "executions:view"  # what receivers are sent tells it

AFFECTED = OpenApiResponse(
    {"type": "object", "properties": {"affected": {"type": "integer"}}, "required": ["affected"]},
    description="How many subscriptions were deleted: one.",
)
NEW_SUBSCRIPTION = OpenApiExample(
    "Hear of every end of a run",
    {
        "name": "Billing",
        "url": "https://billing.example.com/hooks/forjinn",
        "events": ["run.completed", "run.failed", "run.cancelled"],
    },
    request_only=True,
)

STATE = OpenApiParameter("state", str, enum=STATES)
EXECUTION = OpenApiParameter("executionId", UUID, description="Messages about this run.")
OF_STATE = {
    "pending": {"next_try_at__isnull": False},
    "delivered": {"delivered_at__isnull": False},
    "failed": {"gave_up_at__isnull": False},
}


class SubscriptionsView(APIView):
    """The receivers of the key's workspace."""

    needs = {"GET": "hooks:view", "POST": "hooks:create"}

    @extend_schema(
        operation_id="hook_subscription_list",
        summary="List the hook subscriptions, newest first.",
        parameters=PAGE_PARAMETERS,
        responses=HookSubscriptionSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        page, headers = page_of(HookSubscription.objects.of(access_of(request).workspace_id).order_by("-id"), request)
        return Response([HookSubscriptionSerializer().to_representation(row) for row in page], headers=headers)

    @extend_schema(
        operation_id="hook_subscription_create",
        summary="Have events of runs sent to an address. The secret that signs them is shown this once.",
        request=HookSubscriptionCreateSerializer,
        responses={200: NewHookSubscriptionSerializer},
        examples=[NEW_SUBSCRIPTION],
    )
    def post(self, request: Request) -> Response:
        form = HookSubscriptionCreateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        access = access_of(request)
        access.check(SHOWN)
        made = services.create_subscription(workspace_id=access.workspace_id, **form.validated_data)
        return Response(NewHookSubscriptionSerializer().to_representation(made))


class SubscriptionView(APIView):
    """One receiver."""

    needs = {"GET": "hooks:view", "PUT": "hooks:edit", "DELETE": "hooks:delete"}

    @extend_schema(
        operation_id="hook_subscription_get",
        summary="Read one hook subscription.",
        responses=HookSubscriptionSerializer,
    )
    def get(self, request: Request, subscription_id: str) -> Response:
        subscription = HookSubscription.objects.get_for(access_of(request).workspace_id, pk=subscription_id)
        return Response(HookSubscriptionSerializer().to_representation(subscription))

    @extend_schema(
        operation_id="hook_subscription_update",
        summary="Change a hook subscription; what is left out keeps its value. `enabled: true` ends a pause.",
        request=HookSubscriptionUpdateSerializer,
        responses=HookSubscriptionSerializer,
    )
    def put(self, request: Request, subscription_id: str) -> Response:
        form = HookSubscriptionUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        access = access_of(request)
        HookSubscription.objects.get_for(access.workspace_id, pk=subscription_id)
        access.check(SHOWN)
        subscription = services.update_subscription(
            workspace_id=access.workspace_id, subscription_id=subscription_id, **form.validated_data
        )
        return Response(HookSubscriptionSerializer().to_representation(subscription))

    @extend_schema(
        operation_id="hook_subscription_delete",
        summary="Delete a hook subscription with its deliveries.",
        responses={200: AFFECTED},
    )
    def delete(self, request: Request, subscription_id: str) -> Response:
        services.delete_subscription(workspace_id=access_of(request).workspace_id, subscription_id=subscription_id)
        return Response({"affected": 1})


class PingView(APIView):
    """Whether a receiver can be reached."""

    needs = {"POST": "hooks:edit"}

    @extend_schema(
        operation_id="hook_subscription_test",
        summary="Send a message with the event `ping`.",
        request=None,
        responses={202: HookDeliverySerializer},
    )
    def post(self, request: Request, subscription_id: str) -> Response:
        delivery = services.send_ping(workspace_id=access_of(request).workspace_id, subscription_id=subscription_id)
        return Response(HookDeliverySerializer().to_representation(delivery), status=HTTP_202_ACCEPTED)


class SubscriptionDeliveriesView(APIView):
    """What was sent to one receiver."""

    needs = {"GET": "hooks:view"}

    @extend_schema(
        operation_id="hook_subscription_deliveries",
        summary="List the deliveries of a hook subscription, newest first.",
        parameters=[STATE, EXECUTION, *PAGE_PARAMETERS],
        responses=HookDeliverySerializer(many=True),
    )
    def get(self, request: Request, subscription_id: str) -> Response:
        subscription = HookSubscription.objects.get_for(access_of(request).workspace_id, pk=subscription_id)
        return _page(HookDelivery.objects.filter(subscription=subscription), request)


class DeliveriesView(APIView):
    """What was sent to whichever receiver, those among them that came with their run."""

    needs = {"GET": "hooks:view"}

    @extend_schema(
        operation_id="hook_delivery_list",
        summary="List the deliveries of all hooks, newest first.",
        parameters=[STATE, EXECUTION, *PAGE_PARAMETERS],
        responses=HookDeliverySerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        return _page(HookDelivery.objects.of(access_of(request).workspace_id), request)


class DeliveryView(APIView):
    """One message."""

    needs = {"GET": "hooks:view"}

    @extend_schema(
        operation_id="hook_delivery_get",
        summary="Read one delivery: its body, and every try.",
        responses=WholeHookDeliverySerializer,
    )
    def get(self, request: Request, delivery_id: str) -> Response:
        rows = HookDelivery.objects.select_related("subscription")
        access = access_of(request)
        delivery = rows.get_for(access.workspace_id, pk=delivery_id)
        access.check(SHOWN)
        return Response(WholeHookDeliverySerializer().to_representation(delivery))


class RedeliveryView(APIView):
    """Sending a message again."""

    needs = {"POST": "hooks:edit"}

    @extend_schema(
        operation_id="hook_delivery_redeliver",
        summary="Send the same message again, under the same id.",
        request=None,
        responses={202: HookDeliverySerializer},
    )
    def post(self, request: Request, delivery_id: str) -> Response:
        delivery = services.redeliver(workspace_id=access_of(request).workspace_id, delivery_id=delivery_id)
        return Response(HookDeliverySerializer().to_representation(delivery), status=HTTP_202_ACCEPTED)


def _page(deliveries: ScopedQuerySet[HookDelivery], request: Request) -> Response:
    params = request.query_params
    if state := params.get("state"):
        if state not in OF_STATE:
            raise BadRequest(f"state: expected one of {', '.join(STATES)}")
        deliveries = deliveries.filter(**OF_STATE[state])
    if execution_id := params.get("executionId"):
        deliveries = deliveries.filter(execution_id=query.identifier("executionId", execution_id))
    found, headers = page_of(deliveries.select_related("subscription").defer("payload").order_by("-id"), request)
    return Response([HookDeliverySerializer().to_representation(row) for row in found], headers=headers)
