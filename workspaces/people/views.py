"""Workspaces, members, invitations and roles over HTTP."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from forjinn.core.errors import Conflict, Forbidden, NotFound
from forjinn.core.pagination import PAGE_PARAMETERS, page_of
from forjinn.core.permissions import SIGNED_IN
from forjinn.core.scopes import system_scope
from workspaces import invitations, members, roles, tenancies
from workspaces.access import access_of
from workspaces.models import CustomRole, Invitation, Membership, User, Workspace
from workspaces.people.serializers import (
    InvitationSerializer,
    InviteSerializer,
    MemberSerializer,
    MemberUpdateSerializer,
    RoleCreateSerializer,
    RoleSerializer,
    RoleUpdateSerializer,
    ServiceAccountSerializer,
    TokenSerializer,
    WorkspaceNameSerializer,
    WorkspaceSerializer,
)
from workspaces.permissions import BUILT_IN
from workspaces.sessions import switch

AFFECTED = {
    200: OpenApiResponse(
        {"type": "object", "properties": {"affected": {"type": "integer"}}, "required": ["affected"]},
        description="How many there were: one.",
    )
}


def person_of(request: Request) -> User:
    """Who has signed in. Only behind SIGNED_IN."""
    assert isinstance(request.user, User), "this view's rule lets keys in"
    return request.user


def shown(request: Request, workspace: Workspace) -> dict[str, Any]:
    """A workspace as the caller sees it."""
    access = getattr(request, "access", None)
    known = tenancies.workspaces_of(request.user) if isinstance(request.user, User) else {}
    context = {"active": access and access.workspace_id, "roles": {one.pk: role for one, role in known.items()}}
    return WorkspaceSerializer(context=context).to_representation(workspace)


def _check_active(request: Request, workspace_id: str) -> None:
    """Raises NotFound for every workspace but the one that the caller works in."""
    if str(access_of(request).workspace_id) != workspace_id:
        raise NotFound(f"Workspace {workspace_id[:64]} not found: switch to it first")


class WorkspacesView(APIView):
    """The workspaces of a person."""

    needs = {"GET": SIGNED_IN, "POST": SIGNED_IN}

    @extend_schema(
        operation_id="workspace_list",
        summary="List the workspaces that you are in.",
        responses=WorkspaceSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        return Response([shown(request, workspace) for workspace in tenancies.workspaces_of(person_of(request))])

    @extend_schema(
        operation_id="workspace_create",
        summary="Make a workspace, whose owner you are.",
        description="Takes `workspace:create` in the active workspace; operators may always.",
        request=WorkspaceNameSerializer,
        responses={201: WorkspaceSerializer},
    )
    def post(self, request: Request) -> Response:
        person, access = person_of(request), getattr(request, "access", None)
        if not person.is_superuser:
            if access is None:
                raise Forbidden("workspace:create is needed, and you are in no workspace that could allow it")
            access.check("workspace:create")
        form = WorkspaceNameSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        return Response(shown(request, tenancies.found_workspace(founder=person, **form.validated_data)), status=201)


class WorkspaceView(APIView):
    """The workspace that the caller works in."""

    needs = {"GET": "workspace:view", "PUT": "workspace:edit", "DELETE": "workspace:delete"}

    @extend_schema(operation_id="workspace_get", summary="Read the active workspace.", responses=WorkspaceSerializer)
    def get(self, request: Request, workspace_id: str) -> Response:
        _check_active(request, workspace_id)
        return Response(shown(request, Workspace.objects.get(pk=access_of(request).workspace_id)))

    @extend_schema(
        operation_id="workspace_rename",
        summary="Rename the active workspace.",
        request=WorkspaceNameSerializer,
        responses=WorkspaceSerializer,
    )
    def put(self, request: Request, workspace_id: str) -> Response:
        _check_active(request, workspace_id)
        form = WorkspaceNameSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        renamed = tenancies.rename(workspace_id=access_of(request).workspace_id, **form.validated_data)
        return Response(shown(request, renamed))

    @extend_schema(
        operation_id="workspace_archive",
        summary="Archive the active workspace: nobody reaches anything of it, and nothing is deleted.",
        responses=AFFECTED,
    )
    def delete(self, request: Request, workspace_id: str) -> Response:
        _check_active(request, workspace_id)
        tenancies.archive(workspace_id=access_of(request).workspace_id, is_archived=True)
        return Response({"affected": 1})


class RestorationView(APIView):
    """An archived workspace."""

    needs = {"POST": SIGNED_IN}

    @extend_schema(
        operation_id="workspace_restore",
        summary="Bring back a workspace that you own and that was archived.",
        request=None,
        responses=WorkspaceSerializer,
    )
    def post(self, request: Request, workspace_id: str) -> Response:
        workspace = tenancies.find_own(person_of(request), workspace_id)
        if tenancies.workspaces_of(person_of(request))[workspace] != Membership.Role.OWNER:
            raise Forbidden("Only owners bring a workspace back")
        with system_scope():  # nobody works in it
            workspace = tenancies.archive(workspace_id=workspace.pk, is_archived=False)
        return Response(shown(request, workspace))


class SwitchView(APIView):
    """Which workspace a session works in."""

    needs = {"POST": SIGNED_IN}

    @extend_schema(
        operation_id="workspace_switch",
        summary="Work in another workspace from now on.",
        request=None,
        responses=WorkspaceSerializer,
    )
    def post(self, request: Request, workspace_id: str) -> Response:
        workspace = tenancies.find_own(person_of(request), workspace_id)
        if workspace.archived_at:
            raise Conflict("The workspace is archived: restore it first")
        switch(request._request, workspace.pk)
        return Response({**shown(request, workspace), "isActive": True})


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
        _check_active(request, workspace_id)
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
        _check_active(request, workspace_id)
        form = MemberUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = form.validated_data
        member = members.change_member(
            access=access_of(request), user_id=user_id, role=given.get("role"), role_ids=given.get("roles")
        )
        return Response(MemberSerializer().to_representation(member))

    @extend_schema(operation_id="member_remove", summary="Take somebody out of the workspace.", responses=AFFECTED)
    def delete(self, request: Request, workspace_id: str, user_id: str) -> Response:
        _check_active(request, workspace_id)
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
        _check_active(request, workspace_id)
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
        _check_active(request, workspace_id)
        form = ServiceAccountSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        member = members.create_service_account(access=access_of(request), **form.validated_data)
        return Response(MemberSerializer().to_representation(member), status=201)


class InvitationsView(APIView):
    """Who was asked to join the active workspace."""

    needs = {"GET": "workspace:add-user", "POST": "workspace:add-user"}

    @extend_schema(
        operation_id="invitation_list",
        summary="List the invitations, newest first.",
        parameters=PAGE_PARAMETERS,
        responses=InvitationSerializer(many=True),
    )
    def get(self, request: Request, workspace_id: str) -> Response:
        _check_active(request, workspace_id)
        page, headers = page_of(Invitation.objects.of(access_of(request).workspace_id).order_by("-created_at"), request)
        return Response([InvitationSerializer().to_representation(one) for one in page], headers=headers)

    @extend_schema(
        operation_id="invitation_create",
        summary="Invite an address by mail; again: with a new token, and the former one ends.",
        request=InviteSerializer,
        responses={201: InvitationSerializer},
    )
    def post(self, request: Request, workspace_id: str) -> Response:
        _check_active(request, workspace_id)
        form = InviteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        access, given = access_of(request), form.validated_data
        members.check_grantable(access, BUILT_IN[given["role"]])
        invitation = invitations.invite(workspace_id=access.workspace_id, inviter=access.name, **given)
        return Response(InvitationSerializer().to_representation(invitation), status=201)


class InvitationView(APIView):
    """One invitation."""

    needs = {"DELETE": "workspace:add-user"}

    @extend_schema(operation_id="invitation_revoke", summary="Take an invitation back.", responses=AFFECTED)
    def delete(self, request: Request, workspace_id: str, invitation_id: str) -> Response:
        _check_active(request, workspace_id)
        Invitation.objects.get_for(access_of(request).workspace_id, pk=invitation_id).delete()
        return Response({"affected": 1})


class AcceptanceView(APIView):
    """The invited person's answer."""

    needs = {"POST": SIGNED_IN}

    @extend_schema(
        operation_id="invitation_accept",
        summary="Join the workspace that an invitation to your own address names.",
        request=TokenSerializer,
        responses=WorkspaceSerializer,
    )
    def post(self, request: Request) -> Response:
        form = TokenSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        with system_scope():  # they are not in that workspace yet
            membership = invitations.accept(token=form.validated_data["token"], user=person_of(request))
        return Response(shown(request, membership.workspace))


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
