"""Making and revoking API keys."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.utils import timezone

from apikeys.models import LONGEST_NAME, ApiKey, hash_key
from forjinn.core.texts import check_name
from workspaces.models import Workspace

SHOWN = 8  # characters of a key that lists show
PREFIXES = {ApiKey.Kind.WORKSPACE: "fj-", ApiKey.Kind.DEPLOYMENT: "cf_"}


def create_api_key(
    *,
    workspace: Workspace,
    name: str,
    expires_at: datetime | None = None,
    kind: ApiKey.Kind = ApiKey.Kind.WORKSPACE,
) -> tuple[ApiKey, str]:
    """The new key's row, and the key itself: a prefix and 40 random characters that nobody can look up again.

    Raises BadRequest for a name that is none.
    """
    check_name(name, most=LONGEST_NAME)
    raw = f"{PREFIXES[kind]}{secrets.token_urlsafe(30)}"
    key = ApiKey.objects.create(
        workspace=workspace, name=name, kind=kind, prefix=raw[:SHOWN], digest=hash_key(raw), expires_at=expires_at
    )
    return key, raw


def revoke_api_key(*, key: ApiKey) -> None:
    """End the key for good; within a second no process takes it any more."""
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])
