"""Who may call: by default, only a caller that authentication has given a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:
    from rest_framework.views import APIView  # loads the settings, which name this module


class HasWorkspace(BasePermission):
    """Deny by default: without a key there is no workspace, and without a workspace there is nothing to see."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return getattr(request.auth, "workspace_id", None) is not None
