"""Workspaces, the people in them, and what they keep for their flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import orjson
from django.apps import apps
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from engine.egress import read_allowance
from forjinn.core.crypto import SealedTextField, seal, unseal
from forjinn.core.ids import uuid7
from forjinn.core.models import ScopedQuerySet, WorkspaceScoped

LONGEST_NAME = 200  # characters
LONGEST_VARIABLE = 100
LONGEST_PERSON = 150
SERVICE_DOMAIN = "service.invalid"  # of the addresses of service accounts, which no mail reaches


class UserManager(BaseUserManager["User"]):
    """People sign in with their e-mail address, in whatever case they type it."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.full_clean()
        user.save(using=self._db)
        user.vouch()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Rights come from memberships; `is_staff` opens the administration."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=LONGEST_PERSON, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    # A service account: nobody signs in with it; keys act for it, and may do at most what it may.
    is_service = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        # With `unique` this makes an address one account, in whatever case it is typed.
        constraints = [models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_lower")]

    def __str__(self) -> str:
        return self.email

    def vouch(self) -> None:
        """Whoever gives an account its address by hand says whose it is: no code proves it, and no other is good."""
        rows: Any = self.emailaddress_set  # type: ignore[attr-defined]  # of django-allauth, which has no types
        rows.exclude(email=self.email).delete()
        rows.update_or_create(email=self.email, defaults={"verified": True, "primary": True})

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower()
        proved = apps.get_model("account", "EmailAddress").objects.filter(email=self.email, verified=True)
        if proved.exclude(user_id=self.pk).exists():
            raise ValidationError({"email": "Somebody else has proved that this address is theirs."})


class Workspace(models.Model):
    """A tenant: nothing in it is visible from another."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=LONGEST_NAME)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, editable=False)  # nothing in it is reached any more; all of it stays
    members = models.ManyToManyField(User, through="Membership", related_name="workspaces")

    def __str__(self) -> str:
        return self.name


class CustomRole(WorkspaceScoped):
    """A set of permissions with a name, beside the roles that every workspace comes with."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=LONGEST_NAME)
    description = models.CharField(max_length=500, blank=True)
    permissions = ArrayField(models.CharField(max_length=60), default=list)

    objects: ClassVar[ScopedQuerySet[Self]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="role_name_once")]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person in a workspace. What they may do there is the union of what their roles allow."""

    class Role(models.TextChoices):
        OWNER = "owner"
        ADMIN = "admin"
        EDITOR = "editor"
        VIEWER = "viewer"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    role = models.CharField(max_length=10, choices=Role, default=Role.VIEWER, blank=True)
    suspended_at = models.DateTimeField(null=True, editable=False)  # they stay a member, and may do nothing
    # Ids of custom roles; those of roles that were deleted mean nothing.
    role_ids = ArrayField(models.UUIDField(), default=list, blank=True)

    objects: ClassVar[ScopedQuerySet[Self]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace}: {self.role}"


class Invitation(WorkspaceScoped):
    """An address that may join the workspace. Only a hash of the token that was sent there is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=10, choices=Membership.Role, default=Membership.Role.VIEWER)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.CharField(max_length=254, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[ScopedQuerySet[Self]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "email"], name="invitation_once")]

    def __str__(self) -> str:
        return f"{self.email} to {self.workspace}"

    @property
    def status(self) -> str:
        """pending, accepted or expired."""
        if self.accepted_at:
            return "accepted"
        return "pending" if self.expires_at > timezone.now() else "expired"


class EndUserSecret(WorkspaceScoped):
    """What the server of somebody's page signs with whom its visitors are."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    sealed = SealedTextField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[ScopedQuerySet[Self]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [models.Index(fields=["workspace", "-created_at"], name="end_user_secret_by_age")]

    def __str__(self) -> str:
        return f"{self.workspace} since {self.created_at:%Y-%m-%d}"


class Credential(WorkspaceScoped):
    """A secret that nodes use, e.g. `kind` "openAIApi" with the field `openAIApiKey`. Write-only: no view shows it.

    One that callers fulfill holds none: whoever starts a run brings its fields with it, under its slug.
    """

    class Fulfillment(models.TextChoices):
        STORED = "stored"
        CALLER = "caller"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=100)
    fulfillment = models.CharField(
        max_length=10,
        choices=Fulfillment,
        default=Fulfillment.STORED,
        db_default=Fulfillment.STORED,
        help_text="caller: the secret comes with each run, in connections under the slug, and is not kept.",
    )
    slug = models.SlugField(
        max_length=100, blank=True, db_default="", db_index=False, help_text="How callers name it, if they fulfill it."
    )
    sealed = SealedTextField(editable=False, blank=True)
    allowed_hosts = ArrayField(
        models.CharField(max_length=260),
        default=list,
        blank=True,
        help_text="Hosts that flows may send it to beside its vendor's own, comma-separated: models.example.org:8443.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[ScopedQuerySet[Self]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [models.Index(fields=["workspace", "name"], name="credential_by_name")]
        constraints = [
            models.UniqueConstraint("workspace", "slug", condition=~models.Q(slug=""), name="credential_slug_once"),
            models.CheckConstraint(
                condition=models.Q(fulfillment="stored") | ~models.Q(slug=""), name="caller_credential_has_slug"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"

    def clean(self) -> None:
        super().clean()
        if self.fulfillment == self.Fulfillment.CALLER and not self.slug:
            raise ValidationError({"slug": "Callers need a name for it."})
        for entry in self.allowed_hosts:
            try:
                read_allowance(entry)
            except ValueError as exc:
                raise ValidationError({"allowed_hosts": str(exc)}) from exc

    def close(self, fields: Mapping[str, str]) -> None:
        """Seal the fields; the row still has to be saved."""
        self.sealed = seal(orjson.dumps(dict(fields)).decode())

    def open(self) -> dict[str, str]:
        """The fields in clear. Raises SealBroken if the key they were sealed with is gone."""
        fields: dict[str, str] = orjson.loads(unseal(self.sealed))
        return fields


class Variable(WorkspaceScoped):
    """A plain value that flows refer to as `{{$vars.name}}`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=LONGEST_VARIABLE)
    value = models.TextField(blank=True)

    objects: ClassVar[ScopedQuerySet[Self]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="variable_name_once")]

    def __str__(self) -> str:
        return self.name


class KeyCheck(models.Model):
    """The one row that was sealed at the first start: keys that open it are those of this database's secrets."""

    ONLY = 1

    id = models.SmallIntegerField(primary_key=True, default=ONLY)
    sealed = SealedTextField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="key_check_once")]

    def __str__(self) -> str:
        return "what the keys are checked with"
