"""Who calls, and the one function that decides what they may."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework.request import Request

from forjinn.core.errors import Forbidden, NotFound
from forjinn.core.scopes import enter
from workspaces.models import User
from workspaces.permissions import FLOW_BOUND, MAKES_FLOWS

Rows = TypeVar("Rows", bound=QuerySet[Any])


@dataclass(frozen=True, slots=True)
class Grant:
    """Permissions, and what they come from: `the role Editor`."""

    source: str
    permissions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and why, for people."""

    is_allowed: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Somebody who has shown who they are, in one workspace. What they may is the union of their grants.

    `flows`: the only flows that they can reach; None: all of the workspace.
    """

    kind: Literal["key", "member"] = "key"
    id: UUID
    workspace_id: UUID
    name: str
    grants: tuple[Grant, ...]
    flows: frozenset[UUID] | None = None

    @property
    def permissions(self) -> frozenset[str]:
        """All that they may do."""
        return frozenset().union(*(grant.permissions for grant in self.grants))

    def may(self, permission: str, flow_id: UUID | None = None) -> bool:
        """As `decide`, without the reason."""
        return decide(self, permission, flow_id).is_allowed

    def check(self, permission: str, flow_id: UUID | None = None) -> None:
        """Raises NotFound for a flow that they cannot reach, Forbidden for what they may not do."""
        if flow_id is not None and not self.reaches(flow_id):
            raise NotFound(f"Chatflow {flow_id} not found")
        decision = decide(self, permission, flow_id)
        if not decision.is_allowed:
            raise Forbidden(decision.why)

    def reaches(self, flow_id: UUID) -> bool:
        return self.flows is None or flow_id in self.flows

    def check_unlimited(self, what: str) -> None:
        """Raises Forbidden for those who are limited to some flows, for what concerns all of the workspace."""
        if self.flows is not None:
            raise Forbidden(f"{self.name} is limited to some flows, and {what} concern all of the workspace")

    def within(self, rows: Rows, column: str) -> Rows:
        """Those rows whose flow, named by the column, they can reach."""
        return rows if self.flows is None else rows.filter(**{f"{column}__in": self.flows})


def access_of(request: Request | HttpRequest) -> Access:
    """Who makes this request. Only behind a rule that needs somebody."""
    access = getattr(request, "access", None)
    assert isinstance(access, Access), "this view's rule lets strangers in"
    return access


def admit_access(request: Request | HttpRequest, access: Access) -> None:
    """The request is theirs from here on: `access_of` tells, and the database shows their workspace."""
    plain = request._request if isinstance(request, Request) else request
    plain.access = access  # type: ignore[attr-defined]  # ours, on Django's own class
    enter(access.workspace_id, actor=actor_of(access, plain))


def actor_of(access: Access | None, request: HttpRequest) -> str:
    """Who is behind what is written now, for the audit trail: JSON."""
    who = {"kind": access.kind, "id": str(access.id), "name": access.name} if access else {"kind": "visitor"}
    return _with_origin(who, request)


def actor_of_person(person: User, request: HttpRequest, kind: str = "member") -> str:
    """As `actor_of`, for what somebody does in no workspace in particular."""
    return _with_origin({"kind": kind, "id": str(person.pk), "name": person.email}, request)


def _with_origin(who: dict[str, str], request: HttpRequest) -> str:
    address, request_id = request.META.get("REMOTE_ADDR", ""), getattr(request, "request_id", "")
    return json.dumps({**who, "address": address, "requestId": request_id})


def decide(access: Access, permission: str, flow_id: UUID | None = None) -> Decision:
    """Whether they may do this at all or, where a flow is named, to this flow."""
    source = next((grant.source for grant in access.grants if permission in grant.permissions), None)
    if source is None:
        given = ", ".join(grant.source for grant in access.grants) or "no role"
        return Decision(False, f"{permission} is needed; {access.name} has {given}, which does not allow it")
    if access.flows is not None:
        if permission.partition(":")[0] not in FLOW_BOUND or permission in MAKES_FLOWS:
            return Decision(False, f"{permission} is needed; {access.name} is limited to some flows")
        if flow_id is not None and flow_id not in access.flows:
            return Decision(False, f"{access.name} is limited to other flows")
    return Decision(True, f"{source} allows {permission}")
