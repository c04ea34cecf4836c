"""The calls that set a document store to work: read, upsert, ask, take away."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase

from chatflows.catalogue import node_types
from chatflows.documents import services
from chatflows.documents.models import DocumentStore, Loader
from chatflows.documents.pages import chunk_page
from chatflows.documents.serializers import ListedStoreSerializer, parts_of
from engine.documents import wire
from forjinn.core.openapi import documented
from predictions import documents_openapi as described
from predictions.documents import Librarian, to_its_end
from predictions.documents_requests import (
    InsertSerializer,
    Item,
    PreviewSerializer,
    ProcessSerializer,
    QuerySerializer,
    RefreshSerializer,
    UpsertSerializer,
    changes_of,
    parts_in,
    read_documents_body,
    read_item,
    read_upsert_item,
    with_kept_files,
)
from predictions.views.api import api_view, json_response
from predictions.web import web_process
from workspaces.access import access_of

PREVIEWED = 20  # chunks


@documented(post=described.PREVIEW)
@api_view(POST="document-stores:edit")
async def preview_loader(request: HttpRequest) -> HttpResponseBase:
    """Read what a loader would read, and keep nothing of it."""
    librarian = _librarian(request)
    form = read_documents_body(request, PreviewSerializer)
    most = form.pop("previewChunkCount", None) or PREVIEWED
    store = await librarian.find(form.pop("store_id"))
    loader = await sync_to_async(services.drafted_loader)(store, form.pop("loader_id", None), **form)
    read = await librarian.preview(loader)
    shown = [wire(document) for document in read[:most]]
    return json_response({"chunks": shown, "totalChunks": len(read), "previewChunkCount": len(shown)})


@documented(post=described.PROCESS)
@api_view(POST="document-stores:edit")
async def process_loader(request: HttpRequest, loader_id: str) -> HttpResponseBase:
    """Have a loader read, and keep its chunks."""
    librarian = _librarian(request)
    form = read_documents_body(request, ProcessSerializer)
    store = await librarian.find(form["store_id"])
    loader = await sync_to_async(services.find_loader)(store, loader_id)
    if len(form) > 1:
        save = sync_to_async(services.save_loader)
        loader = await save(workspace_id=librarian.workspace_id, loader_id=loader.pk, **form)
    await to_its_end(librarian.read(loader))
    store = await librarian.find(store.pk)
    return json_response(await sync_to_async(chunk_page)(store, str(loader.pk)))


@documented(delete=described.DELETE_LOADER)
@api_view(DELETE="document-stores:edit")
async def delete_loader(request: HttpRequest, store_id: str, loader_id: str) -> HttpResponseBase:
    """Delete a loader, with what is stored of it."""
    librarian = _librarian(request)
    store = await librarian.find(store_id)
    loader = await sync_to_async(services.find_loader)(store, loader_id)
    await to_its_end(librarian.take_away(store, loader))
    delete = sync_to_async(services.delete_loader)
    await delete(workspace_id=librarian.workspace_id, store_id=store.pk, loader_id=loader.pk)
    store = await librarian.find(store_id)
    return json_response(await sync_to_async(ListedStoreSerializer().to_representation)(store))


@documented(post=described.INSERT)
@api_view(POST="document-stores:upsert")
async def insert_chunks(request: HttpRequest) -> HttpResponseBase:
    """Embed the chunks that are kept, and store them."""
    librarian = _librarian(request)
    form = read_documents_body(request, InsertSerializer)
    store = await librarian.find(form["storeId"])
    await _choose(librarian, store, parts_of(form))
    if loader_id := form.get("docId"):
        await sync_to_async(services.find_loader)(store, loader_id)
    return json_response(await to_its_end(librarian.upsert(store.pk, [loader_id] if loader_id else None)))


@documented(delete=described.DELETE_STORED)
@api_view(DELETE="document-stores:upsert")
async def delete_stored(request: HttpRequest, store_id: str) -> HttpResponseBase:
    """Take what is stored out of the vector store; the chunks stay."""
    librarian = _librarian(request)
    store = await librarian.find(store_id)
    doc_id = request.GET.get("docId")
    loader = await sync_to_async(services.find_loader)(store, doc_id) if doc_id else None
    return json_response({"numDeleted": await to_its_end(librarian.take_away(store, loader))})


@documented(post=described.QUERY)
@api_view(POST="document-stores:view")
async def query_store(request: HttpRequest) -> HttpResponseBase:
    """Find what flows would find."""
    librarian = _librarian(request)
    form = read_documents_body(request, QuerySerializer)
    store = await librarian.find(form["storeId"])
    started = time.perf_counter()
    found = await librarian.search(store, form["query"], form.get("topK"))
    return json_response({"timeTaken": round((time.perf_counter() - started) * 1000), "docs": found})


@documented(post=described.UPSERT)
@api_view(POST="document-stores:upsert")
async def upsert_store(request: HttpRequest, store_id: str) -> HttpResponseBase:
    """Add documents to a store, or bring those of a loader again: read, cut up, embedded and stored in one call."""
    librarian = _librarian(request)
    store = await librarian.find(store_id)
    form = read_documents_body(request, UpsertSerializer)
    item = read_upsert_item(request, form)
    await _choose(librarian, store, parts_in(form))
    return json_response(await to_its_end(_bring(librarian, store, item)))


@documented(post=described.REFRESH)
@api_view(POST="document-stores:upsert")
async def refresh_store(request: HttpRequest, store_id: str) -> HttpResponseBase:
    """Have loaders read again, and store what is new."""
    librarian = _librarian(request)
    store = await librarian.find(store_id)
    form = read_documents_body(request, RefreshSerializer)
    items = [read_item(item) for item in form.get("items") or ()]
    items = items or [Item(loader.pk) for loader in store.loaders.all()]
    return json_response(await to_its_end(_bring_all(librarian, store, items)))


async def _bring_all(librarian: Librarian, store: DocumentStore, items: list[Item]) -> list[Mapping[str, Any]]:
    return [await _bring(librarian, store, item) for item in items]


async def _bring(librarian: Librarian, store: DocumentStore, item: Item) -> Mapping[str, Any]:
    loader = await sync_to_async(_saved)(librarian, store, item)
    await librarian.read(loader)
    return {**await librarian.upsert(store.pk, [loader.pk]), "docId": str(loader.pk)}


def _saved(librarian: Librarian, store: DocumentStore, item: Item) -> Loader:
    """The loader that an item names or describes."""
    base = services.find_loader(store, item.loader_id) if item.loader_id else None
    changes = changes_of(item, base, librarian.registry)
    if base is not None and not item.is_replaced:
        changes = with_kept_files(changes, base)
    loader_id: UUID | None = base.pk if base is not None and item.is_replaced else None
    return services.save_loader(workspace_id=librarian.workspace_id, store_id=store.pk, loader_id=loader_id, **changes)


async def _choose(librarian: Librarian, store: DocumentStore, parts: Any) -> None:
    if parts:
        choose = sync_to_async(services.choose_parts)
        await choose(workspace_id=librarian.workspace_id, store_id=store.pk, **parts)


def _librarian(request: HttpRequest) -> Librarian:
    return Librarian(web_process(), node_types(), access_of(request).workspace_id)
