"""Who asks a flow through somebody's page: the page's own server signs it, as a JWT under a secret of the workspace."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from django.db import transaction
from django.db.models import Q
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils import timezone

from forjinn.core.crypto import seal, unseal
from forjinn.core.errors import Unauthenticated
from forjinn.core.records import RecordCache, announce_stale
from workspaces.models import EndUserSecret

LONGEST_SUBJECT = 255
LONGEST = timedelta(hours=24)  # that a token may be good for
LEEWAY_S = 30


@transaction.atomic
def rotate_secret(*, workspace_id: UUID, overlap_s: int = 0) -> tuple[EndUserSecret, str]:
    """A new secret, in clear this once; former ones are good for `overlap_s` seconds more."""
    until = timezone.now() + timedelta(seconds=overlap_s)
    former = EndUserSecret.objects.of(workspace_id).filter(Q(expires_at=None) | Q(expires_at__gt=until))
    former.update(expires_at=until)
    raw = secrets.token_urlsafe(48)
    return EndUserSecret.objects.create(workspace_id=workspace_id, sealed=seal(raw)), raw


async def subject_of(workspace_id: UUID, token: str) -> str:
    """Whom the token names. Raises Unauthenticated for one that is not good here, and Unavailable."""
    known = await _secrets.aget(workspace_id)
    if known is None:
        raise Unauthenticated("X-End-User: this workspace signs no end users: make a secret for that first")
    now = timezone.now()
    good = [secret for secret, until in known if until is None or until > now]
    for secret in good:
        try:
            return _subject(jwt.decode(token, secret, algorithms=["HS256"], leeway=LEEWAY_S, options=REQUIRED))
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("X-End-User: the token has expired: have your server sign another one") from None
        except jwt.InvalidTokenError as exc:
            raise Unauthenticated(f"X-End-User: not a token that is taken here: {exc}") from None
    raise Unauthenticated("X-End-User: signed by none of the workspace's secrets")


REQUIRED: Any = {"require": ["exp", "sub"], "verify_aud": False, "verify_iat": False}


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or "\0" in subject:
        raise Unauthenticated(f"X-End-User: sub must be text of 1 to {LONGEST_SUBJECT} characters")
    if claims["exp"] > (timezone.now() + LONGEST).timestamp() + LEEWAY_S:
        raise Unauthenticated("X-End-User: exp must be within 24 hours")
    return subject


def _load(workspace_id: UUID) -> tuple[tuple[str, datetime | None], ...] | None:
    rows = EndUserSecret.objects.of(workspace_id).filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
    return tuple((unseal(row.sealed), row.expires_at) for row in rows.order_by("-created_at")) or None


_secrets = RecordCache[UUID, tuple[tuple[str, datetime | None], ...]]("end user secrets", _load, read_key=UUID)


@receiver([post_save, post_delete], sender=EndUserSecret)
def _announce(instance: EndUserSecret, **_: object) -> None:
    announce_stale("end user secrets", instance.workspace_id)
