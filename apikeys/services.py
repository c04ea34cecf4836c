"""Making, changing, rotating and ending API keys."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Unpack
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import RestrictedError
from django.utils import timezone

from apikeys.models import LONGEST_NAME, ApiKey, hash_key
from apikeys.scopes import Scopes, checked_scopes, scopes_of
from forjinn.core.errors import Conflict
from forjinn.core.texts import check_name, one_line
from workspaces.models import Workspace

SHOWN = 8  # characters of a key that lists show
PREFIXES = {ApiKey.Kind.WORKSPACE: "fj-", ApiKey.Kind.DEPLOYMENT: "cf_", ApiKey.Kind.PUBLISHABLE: "pk-"}


def create_api_key(
    *,
    workspace: Workspace | UUID,
    name: str,
    kind: ApiKey.Kind = ApiKey.Kind.WORKSPACE,
    owner_id: UUID | None = None,
    created_by: str = "",
    **scopes: Unpack[Scopes],
) -> tuple[ApiKey, str]:
    """The new key's row, and the key itself: a prefix and 40 random characters that nobody can look up again.

    Raises BadRequest for a name that is none, and, as ScopesUnfit, for scopes that make no sense.
    """
    check_name(name, most=LONGEST_NAME)
    raw = _new_key(kind)
    key = ApiKey.objects.create(
        workspace_id=workspace if isinstance(workspace, UUID) else workspace.pk,
        name=name,
        kind=kind,
        owner_id=owner_id,
        created_by=one_line(created_by)[:LONGEST_NAME],
        prefix=raw[:SHOWN],
        digest=hash_key(raw),
        **checked_scopes(kind, scopes),
    )
    return key, raw


def update_api_key(*, key: ApiKey, name: str | None = None, **scopes: Unpack[Scopes]) -> ApiKey:
    """Change what is given; within a second every process goes by it. Raises BadRequest, ScopesUnfit."""
    if name is not None:
        check_name(name, most=LONGEST_NAME)
        key.name = name
    changed: Scopes = {**scopes_of(key), **scopes}
    for field, value in checked_scopes(key.kind, changed).items():
        setattr(key, field, value)
    key.save(update_fields=["name", *Scopes.__annotations__])
    return key


@transaction.atomic
def rotate_api_key(*, workspace_id: UUID, key_id: UUID, overlap: timedelta) -> tuple[ApiKey, str]:
    """Another text for the same key, which cannot be looked up again; the present one is good for `overlap` yet.

    What an earlier rotation left ends at once. Raises NotFound, Conflict for a key that has ended.
    """
    key = ApiKey.objects.select_for_update().get_for(workspace_id, pk=key_id)
    now = timezone.now()
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        raise Conflict(f"The key '{key.name}' has ended: make another one")
    raw = _new_key(ApiKey.Kind(key.kind))
    key.ended_digest = key.previous_digest
    key.previous_digest, key.previous_until = key.digest, now + overlap
    key.digest, key.prefix = hash_key(raw), raw[:SHOWN]
    key.save(update_fields=["previous_digest", "previous_until", "digest", "prefix"])
    return key, raw


def revoke_api_key(*, key: ApiKey) -> None:
    """End the key for good; within a second no process takes it any more."""
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])


def delete_api_key(*, key: ApiKey) -> None:
    """Delete the key for good, and the deployment that it stands for. Raises Conflict while flows are tied to it."""
    tied = f"The key '{key.name}' cannot be deleted while flows are tied to it"
    try:
        with transaction.atomic():
            key.delete()
    except RestrictedError as exc:
        names = ", ".join(sorted(f"'{flow}'" for flow in exc.restricted_objects)[:5])
        raise Conflict(f"{tied}: {names}. Give them another apikeyid, or none, first") from exc
    except IntegrityError as exc:  # one was tied at this moment
        raise Conflict(f"{tied}: give them another apikeyid, or none, first") from exc


def _new_key(kind: ApiKey.Kind) -> str:
    return f"{PREFIXES[kind]}{secrets.token_urlsafe(30)}"
