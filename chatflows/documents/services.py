"""Every write to document stores, but what their loaders read and their vector stores hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict, Unpack
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from chatflows.catalogue import node_types
from chatflows.documents.models import WORKING, Chunk, DocumentStore, Loader, LoaderFile, Status
from chatflows.vectors import forget_store
from engine.errors import EngineError
from engine.files import STORED, read_files
from engine.providers.base import Document
from engine.storing import WORDS, Role, check_role, place_of
from forjinn.core.errors import AppError, NotFound

BATCH = 500  # chunks a statement
STORED_OR_SO = (Status.UPSERTED, Status.UPSERTING)
PARTS: tuple[Literal["embedding", "vector_store", "record_manager"], ...] = (
    "embedding",
    "vector_store",
    "record_manager",
)


class StoreInvalid(AppError):
    """What a store is told to do is nothing that a node of this server can."""

    status = 422
    code = "store_invalid"


class StoreChanges(TypedDict, total=False):
    """What may be changed of a store that exists."""

    name: str
    description: str


class PartChanges(TypedDict, total=False):
    """A store's parts, each `{"name", "config"}`, or {} for none."""

    embedding: dict[str, Any]
    vector_store: dict[str, Any]
    record_manager: dict[str, Any]


class LoaderChanges(TypedDict, total=False):
    """What may be changed of a loader; `kind` must be there in a new one."""

    kind: str
    label: str
    config: dict[str, Any]
    splitter: str
    splitter_label: str
    splitter_config: dict[str, Any]


def create_store(*, workspace_id: UUID, name: str, description: str = "") -> DocumentStore:
    """A new store, with nothing in it."""
    now = timezone.now()
    return DocumentStore.objects.create(
        workspace_id=workspace_id, name=name, description=description, created_at=now, updated_at=now
    )


@transaction.atomic
def update_store(*, workspace_id: UUID, store_id: object, **changes: Unpack[StoreChanges]) -> DocumentStore:
    """Change what is given and keep the rest. Raises NotFound."""
    store = _lock(workspace_id, store_id)
    for name, value in changes.items():
        setattr(store, name, value)
    _save(store, *changes)
    return store


@transaction.atomic
def delete_store(*, workspace_id: UUID, store_id: object) -> None:
    """Delete a store with its loaders and chunks, and what the platform's own database holds of it. Raises NotFound.

    What is in other databases stays there: it is taken away before, by whoever wants that.
    """
    store = _lock(workspace_id, store_id)
    forget_store(workspace_id, store.pk)
    store.delete()


@transaction.atomic
def choose_parts(*, workspace_id: UUID, store_id: object, **parts: Unpack[PartChanges]) -> DocumentStore:
    """Choose where a store's documents are kept, and what embeds them.

    If that is another place than before nothing is there yet: the store has to be upserted again. Raises NotFound,
    and StoreInvalid for a node type that cannot do it.
    """
    store = _lock(workspace_id, store_id)
    place = _place(store)
    for part in PARTS:
        if part in parts:
            given = parts[part]
            setattr(store, part, _chosen(getattr(store, part), given, part) if given else {})
    changed = list(parts)
    if _place(store) != place:
        store.upserted_at = None
        changed.append("upserted_at")
        # Also what is on its way to the old place: `end_work` leaves it so.
        store.loaders.filter(status__in=STORED_OR_SO).update(status=Status.SYNC)
    _save(store, *changed)
    return store


@transaction.atomic
def save_loader(
    *, workspace_id: UUID, store_id: object, loader_id: object = None, **changes: Unpack[LoaderChanges]
) -> Loader:
    """Add a loader to a store, or change one of its loaders; what it has read is then out of date.

    Files among the inputs are data URIs; a name that an answer gave in their place stands for those that are kept.
    Raises NotFound, StoreInvalid for a node type that is no loader or splitter, or for what is no file.
    """
    store = _lock(workspace_id, store_id)
    loader = drafted_loader(store, loader_id, **changes)
    if loader.status != Status.NEW:
        loader.status, loader.status_at = Status.STALE, timezone.now()
    files = _taken_files(loader)
    loader.save()
    for name in {file.input for file in files}:
        loader.files.filter(input=name).delete()
    LoaderFile.objects.bulk_create(files)
    _save(store)
    return loader


