"""API keys, of which only a keyed hash is kept."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from forjinn.core.ids import uuid7
from forjinn.core.models import ScopedQuerySet, WorkspaceScoped
from workspaces.models import User

LONGEST_NAME = 200  # characters


def hash_key(raw: str) -> str:
    """HMAC-SHA256 under the pepper. Keys are 240 random bits, so a slow hash would protect nothing further."""
    return hmac.digest(settings.API_KEY_PEPPER.encode(), raw.encode(), "sha256").hex()


class ApiKeyQuerySet(ScopedQuerySet["ApiKey"]):
    """Keys are found by what they are, or were until they were rotated."""

    def known_as(self, raw: str) -> Self:
        """The one key, if it was not revoked, that is this text."""
        return self.with_digest(hash_key(raw))

    def with_digest(self, digest: str) -> Self:
        was = models.Q(previous_digest=digest, previous_until__gt=timezone.now())
        return self.filter(models.Q(digest=digest) | was, revoked_at=None, workspace__archived_at=None)


class ApiKey(WorkspaceScoped):
    """A key of one workspace, of one deployment in it, or one for the pages that may ask one of its flows.

    `prefix` is what people recognise it by; the key itself is shown once, when made. What limits it is None where it
    does not: `permissions` (None: all), `flows` it reaches, `environments` of servers that take it, `origins` of the
    pages that may send it. With an `owner` it may what that person may at the moment, at most.
    """

    class Kind(models.TextChoices):
        WORKSPACE = "workspace"
        DEPLOYMENT = "deployment"
        PUBLISHABLE = "publishable"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.WORKSPACE, editable=False)
    name = models.CharField(max_length=LONGEST_NAME)
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # What the key was before it was rotated, and until when that is still good.
    previous_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)
    previous_until = models.DateTimeField(null=True, editable=False)
    permissions = ArrayField(models.CharField(max_length=60), null=True, blank=True)
    flows = ArrayField(models.UUIDField(), null=True, blank=True)
    environments = ArrayField(models.CharField(max_length=60), null=True, blank=True)
    origins = ArrayField(models.CharField(max_length=300), null=True, blank=True)
    # Nothing in the database follows the owner: a key whose owner is gone is no good any more, and that is all.
    owner = models.ForeignKey(
        User, on_delete=models.DO_NOTHING, db_constraint=False, null=True, blank=True, related_name="+"
    )
    created_by = models.CharField(max_length=LONGEST_NAME, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)  # to the minute
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, editable=False)

    ended_digest: str | None = None  # what an earlier rotation had left; processes still have to hear that it ended

    objects: ClassVar[ApiKeyQuerySet] = ApiKeyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "API key"
        indexes = [models.Index(fields=["workspace", "name"], name="apikey_by_name")]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(kind="publishable")
                | models.Q(
                    permissions__isnull=False,
                    flows__isnull=False,
                    flows__len=1,
                    origins__isnull=False,
                    origins__len__gt=0,
                ),
                name="publishable_key_is_limited",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def digests(self) -> list[str]:
        """Of all that this key is, and was until it was saved."""
        return [digest for digest in (self.digest, self.previous_digest, self.ended_digest) if digest]

    def ends_at(self, digest: str) -> datetime | None:
        """Until when the key is good as the one that has this digest; None: for ever."""
        ends = [self.expires_at, self.previous_until if digest == self.previous_digest else None]
        return min((end for end in ends if end is not None), default=None)
