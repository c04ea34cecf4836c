"""Chatflows: what people edit. Their versions: what runs. Tools: functions that flows of a workspace share."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

import orjson
from django.core.exceptions import ValidationError
from django.db import models

from apikeys.models import ApiKey
from forjinn.core.ids import uuid7
from forjinn.core.models import ScopedQuerySet, WorkspaceScoped

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SLUG_LENGTH = 80


def new_object_id() -> str:
    """24 random hexadecimal digits."""
    return secrets.token_hex(12)


class ChatflowQuerySet(ScopedQuerySet["Chatflow"]):
    """Lists are newest first."""

    def of_kinds(self, kinds: Collection[str]) -> Self:
        return self.filter(kind__in=kinds)

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")


class Chatflow(WorkspaceScoped):
    """A saved graph. Its text lives in its versions; `version` is the one that predictions run."""

    class Kind(models.TextChoices):
        CHATFLOW = "CHATFLOW"
        MULTIAGENT = "MULTIAGENT"
        ASSISTANT = "ASSISTANT"
        AGENTFLOW = "AGENTFLOW"
        AUTOADK = "AUTOADK"
        AUTOGEN = "AUTOGEN"
        CREWAI = "CREWAI"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # How other run APIs name the flow: in words, and in 24 hexadecimal digits. Neither ever changes.
    slug = models.CharField(max_length=SLUG_LENGTH, editable=False)
    object_id = models.CharField(max_length=24, unique=True, default=new_object_id, editable=False)
    name = models.CharField(max_length=255)
    display_name = models.CharField(max_length=100, blank=True)
    description = models.CharField(max_length=500, blank=True)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.CHATFLOW)
    category = models.CharField(max_length=255, blank=True)
    deployed = models.BooleanField(default=False)
    is_public = models.BooleanField(default=False)
    # RESTRICT: a flow that loses the key it is tied to would be open to callers whom the key kept out.
    apikey = models.ForeignKey(ApiKey, on_delete=models.RESTRICT, null=True, blank=True, related_name="chatflows")
    chatbot_config = models.TextField(blank=True)  # JSON text of an object, as the editor sent it; "" is unset
    api_config = models.TextField(blank=True)
    version = models.OneToOneField(
        "ChatflowVersion", on_delete=models.RESTRICT, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    objects: ClassVar[ChatflowQuerySet] = ChatflowQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [
            # A page and the total of a workspace's list come from these alone, however many rows there are in all.
            models.Index(fields=["workspace", "-created_at", "-id"], include=["kind"], name="chatflow_by_workspace"),
            models.Index(fields=["workspace", "kind", "-created_at", "-id"], name="chatflow_by_kind"),
            models.Index(fields=["workspace", "name"], name="chatflow_by_name"),
        ]
        constraints = [models.UniqueConstraint(fields=["workspace", "slug"], name="chatflow_slug_once")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Hold forms to what the API is held to."""
        super().clean()
        if self.apikey is not None and self.apikey.workspace_id != self.workspace_id:
            raise ValidationError({"apikey": "This key opens another workspace."})
        for name in ("chatbot_config", "api_config"):
            if (text := getattr(self, name)) and not _is_object(text):
                raise ValidationError({name: "Expected JSON text of an object."})

    @property
    def revision(self) -> str:
        """Changes with every change of the row: what an HTTP client compares."""
        return f"{(self.updated_at - EPOCH) // timedelta(microseconds=1):x}"


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


class ChatflowVersion(models.Model):
    """A flow's text at one time. Never changed: caches rely on it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    chatflow = models.ForeignKey(Chatflow, on_delete=models.CASCADE, related_name="versions", db_index=False)
    number = models.IntegerField()
    flow_data = models.TextField()  # byte for byte what the client sent
    digest = models.CharField(max_length=64)  # of the canonical JSON
    author = models.CharField(max_length=254, blank=True)  # whoever saved it: a person's e-mail, or a key's name
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["chatflow", "number"], name="version_number_once")]

    def __str__(self) -> str:
        return f"{self.chatflow_id} v{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        assert self._state.adding, "a version is never changed: make a new one"
        super().save(*args, **kwargs)


class Deployment(WorkspaceScoped):
    """A version that was handed to callers under a key of its own: later saves of the flow do not reach them."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    chatflow = models.ForeignKey(Chatflow, on_delete=models.CASCADE)
    version = models.ForeignKey(ChatflowVersion, on_delete=models.CASCADE, db_index=False)
    apikey = models.OneToOneField(ApiKey, on_delete=models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.version} by {self.apikey}"


class ToolQuerySet(ScopedQuerySet["Tool"]):
    """Lists are newest first."""

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")


class Tool(WorkspaceScoped):
    """A function in JavaScript that models may call. Flows name it by its id."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)  # for the model: when to use it
    color = models.CharField(max_length=255, blank=True)
    icon_src = models.TextField(blank=True)
    schema = models.TextField(default="[]")  # JSON text of [{property, type, description, required}]
    func = models.TextField()  # sees each property as $name; runs in the sandbox only
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    objects: ClassVar[ToolQuerySet] = ToolQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "-created_at", "-id"], name="tool_by_workspace"),
            models.Index(fields=["workspace", "name"], name="tool_by_name"),
        ]

    def __str__(self) -> str:
        return self.name
