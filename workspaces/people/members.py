"""The people and the service accounts of a workspace over HTTP."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from forjinn.core.pagination import PAGE_PARAMETERS, page_of
from workspaces import members
from workspaces.access import access_of
from workspaces.models import Membership
from workspaces.people.callers import AFFECTED, check_active
from workspaces.people.serializers import MemberSerializer, MemberUpdateSerializer, ServiceAccountSerializer


class MembersView(APIView):
    """The people in the active workspace."""

    needs = {"GET": "workspace:view"}

    @extend_schema(
        operation_id="member_list",
        summary="List the members.",
        parameters=PAGE_PARAMETERS,
        responses=MemberSerializer(many=True),
    )
    def get(self, request: Request, workspace_id: str) -> Response:
        check_active(request, workspace_id)
        rows = Membership.objects.of(access_of(request).workspace_id).select_related("user")
        page, headers = page_of(rows.order_by("user__email"), request)
        return Response([MemberSerializer().to_representation(member) for member in page], headers=headers)


class MemberView(APIView):
    """One of the people in the active workspace."""

    needs = {"PUT": "users:manage", "DELETE": "workspace:unlink-user"}

    @extend_schema(
        operation_id="member_update",
        summary="Give a member other roles: nobody gives more than they have.",
        request=MemberUpdateSerializer,
        responses=MemberSerializer,
    )
    def put(self, request: Request, workspace_id: str, user_id: str) -> Response:
        check_active(request, workspace_id)
        form = MemberUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = form.validated_data
        member = members.change_member(
            access=access_of(request), user_id=user_id, role=given.get("role"), role_ids=given.get("roles")
        )
        return Response(MemberSerializer().to_representation(member))

    @extend_schema(operation_id="member_remove", summary="Take somebody out of the workspace.", responses=AFFECTED)
    def delete(self, request: Request, workspace_id: str, user_id: str) -> Response:
        check_active(request, workspace_id)
        members.remove_member(access=access_of(request), user_id=user_id)
        return Response({"affected": 1})


class SuspensionView(APIView):
    """Whether a member may do anything."""

    needs = {"POST": "users:manage", "DELETE": "users:manage"}

    @extend_schema(
        operation_id="member_suspend",
        summary="Let a member do nothing in the workspace, from this moment on.",
        request=None,
        responses=MemberSerializer,
    )
    def post(self, request: Request, workspace_id: str, user_id: str) -> Response:
        return self._set(request, workspace_id, user_id, is_suspended=True)

    @extend_schema(operation_id="member_unsuspend", summary="Let a member in again.", responses={200: MemberSerializer})
    def delete(self, request: Request, workspace_id: str, user_id: str) -> Response:
        return self._set(request, workspace_id, user_id, is_suspended=False)

    def _set(self, request: Request, workspace_id: str, user_id: str, *, is_suspended: bool) -> Response:
        check_active(request, workspace_id)
        member = members.suspend_member(access=access_of(request), user_id=user_id, is_suspended=is_suspended)
        return Response(MemberSerializer().to_representation(member))


class ServiceAccountsView(APIView):
    """Accounts that nobody signs in with."""

    needs = {"POST": "users:manage"}

    @extend_schema(
        operation_id="service_account_create",
        summary="Make an account for programs; keys may then act for it.",
        request=ServiceAccountSerializer,
        responses={201: MemberSerializer},
    )
    def post(self, request: Request, workspace_id: str) -> Response:
        check_active(request, workspace_id)
        form = ServiceAccountSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        member = members.create_service_account(access=access_of(request), **form.validated_data)
        return Response(MemberSerializer().to_representation(member), status=201)
