"""Workspaces over HTTP: made, listed, renamed, archived, switched to."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from forjinn.core.errors import Conflict, Forbidden
from forjinn.core.permissions import SIGNED_IN
from workspaces import tenancies
from workspaces.access import access_of
from workspaces.models import Membership, Workspace
from workspaces.people.callers import AFFECTED, as_person, check_active, person_of, shown
from workspaces.people.serializers import WorkspaceNameSerializer, WorkspaceSerializer
from workspaces.sessions import switch


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
        with as_person(request):
            workspace = tenancies.found_workspace(founder=person, **form.validated_data)
        return Response(shown(request, workspace), status=201)


class WorkspaceView(APIView):
    """The workspace that the caller works in."""

    needs = {"GET": "workspace:view", "PUT": "workspace:edit", "DELETE": "workspace:delete"}

    @extend_schema(operation_id="workspace_get", summary="Read the active workspace.", responses=WorkspaceSerializer)
    def get(self, request: Request, workspace_id: str) -> Response:
        check_active(request, workspace_id)
        return Response(shown(request, Workspace.objects.get(pk=access_of(request).workspace_id)))

    @extend_schema(
        operation_id="workspace_rename",
        summary="Rename the active workspace.",
        request=WorkspaceNameSerializer,
        responses=WorkspaceSerializer,
    )
    def put(self, request: Request, workspace_id: str) -> Response:
        check_active(request, workspace_id)
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
        check_active(request, workspace_id)
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
        with as_person(request):
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
