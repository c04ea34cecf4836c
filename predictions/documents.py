"""Document stores at work: loaders read, and what they read is upserted, found and taken away, here and now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from asgiref.sync import sync_to_async

from chatflows.documents import services
from chatflows.documents.knowledge import WorkspaceDocuments
from chatflows.documents.models import WORKING, DocumentStore, Loader, Status, documents_of
from engine.context import World
from engine.document_stores import Collection as Place
from engine.documents import wire
from engine.errors import EngineError
from engine.providers.base import Document
from engine.registry import Registry
from engine.storing import find_documents, place_of, read_documents, remove_documents, searched_for, store_documents
from engine.vectors import content_id
from predictions.upserts import UpsertFailed, upsert_world
from predictions.web import WebProcess

Done = TypeVar("Done")

_tasks: set[asyncio.Task[Any]] = set()  # the loop itself holds tasks weakly


@dataclass(frozen=True, slots=True)
class Librarian:
    """Works on the document stores of one workspace."""

    process: WebProcess
    registry: Registry
    workspace_id: UUID

    async def find(self, store_id: object) -> DocumentStore:
        """The store with its loaders. Raises NotFound for one of another workspace."""
        stores = DocumentStore.objects.prefetch_related("loaders")
        return await sync_to_async(stores.get_for)(self.workspace_id, pk=store_id)

    async def preview(self, loader: Loader) -> list[Document]:
        """What a loader would read; nothing is kept. Raises UpsertFailed."""
        source, splitter = await sync_to_async(loader.components)()
        with _told():
            return await read_documents(
                source, splitter, await self._world(), registry=self.registry, store_id=str(loader.store_id)
            )

    async def read(self, loader: Loader) -> None:
        """Have a loader read, and keep its chunks instead of those before. Raises UpsertFailed."""
        async with _working([loader], Status.SYNCING, Status.SYNC):
            documents = await self.preview(loader)
            await sync_to_async(services.replace_chunks)(loader=loader, documents=documents)

    async def upsert(self, store_id: object, loader_ids: Collection[UUID] | None = None) -> Mapping[str, Any]:
        """Store the chunks of these loaders, or of all; returns what `run_upsert` does.

        Raises NotFound, and UpsertFailed if nothing has been read, or a part of the store is not chosen.
        """
        store = await self.find(store_id)
        if (collection := store.collection) is None:
            raise UpsertFailed(
                f"The document store {store.name!r} has no place for its documents: choose an embedding model and a "
                "vector store, with POST /api/v1/document-store/vectorstore/save."
            )
        # A cleanup that takes away whatever is not brought has to be brought everything.
        asked = [
            loader for loader in store.loaders.all() if store.is_whole or loader_ids is None or loader.pk in loader_ids
        ]
        full = [loader for loader in asked if loader.total_chunks]
        emptied = {str(loader.pk) for loader in asked if not loader.total_chunks and loader.state != Status.NEW}
        if not full and not emptied:
            raise UpsertFailed(
                f"There is nothing to upsert in the document store {store.name!r}: process a loader first."
            )
        async with _working(full, Status.UPSERTING, Status.UPSERTED):
            documents = await sync_to_async(documents_of)(store.pk, [loader.pk for loader in full])
            with _told():
                counts = await store_documents(
                    collection, documents, await self._world(), registry=self.registry, store_id=str(store.pk)
                )
                if emptied:
                    await self._remove(store, collection, lambda _, source: source in emptied)
            mark = sync_to_async(services.mark_upserted)
            await mark(workspace_id=self.workspace_id, store_id=store.pk, place=place_of(collection))
        return counts

    async def take_away(self, store: DocumentStore, loader: Loader | None = None) -> int:
        """Take what is stored of a loader, or of the whole store, out of its vector store; returns how much it was.

        Raises UpsertFailed.
        """
        removed = 0
        if (collection := store.collection) is not None and store.upserted_at is not None:
            source_id, own = "", set[str]()
            if loader is not None:
                # By their ids as well: a record manager of the owner's may tell sources by something else.
                documents = await sync_to_async(documents_of)(store.pk, [loader.pk])
                source_id, own = str(loader.pk), {content_id(document) for document in documents}
            with _told():
                removed = await self._remove(
                    store, collection, lambda record, source: loader is None or source == source_id or record in own
                )
        loader_id = loader.pk if loader else None
        await sync_to_async(services.mark_taken_away)(store_id=store.pk, loader_id=loader_id)
        return removed

    async def search(self, store: DocumentStore, query: str, top_k: int | None) -> list[dict[str, Any]]:
        """What flows would find. Raises UpsertFailed."""
        with _told():
            known = await WorkspaceDocuments(self.workspace_id).find(str(store.pk))
            collection = searched_for(known.collection, top_k) if top_k else known.collection
            found = await find_documents(
                collection, query, await self._world(), registry=self.registry, store_id=known.id
            )
        return [wire(document) for document in found]

    async def _remove(self, store: DocumentStore, collection: Place, is_gone: Callable[[str, str], bool]) -> int:
        world = await self._world()
        return await remove_documents(collection, is_gone, world, registry=self.registry, store_id=str(store.pk))

    async def _world(self) -> World:
        return await upsert_world(self.process, self.workspace_id, {})


async def to_its_end(work: Coroutine[Any, Any, Done]) -> Done:
    """What the work gives. It goes on if whoever waits for it goes away: a store's status tells how far it is."""
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_forget)
    return await asyncio.shield(task)


def _forget(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled():
        task.exception()  # nobody may be there to hear it, which is no defect


@asynccontextmanager
async def _working(loaders: Sequence[Loader], status: Status, done: Status) -> AsyncIterator[None]:
    """The loaders are at work meanwhile, and `done` after it; or what they were, if it fails."""
    ids = [loader.pk for loader in loaders]
    begun_at = await sync_to_async(services.begin_work)(loader_ids=ids, status=status)
    try:
        yield
    except BaseException:
        states = {loader.pk: _after_failure(loader, status) for loader in loaders}
        await sync_to_async(services.end_work)(states=states, begun_at=begun_at)
        raise
    # What was stale before an upsert still is: its chunks are stored, though they are not what it would read now.
    states = {
        loader.pk: loader.status if done == Status.UPSERTED and loader.status == Status.STALE else done
        for loader in loaders
    }
    await sync_to_async(services.end_work)(states=states, begun_at=begun_at)


def _after_failure(loader: Loader, status: Status) -> str:
    """Reading changes nothing before its end, upserting may have stored a part."""
    if status == Status.UPSERTING and loader.status in services.STORED_OR_SO:
        return Status.SYNC
    return Status.STALE if loader.status in WORKING else loader.status


@contextmanager
def _told() -> Iterator[None]:
    """What the engine refuses, in the API's words."""
    try:
        yield
    except EngineError as exc:
        raise UpsertFailed(exc.message) from exc
