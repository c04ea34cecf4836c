"""Invitations over HTTP: sent, listed, taken back, accepted."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from forjinn.core.pagination import PAGE_PARAMETERS, page_of
from forjinn.core.permissions import SIGNED_IN
from workspaces import invitations
from workspaces.access import access_of
from workspaces.models import Invitation
from workspaces.people.callers import AFFECTED, as_person, check_active, person_of, shown
from workspaces.people.serializers import (
    InvitationSerializer,
    InviteSerializer,
    OwnInvitationSerializer,
    TokenSerializer,
    WorkspaceSerializer,
)


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
        check_active(request, workspace_id)
        page, headers = page_of(Invitation.objects.of(access_of(request).workspace_id).order_by("-created_at"), request)
        return Response([InvitationSerializer().to_representation(one) for one in page], headers=headers)

    @extend_schema(
        operation_id="invitation_create",
        summary="Invite an address by mail; again: with a new token, and the former one ends.",
        request=InviteSerializer,
        responses={201: InvitationSerializer},
    )
    def post(self, request: Request, workspace_id: str) -> Response:
        check_active(request, workspace_id)
        form = InviteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        invitation = invitations.invite(access=access_of(request), **form.validated_data)
        return Response(InvitationSerializer().to_representation(invitation), status=201)


class InvitationView(APIView):
    """One invitation."""

    needs = {"DELETE": "workspace:add-user"}

    @extend_schema(operation_id="invitation_revoke", summary="Take an invitation back.", responses=AFFECTED)
    def delete(self, request: Request, workspace_id: str, invitation_id: str) -> Response:
        check_active(request, workspace_id)
        invitations.revoke(access=access_of(request), invitation_id=invitation_id)
        return Response({"affected": 1})


class OwnInvitationsView(APIView):
    """Where the person who has signed in is asked to join."""

    needs = {"GET": SIGNED_IN}

    @extend_schema(
        operation_id="own_invitation_list",
        summary="List the open invitations to your own address; accepting one takes the token that came by mail.",
        responses=OwnInvitationSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        with as_person(request):
            pending = invitations.pending_of(person_of(request))
        return Response([OwnInvitationSerializer().to_representation(one) for one in pending])


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
        with as_person(request):
            membership = invitations.accept(token=form.validated_data["token"], user=person_of(request))
        return Response(shown(request, membership.workspace))
