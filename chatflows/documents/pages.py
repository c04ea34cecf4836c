"""Chunks, page by page."""

from __future__ import annotations

from typing import Any

from chatflows.documents.models import Chunk, DocumentStore
from chatflows.documents.serializers import StoreChunkSerializer, StoreLoaderSerializer
from chatflows.documents.services import find_loader
from forjinn.core.errors import BadRequest
from forjinn.core.pagination import MAX_PAGE

PAGE = 50  # chunks
ALL = "all"  # instead of a loader: those of the whole store


def chunk_page(store: DocumentStore, loader_id: str, number: str = "1") -> dict[str, Any]:
    """What `ChunkPageSerializer` describes.

    Raises NotFound if the store has no such loader, BadRequest for a number that is none.
    """
    loader = None if loader_id == ALL else find_loader(store, loader_id)
    page = _read_page(number)
    loaders = [loader] if loader else list(store.loaders.all())
    chunks = Chunk.objects.filter(loader__in=loaders).order_by("loader__created_at", "loader_id", "number")
    shown = StoreChunkSerializer(store_id=store.pk)
    return {
        "chunks": [shown.to_representation(chunk) for chunk in chunks[(page - 1) * PAGE : page * PAGE]],
        "count": sum(loader.total_chunks for loader in loaders),
        "currentPage": page,
        "file": StoreLoaderSerializer().to_representation(loader) if loader else None,
        "storeName": store.name,
        "description": store.description,
        "docId": loader_id,
        "characters": sum(loader.total_chars for loader in loaders),
        "workspaceId": str(store.workspace_id),
    }


def _read_page(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= MAX_PAGE):
        raise BadRequest(f"page: expected a whole number from 1 to {MAX_PAGE}, got '{text[:40]}'")
    return int(text)