def drafted_loader(store: DocumentStore, loader_id: object = None, **changes: Unpack[LoaderChanges]) -> Loader:
    """A loader of the store as it would be saved. Raises as `save_loader` does."""
    if loader_id:
        loader = find_loader(store, loader_id)
    elif changes.get("kind"):
        now = timezone.now()
        loader = Loader(store=store, status=Status.NEW, status_at=now, created_at=now)
    else:
        raise StoreInvalid("loaderId: required: the name of a document loader, such as plainText")
    for name, value in changes.items():
        setattr(loader, name, value)
    _check("loader", loader.kind)
    if loader.splitter:
        _check("splitter", loader.splitter)
    return loader


@transaction.atomic
def delete_loader(*, workspace_id: UUID, store_id: object, loader_id: object) -> DocumentStore:
    """Delete a loader with its chunks and files; what is stored of it is taken away before. Raises NotFound."""
    store = _lock(workspace_id, store_id)
    find_loader(store, loader_id).delete()
    _save(store)
    return store


@transaction.atomic
def edit_chunk(
    *,
    workspace_id: UUID,
    store_id: object,
    loader_id: object,
    chunk_id: object,
    text: str,
    metadata: dict[str, Any] | None = None,
) -> Chunk:
    """Change a chunk's text, and its metadata if any is given; it is found so once the store is upserted again.

    Raises NotFound.
    """
    chunk = _find_chunk(workspace_id, store_id, loader_id, chunk_id)
    _recount(chunk.loader, chars=len(text) - len(chunk.text))
    chunk.text = text
    chunk.metadata = chunk.metadata if metadata is None else metadata
    chunk.save(update_fields=["text", "metadata"])
    return chunk


@transaction.atomic
def delete_chunk(*, workspace_id: UUID, store_id: object, loader_id: object, chunk_id: object) -> Loader:
    """Delete a chunk; it is no longer found once the store is upserted again. Raises NotFound."""
    chunk = _find_chunk(workspace_id, store_id, loader_id, chunk_id)
    loader = chunk.loader
    chunk.delete()
    _recount(loader, chars=-len(chunk.text), chunks=-1)
    return loader


def begin_work(*, loader_ids: Collection[UUID], status: Status) -> datetime:
    """Say that loaders are being read or upserted; returns the time that `end_work` is told."""
    now = timezone.now()
    Loader.objects.filter(pk__in=loader_ids).update(status=status, status_at=now)
    return now


def end_work(*, states: Mapping[UUID, str], begun_at: datetime) -> None:
    """Say how far the loaders are. One that somebody changed since then is as they left it."""
    for loader_id, status in states.items():
        working = Loader.objects.filter(pk=loader_id, status_at=begun_at, status__in=WORKING)
        working.update(status=status, status_at=timezone.now())


@transaction.atomic
def replace_chunks(*, loader: Loader, documents: Collection[Document]) -> None:
    """Keep what a loader has read instead of what it read before. Raises NotFound if it was deleted meanwhile."""
    if not Loader.objects.select_for_update().filter(pk=loader.pk).exists():
        raise NotFound(f"Loader {loader.pk} not found: it was deleted while it read")
    loader.chunks.all().delete()
    chunks = (
        Chunk(loader=loader, number=number, text=document.text, metadata=document.metadata)
        for number, document in enumerate(documents, 1)
    )
    Chunk.objects.bulk_create(chunks, batch_size=BATCH)
    Loader.objects.filter(pk=loader.pk).update(
        total_chunks=len(documents), total_chars=sum(len(document.text) for document in documents)
    )


