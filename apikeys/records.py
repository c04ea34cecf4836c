"""Who a key belongs to, remembered in each process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils import timezone

from apikeys.models import ApiKey, hash_key
from forjinn.core.records import RecordCache, announce_stale
from workspaces.access import Access, Grant
from workspaces.permissions import PERMISSIONS

KEY_SHAPE = re.compile(r"fj-[A-Za-z0-9_-]{40}")
LAST_USED_STEP = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord(Access):
    """A key that is good, as far as this process knows."""

    expires_at: datetime | None


def find_key(raw: str) -> KeyRecord | None:
    """The good key that this text is, or None. Raises Unavailable if it is not remembered and the database is away."""
    return _unexpired(_keys.get(hash_key(raw))) if KEY_SHAPE.fullmatch(raw) else None


async def afind_key(raw: str) -> KeyRecord | None:
    """As `find_key`, for asynchronous callers."""
    return _unexpired(await _keys.aget(hash_key(raw))) if KEY_SHAPE.fullmatch(raw) else None


def _unexpired(key: KeyRecord | None) -> KeyRecord | None:
    if key is None or (key.expires_at is not None and key.expires_at <= timezone.now()):
        return None
    return key


def _load(digest: str) -> KeyRecord | None:
    key = ApiKey.objects.filter(digest=digest, kind=ApiKey.Kind.WORKSPACE, revoked_at=None).first()
    if key is None:
        return None
    note_use(key)
    return KeyRecord(
        id=key.pk,
        workspace_id=key.workspace_id,
        name=key.name,
        grants=(_grant(key),),
        flows=None if key.flows is None else frozenset(key.flows),
        expires_at=key.expires_at,
    )


def _grant(key: ApiKey) -> Grant:
    if key.permissions is None:
        return Grant("a key for everything", PERMISSIONS)
    return Grant("a key for some permissions", PERMISSIONS.intersection(key.permissions))


def note_use(key: ApiKey) -> None:
    """Write down that the key is in use; call it where a process loads the key's record."""
    # Loads come a minute apart while a key is in use: often enough to know it is, and no write for each request.
    now = timezone.now()
    unnoted = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_STEP)
    ApiKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=now)


_keys = RecordCache[str, KeyRecord]("apikeys", _load, read_key=str)


@receiver([post_save, post_delete], sender=ApiKey)
def _announce(instance: ApiKey, **_: object) -> None:
    announce_stale("apikeys", instance.digest)
