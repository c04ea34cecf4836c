"""Counting the calls that manage a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from forjinn.core.rates import count
from workspaces.access import Access
from workspaces.limits.records import find_limits
from workspaces.limits.windows import caller_windows

if TYPE_CHECKING:
    from rest_framework.views import APIView  # loads the settings, which name this module


class CallsAMinute(BaseThrottle):
    """Each call of a key or a member counts for them and for their workspace; refuses by RateLimited."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        access: Access | None = getattr(request, "access", None)
        if access is not None:
            limits = find_limits(access.workspace_id)
            count(list(caller_windows(limits, access.workspace_id, access.id)), is_known=True)
        return True
