"""API keys, of which only a keyed hash is kept."""

from __future__ import annotations

import hmac
from typing import ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from forjinn.core.ids import uuid7
from forjinn.core.models import ScopedQuerySet, WorkspaceScoped

LONGEST_NAME = 200  # characters


def hash_key(raw: str) -> str:
    """HMAC-SHA256 under the pepper. Keys are 240 random bits, so a slow hash would protect nothing further."""
    return hmac.digest(settings.API_KEY_PEPPER.encode(), raw.encode(), "sha256").hex()


class ApiKey(WorkspaceScoped):
    """A key of one workspace, or of one deployment in it.

    `prefix` is what people recognise it by; the key itself is shown once, when made.
    """

    class Kind(models.TextChoices):
        WORKSPACE = "workspace"
        DEPLOYMENT = "deployment"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.WORKSPACE, editable=False)
    name = models.CharField(max_length=LONGEST_NAME)
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # What it may do, and to which flows; None: all.
    permissions = ArrayField(models.CharField(max_length=60), null=True, blank=True)
    flows = ArrayField(models.UUIDField(), null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)  # to the minute
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[ScopedQuerySet[Self]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "API key"
        indexes = [models.Index(fields=["workspace", "name"], name="apikey_by_name")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
