"""What somebody may do, and why."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from forjinn.core import query
from forjinn.core.errors import BadRequest
from forjinn.core.permissions import MEMBER, SIGNED_IN
from forjinn.core.times import iso_millis
from workspaces import members, tenancies
from workspaces.access import Access, access_of, decide
from workspaces.people.callers import as_person, person_of, shown
from workspaces.people.serializers import AccountSerializer, AccountUpdateSerializer, ExplanationSerializer
from workspaces.permissions import ACTIONS, PERMISSIONS

CATALOGUE = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}


class AccountView(APIView):
    """The person who has signed in. Their sessions are at /_allauth/browser/v1/auth/sessions."""

    needs = {"GET": SIGNED_IN, "PUT": SIGNED_IN}

    @extend_schema(operation_id="account_get", summary="Who you are, and where.", responses=AccountSerializer)
    def get(self, request: Request) -> Response:
        return Response(_account(request))

    @extend_schema(
        operation_id="account_update",
        summary="Change your own name.",
        request=AccountUpdateSerializer,
        responses=AccountSerializer,
    )
    def put(self, request: Request) -> Response:
        form = AccountUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        with as_person(request):
            members.rename_person(person=person_of(request), **form.validated_data)
        return Response(_account(request))


def _account(request: Request) -> dict[str, Any]:
    person, access = person_of(request), getattr(request, "access", None)
    seen = {"lastLogin": iso_millis(person.last_login)} if person.last_login else {}
    return {
        "id": str(person.pk),
        "email": person.email,
        "name": person.name,
        "workspaces": [shown(request, workspace) for workspace in tenancies.workspaces_of(person)],
        "permissions": sorted(access.permissions) if access else [],
        **seen,
    }


class PermissionsView(APIView):
    """What there is to be allowed."""

    needs = {"GET": MEMBER}

    @extend_schema(
        operation_id="permission_list", summary="Every resource, with its actions.", responses={200: CATALOGUE}
    )
    def get(self, request: Request) -> Response:
        return Response({resource: list(actions) for resource, actions in ACTIONS.items()})


class ExplanationView(APIView):
    """Why somebody may do something, or may not."""

    needs = {"GET": MEMBER}

    @extend_schema(
        operation_id="permission_explain",
        summary="Whether somebody may do something, and why.",
        description="Of others than oneself it takes `users:manage`.",
        parameters=[
            OpenApiParameter("user", str, description="The id of a member; the caller's own if left out."),
            OpenApiParameter("action", str, required=True, enum=sorted(PERMISSIONS)),
            OpenApiParameter("flow", UUID, description="To this flow."),
        ],
        responses=ExplanationSerializer,
    )
    def get(self, request: Request) -> Response:
        params = request.query_params
        action = params.get("action", "")
        if action not in PERMISSIONS:
            raise BadRequest(f"action: expected a permission such as chatflows:edit, got '{action[:80]}'")
        flow_id = UUID(query.identifier("flow", flow)) if (flow := params.get("flow")) else None
        asked = _asked_for(access_of(request), params.get("user"))
        decision = decide(asked, action, flow_id)
        return Response(
            {
                "user": asked.name,
                "action": action,
                "allowed": decision.is_allowed,
                "why": decision.why,
                "grants": [grant.source for grant in asked.grants],
            }
        )


def _asked_for(access: Access, user_id: str | None) -> Access:
    if user_id is None or user_id == str(access.id):
        return access
    access.check("users:manage")
    return members.access_of_membership(members.find_membership(access.workspace_id, user_id))
