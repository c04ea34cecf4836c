"""How runs find the document stores of their workspace."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from asgiref.sync import sync_to_async

from chatflows.documents.models import DocumentStore, documents_of
from engine.document_stores import KnownStore, shown, store_id
from engine.errors import NodeInputError
from engine.providers.base import Document
from forjinn.core.errors import NotFound


class WorkspaceDocuments:
    """The document stores of one workspace, and of no other; implements `DocumentStores`."""

    def __init__(self, workspace_id: UUID) -> None:
        self._workspace_id = workspace_id

    async def find(self, reference: str) -> KnownStore:
        """See `DocumentStores.find`."""
        store = await self._get(reference)
        if store.collection is None or store.upserted_at is None:
            raise NodeInputError(
                f"There is nothing in the document store {store.name!r} yet: upsert it, with "
                f"POST /api/v1/document-store/upsert/{store.pk}."
            )
        return KnownStore(str(store.pk), store.name, store.collection)

    async def chunks(self, reference: str) -> Sequence[Document]:
        """See `DocumentStores.chunks`."""
        store = await self._get(reference)
        return await sync_to_async(documents_of)(store.pk)

    async def _get(self, reference: str) -> DocumentStore:
        try:
            return await sync_to_async(DocumentStore.objects.get_for)(self._workspace_id, pk=store_id(reference))
        except NotFound as exc:
            raise NodeInputError(
                f"There is no document store {shown(reference)} in this workspace: create and fill one, with "
                "POST /api/v1/document-store/store, and choose it in the node."
            ) from exc
