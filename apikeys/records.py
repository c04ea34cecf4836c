"""Who a key belongs to, remembered in each process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils import timezone

from apikeys.conditions import Conditions
from apikeys.models import ApiKey, hash_key
from forjinn.core.errors import Forbidden
from forjinn.core.records import RecordCache, announce_stale
from forjinn.core.scopes import current, system_scope
from workspaces.access import Access, Grant
from workspaces.grants import grants_of
from workspaces.models import CustomRole, Membership, User, Workspace
from workspaces.permissions import PERMISSIONS

KEY_SHAPE = re.compile(r"(?:fj|pk)-[A-Za-z0-9_-]{40}")
LAST_USED_STEP = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord(Access):
    """A key that is good, as far as this process knows. It may be used for what meets its conditions alone."""

    conditions: Conditions
    is_publishable: bool = False
    owner_id: UUID | None = None

    def check_use(self, origin: str, *, asks_flow: bool) -> None:
        """Raises Forbidden where the key must not be used: by this page (its `Origin`), or for this kind of call.

        `asks_flow`: the call asks a flow, as visitors of a page do.
        """
        self.conditions.check(origin)
        if self.is_publishable and not asks_flow:
            raise Forbidden("A publishable key may ask its flow, and nothing else: use a key of the workspace")


def is_of_page(access: Access | None) -> bool:
    """Whether they show a publishable key, which anybody can read in its page: they are one of its visitors."""
    return isinstance(access, KeyRecord) and access.is_publishable


def find_key(raw: str) -> KeyRecord | None:
    """The good key that this text is, or None. Raises Unavailable if it is not remembered and the database is away."""
    return _unexpired(_keys.get(hash_key(raw))) if KEY_SHAPE.fullmatch(raw) else None


async def afind_key(raw: str) -> KeyRecord | None:
    """As `find_key`, for asynchronous callers."""
    return _unexpired(await _keys.aget(hash_key(raw))) if KEY_SHAPE.fullmatch(raw) else None


def _unexpired(key: KeyRecord | None) -> KeyRecord | None:
    return None if key is None or key.conditions.is_over else key


def _load(digest: str) -> KeyRecord | None:
    key = ApiKey.objects.with_digest(digest).exclude(kind=ApiKey.Kind.DEPLOYMENT).first()
    grants = _grants(key) if key else ()
    if key is None or not grants:
        return None
    note_use(key)
    return KeyRecord(
        id=key.pk,
        workspace_id=key.workspace_id,
        name=key.name,
        grants=grants,
        flows=None if key.flows is None else frozenset(key.flows),
        conditions=conditions_of(key, digest),
        is_publishable=key.kind == ApiKey.Kind.PUBLISHABLE,
        owner_id=key.owner_id,
    )


def conditions_of(key: ApiKey, digest: str) -> Conditions:
    """Those of the key as the one that has this digest."""
    return Conditions(
        expires_at=key.ends_at(digest),
        environments=None if key.environments is None else frozenset(key.environments),
        origins=None if key.origins is None else frozenset(key.origins),
    )


def _grants(key: ApiKey) -> tuple[Grant, ...]:
    """The key's own; if it has an owner, what of them the owner's roles allow now, and () without a role."""
    source = "a key for everything" if key.permissions is None else "a key for some permissions"
    own = PERMISSIONS if key.permissions is None else PERMISSIONS.intersection(key.permissions)
    if key.owner_id is None:
        return (Grant(source, own),)
    return tuple(
        Grant(f"{source}, whose owner has {grant.source}", own & grant.permissions)
        for grant in grants_of(key.owner_id, key.workspace_id)
    )


def note_use(key: ApiKey) -> None:
    """Write down that the key is in use; call it where a process loads the key's record."""
    # Loads come a minute apart while a key is in use: often enough to know it is, and no write for each request.
    now = timezone.now()
    unnoted = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_STEP)
    ApiKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=now)


_keys = RecordCache[str, KeyRecord]("apikeys", _load, read_key=str)


def forget_keys_of(user_id: UUID) -> None:
    """Have every process look anew at what the keys of this person may, once the present transaction is committed."""
    # A person's keys may be in workspaces that the present caller does not see.
    with system_scope(current().actor):
        keys = list(ApiKey.objects.filter(owner_id=user_id))
    for key in keys:
        _announce(key)


@receiver(post_save, sender=Workspace)
def _announce_all(instance: Workspace, update_fields: frozenset[str] | None = None, **_: object) -> None:
    """Archived or brought back."""
    if update_fields and "archived_at" in update_fields:
        for key in ApiKey.objects.of(instance.pk):
            _announce(key)


@receiver([post_save, post_delete], sender=CustomRole)
def _announce_held(instance: CustomRole, **_: object) -> None:
    """What keys may depends on the roles of those whom they act for."""
    for key in ApiKey.objects.of(instance.workspace_id).exclude(owner=None):
        _announce(key)


@receiver([post_save, post_delete], sender=ApiKey)
def _announce(instance: ApiKey, **_: object) -> None:
    for digest in instance.digests:
        announce_stale("apikeys", digest)


@receiver([post_save, post_delete], sender=Membership)
def _announce_member(instance: Membership, **_: object) -> None:
    forget_keys_of(instance.user_id)


@receiver([post_save, post_delete], sender=User)
def _announce_person(instance: User, **_: object) -> None:
    forget_keys_of(instance.pk)