@transaction.atomic
def mark_upserted(*, workspace_id: UUID, store_id: UUID, place: str) -> None:
    """Say that there is something to be found in a store, unless it has moved meanwhile. Raises NotFound."""
    store = _lock(workspace_id, store_id)
    if _place(store) == place:
        store.upserted_at = timezone.now()
        store.save(update_fields=["upserted_at"])


@transaction.atomic
def mark_taken_away(*, store_id: UUID, loader_id: UUID | None = None) -> None:
    """Say that nothing of a loader is stored any more; of the whole store, if none is named."""
    loaders = Loader.objects.filter(store_id=store_id, status=Status.UPSERTED)
    if loader_id is not None:
        loaders = loaders.filter(pk=loader_id)
    else:
        DocumentStore.objects.filter(pk=store_id).update(upserted_at=None)
    loaders.update(status=Status.SYNC, status_at=timezone.now())


def find_loader(store: DocumentStore, loader_id: object) -> Loader:
    """Raises NotFound unless it is a loader of the store."""
    try:
        wanted = UUID(str(loader_id))
    except ValueError:
        wanted = None
    if wanted and (found := store.loaders.filter(pk=wanted).first()):
        return found
    raise NotFound(f"Loader {str(loader_id)[:64]} not found in document store {store.name!r}")


def _lock(workspace_id: UUID, store_id: object) -> DocumentStore:
    return DocumentStore.objects.select_for_update().get_for(workspace_id, pk=store_id)


def _save(store: DocumentStore, *changed: str) -> None:
    store.updated_at = timezone.now()
    store.save(update_fields=[*changed, "updated_at"])


def _place(store: DocumentStore) -> str:
    return place_of(store.collection) if store.collection else ""


def _chosen(present: Mapping[str, Any], part: Mapping[str, Any], role: Role) -> dict[str, Any]:
    """A part as it is kept; without a name it changes the inputs of the present one."""
    name = part.get("name") or present.get("name")
    if not name:
        raise StoreInvalid(f"There is no {WORDS[role]} yet: name its node type along with its inputs.")
    _check(role, str(name))
    return {"name": name, "config": part.get("config") or {}}


def _check(role: Role, name: str) -> None:
    try:
        check_role(node_types(), role, name)
    except EngineError as exc:
        raise StoreInvalid(exc.message) from exc


def _taken_files(loader: Loader) -> list[LoaderFile]:
    """The files in the loader's inputs, taken out of them: the inputs then hold their names alone."""
    node_type = node_types().get(loader.kind)
    assert node_type is not None, "its kind has been checked"
    taken: list[LoaderFile] = []
    for name in [param.name for param in node_type.spec.params if param.kind == "file"]:
        given = loader.config.get(name)
        if not given or (isinstance(given, str) and given.startswith(STORED)):
            continue
        try:
            files = read_files(loader.config, name)
        except EngineError as exc:
            raise StoreInvalid(f"loaderConfig: {exc.message}") from exc
        taken += [
            LoaderFile(
                loader=loader,
                input=name,
                name=file.name,
                mime=file.mime[:255],
                size_bytes=len(file.content),
                content=file.content,
            )
            for file in files
        ]
        loader.config = {**loader.config, name: STORED + ", ".join(file.name for file in files)}
    return taken


def _find_chunk(workspace_id: UUID, store_id: object, loader_id: object, chunk_id: object) -> Chunk:
    loader = find_loader(_lock(workspace_id, store_id), loader_id)
    try:
        return loader.chunks.select_related("loader").get(pk=UUID(str(chunk_id)))
    except (ValueError, Chunk.DoesNotExist):
        raise NotFound(f"Chunk {str(chunk_id)[:64]} not found") from None


def _recount(loader: Loader, *, chars: int, chunks: int = 0) -> None:
    """A chunk of the loader has changed, and is not stored like that yet."""
    status = Status.SYNC if loader.status in STORED_OR_SO else loader.status
    Loader.objects.filter(pk=loader.pk).update(
        total_chars=F("total_chars") + chars, total_chunks=F("total_chunks") + chunks, status=status
    )
    loader.refresh_from_db()
