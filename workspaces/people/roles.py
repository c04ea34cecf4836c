"""Roles of a workspace over HTTP."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from workspaces import roles
from workspaces.access import access_of
from workspaces.models import CustomRole
from workspaces.people.callers import AFFECTED
from workspaces.people.serializers import RoleCreateSerializer, RoleSerializer, RoleUpdateSerializer
from workspaces.permissions import BUILT_IN


class RolesView(APIView):
    """The roles of the active workspace."""

    needs = {"GET": "workspace:view", "POST": "roles:manage"}

    @extend_schema(
        operation_id="role_list",
        summary="List the roles: those that every workspace comes with, then its own.",
        responses=RoleSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        built_in = [{"name": name, "description": "", "permissions": sorted(held)} for name, held in BUILT_IN.items()]
        own = CustomRole.objects.of(access_of(request).workspace_id).order_by("name")
        return Response([*built_in, *(RoleSerializer().to_representation(role) for role in own)])

    @extend_schema(
        operation_id="role_create",
        summary="Make a role; of permissions that you have yourself.",
        request=RoleCreateSerializer,
        responses={201: RoleSerializer},
    )
    def post(self, request: Request) -> Response:
        form = RoleCreateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        role = roles.create_role(access=access_of(request), **form.validated_data)
        return Response(RoleSerializer().to_representation(role), status=201)


class RoleView(APIView):
    """One of the workspace's own roles."""

    needs = {"PUT": "roles:manage", "DELETE": "roles:manage"}

    @extend_schema(
        operation_id="role_update",
        summary="Change a role; what is left out keeps its value.",
        request=RoleUpdateSerializer,
        responses=RoleSerializer,
    )
    def put(self, request: Request, role_id: str) -> Response:
        form = RoleUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        role = roles.update_role(access=access_of(request), role_id=role_id, **form.validated_data)
        return Response(RoleSerializer().to_representation(role))

    @extend_schema(operation_id="role_delete", summary="Delete a role; members lose what it gave.", responses=AFFECTED)
    def delete(self, request: Request, role_id: str) -> Response:
        roles.delete_role(access=access_of(request), role_id=role_id)
        return Response({"affected": 1})
