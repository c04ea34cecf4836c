"""What the calls about people share: who makes them, where, and what they are shown."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request

from forjinn.core.errors import NotFound
from forjinn.core.scopes import system_scope
from workspaces import tenancies
from workspaces.access import access_of, actor_of_person
from workspaces.models import User, Workspace
from workspaces.people.serializers import WorkspaceSerializer

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


def as_person(request: Request) -> AbstractContextManager[None]:
    """What concerns no workspace yet, or none in particular, is done in the name of who has signed in."""
    return system_scope(actor_of_person(person_of(request), request._request))


def shown(request: Request, workspace: Workspace) -> dict[str, Any]:
    """A workspace as the caller sees it."""
    access = getattr(request, "access", None)
    known = tenancies.workspaces_of(request.user) if isinstance(request.user, User) else {}
    context = {"active": access and access.workspace_id, "roles": {one.pk: role for one, role in known.items()}}
    return WorkspaceSerializer(context=context).to_representation(workspace)


def check_active(request: Request, workspace_id: str) -> None:
    """Raises NotFound for every workspace but the one that the caller works in."""
    if str(access_of(request).workspace_id) != workspace_id:
        raise NotFound(f"Workspace {workspace_id[:64]} not found: switch to it first")
