"""Document stores: what their loaders read, cut into chunks, and where those are kept once they are embedded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Self
from uuid import UUID

from django.db import models
from django.utils import timezone

from chatflows.models import Chatflow
from engine.document_stores import Collection, Component
from engine.documents import SOURCE_ID
from engine.files import STORED, File, data_uri
from engine.parts import LIMITS
from engine.providers.base import Document
from engine.storing import place_of
from forjinn.core.ids import uuid7
from forjinn.core.models import ScopedQuerySet, WorkspaceScoped

OWN_TABLES = "postgres"  # the vector store that is in the platform's own database
OWN_RECORDS = "postgresRecordManager"


class Status(models.TextChoices):
    """How far a store is, or one of its loaders; a store that has none is EMPTY."""

    EMPTY = "EMPTY"
    NEW = "NEW"  # not read yet
    SYNCING = "SYNCING"
    SYNC = "SYNC"  # read and cut up
    STALE = "STALE"  # changed since
    UPSERTING = "UPSERTING"
    UPSERTED = "UPSERTED"


WORKING = (Status.SYNCING, Status.UPSERTING)
# A store is as far as the first of these that one of its loaders is at.
FIRST = (Status.UPSERTING, Status.SYNCING, Status.NEW, Status.STALE, Status.SYNC, Status.UPSERTED)


class DocumentStoreQuerySet(ScopedQuerySet["DocumentStore"]):
    """Lists are newest first."""

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")

    def readiness(self) -> dict[str, bool]:
        """Of each store's id, whether anything can be found in it."""
        return {
            str(store_id): upserted_at is not None for store_id, upserted_at in self.values_list("pk", "upserted_at")
        }


class DocumentStore(WorkspaceScoped):
    """A store. Its three parts are `{"name": <node type>, "config": {<inputs>}}`, or {} where none is chosen."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    embedding = models.JSONField(default=dict, blank=True)
    vector_store = models.JSONField(default=dict, blank=True)
    record_manager = models.JSONField(default=dict, blank=True)
    upserted_at = models.DateTimeField(null=True, editable=False)  # null: there is nothing to be found in it
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    objects: ClassVar[DocumentStoreQuerySet] = DocumentStoreQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "document store"
        indexes = [models.Index(fields=["workspace", "-created_at", "-id"], name="store_by_workspace")]

    def __str__(self) -> str:
        return self.name

    @property
    def status(self) -> str:
        """How far the least of its loaders is."""
        states = {loader.state for loader in self.loaders.all()}
        return next((status for status in FIRST if status in states), Status.EMPTY)

    def users(self) -> list[tuple[UUID, str]]:
        """The flows of the workspace that name it, by id and name."""
        flows = Chatflow.objects.of(self.workspace_id).filter(version__flow_data__contains=str(self.pk))
        return list(flows.newest_first().values_list("pk", "name"))

    @property
    def is_whole(self) -> bool:
        """Whether its cleanup takes away all that an upsert does not bring, so that each has to bring everything."""
        return bool(_config(self.record_manager).get("cleanup") == "full")

    @property
    def collection(self) -> Collection | None:
        """Where its documents are; None until an embedding model and a vector store are chosen."""
        if not self.embedding or not self.vector_store:
            return None
        collection = Collection(self._vector_store(), Component(self.embedding["name"], _config(self.embedding)))
        given = _config(self.record_manager)
        # Without a record manager of its owner's, what a loader no longer brings is taken away.
        inputs = given if self.record_manager else {"cleanup": "incremental", "sourceIdKey": SOURCE_ID}
        # Apart for each place: what one holds says nothing of what the next one does.
        namespace = f"{given.get('namespace') or ''}{self.pk}/{place_of(collection)}"
        name = self.record_manager.get("name") or OWN_RECORDS
        return Collection(
            collection.vector_store, collection.embedding, Component(name, {**inputs, "namespace": namespace})
        )

    def _vector_store(self) -> Component:
        config = _config(self.vector_store)
        if self.vector_store["name"] == OWN_TABLES and not config.get("tableName"):
            config = {**config, "tableName": str(self.pk)}
        return Component(self.vector_store["name"], config)


class LoaderQuerySet(models.QuerySet["Loader"]):
    """In the order in which they were added."""

    def in_order(self) -> Self:
        return self.order_by("created_at", "id")


class Loader(models.Model):
    """One source of a store's documents. Files among its inputs are rows of their own."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    store = models.ForeignKey(DocumentStore, on_delete=models.CASCADE, related_name="loaders")
    kind = models.CharField(max_length=100)  # the loader's node type
    label = models.CharField(max_length=255, blank=True)
    config = models.JSONField(default=dict, blank=True)
    splitter = models.CharField(max_length=100, blank=True)  # its node type; "" leaves documents whole
    splitter_label = models.CharField(max_length=255, blank=True)
    splitter_config = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.NEW)
    status_at = models.DateTimeField()
    total_chunks = models.IntegerField(default=0)
    total_chars = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(editable=False)

    objects: ClassVar[LoaderQuerySet] = LoaderQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.label or self.kind

    def components(self) -> tuple[Component, Component | None]:
        """The loader and its splitter, as nodes; files that are kept stand where the inputs name them."""
        files: dict[str, list[str]] = {}
        for kept in self.files.all():
            if str(self.config.get(kept.input)).startswith(STORED):
                files.setdefault(kept.input, []).append(data_uri(kept.file))
        loader = Component(self.kind, {**self.config, **files})
        return loader, Component(self.splitter, self.splitter_config) if self.splitter else None

    @property
    def state(self) -> str:
        """Its status; what has been working for longer than anything may was cut off."""
        too_long = timezone.now() - self.status_at > timedelta(seconds=LIMITS.wall_s)
        return Status.STALE if self.status in WORKING and too_long else self.status


class LoaderFileManager(models.Manager["LoaderFile"]):
    """What is in the files is read only when it is asked for: lists of them are for people."""

    def get_queryset(self) -> models.QuerySet[LoaderFile]:
        return super().get_queryset().defer("content")


class LoaderFile(models.Model):
    """A file that one of a loader's inputs holds."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    loader = models.ForeignKey(Loader, on_delete=models.CASCADE, related_name="files")
    input = models.CharField(max_length=100)
    name = models.TextField()
    mime = models.CharField(max_length=255)
    size_bytes = models.IntegerField()
    content = models.BinaryField()

    objects: ClassVar[LoaderFileManager] = LoaderFileManager()

    def __str__(self) -> str:
        return self.name

    @property
    def file(self) -> File:
        return File(self.name, self.mime, bytes(self.content))


class Chunk(models.Model):
    """A piece of what a loader has read; `number` counts from 1."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    loader = models.ForeignKey(Loader, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    number = models.IntegerField()
    text = models.TextField()
    metadata = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["loader", "number"], name="chunk_number_once")]

    def __str__(self) -> str:
        return f"{self.loader_id} #{self.number}"

    @property
    def document(self) -> Document:
        """As it is stored: a cleanup tells by the loader's id what belongs together."""
        return Document(self.text, {**self.metadata, SOURCE_ID: str(self.loader_id)})


def documents_of(store_id: UUID, loader_ids: Iterable[UUID] | None = None) -> list[Document]:
    """The chunks of a store, or of some of its loaders, in order."""
    chunks = Chunk.objects.filter(loader__store_id=store_id)
    if loader_ids is not None:
        chunks = chunks.filter(loader_id__in=list(loader_ids))
    return [chunk.document for chunk in chunks.order_by("loader__created_at", "loader_id", "number").iterator()]


def _config(part: Mapping[str, Any]) -> dict[str, Any]:
    return dict(part.get("config") or {})
