"""Document stores over HTTP: kept, changed and looked at. What reads or stores documents runs beside predictions."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from chatflows.catalogue import TYPE_ENTRY, entries_of, list_of, node_types
from chatflows.documents import services
from chatflows.documents.models import DocumentStore
from chatflows.documents.pages import chunk_page
from chatflows.documents.serializers import (
    ChunkPageSerializer,
    ChunkUpdateSerializer,
    ListedStoreSerializer,
    LoaderSaveSerializer,
    PartsSerializer,
    StoreCreateSerializer,
    StoreLoaderSerializer,
    StoreSerializer,
    StoreUpdateSerializer,
    parts_of,
)
from engine.storing import Role, candidates
from forjinn.core.pagination import PAGE_PARAMETERS, page_of
from forjinn.core.permissions import MEMBER
from workspaces.access import access_of

DELETED = OpenApiResponse(
    {"type": "object", "properties": {"deleted": {"type": "integer"}}, "required": ["deleted"]},
    description="How many stores were deleted: one.",
)

NEW_STORE = OpenApiExample("A store", {"name": "Handbook", "description": "What we promise."}, request_only=True)


def find_store(request: Request, store_id: Any) -> DocumentStore:
    """The store, with its loaders. Raises NotFound for one of another workspace."""
    stores = DocumentStore.objects.prefetch_related("loaders__files")
    return stores.get_for(access_of(request).workspace_id, pk=store_id)


class StoresView(APIView):
    """The document stores of the key's workspace."""

    needs = {"GET": "document-stores:view", "POST": "document-stores:create"}

    @extend_schema(
        operation_id="store_list",
        summary="List the document stores, newest first.",
        parameters=PAGE_PARAMETERS,
        responses=ListedStoreSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        stores = (
            DocumentStore.objects.of(access_of(request).workspace_id).newest_first().prefetch_related("loaders__files")
        )
        page, headers = page_of(stores, request)
        return Response([ListedStoreSerializer().to_representation(store) for store in page], headers=headers)

    @extend_schema(
        operation_id="store_create",
        summary="Make a new document store.",
        request=StoreCreateSerializer,
        responses={200: StoreSerializer},
        examples=[NEW_STORE],
    )
    def post(self, request: Request) -> Response:
        form = StoreCreateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        store = services.create_store(workspace_id=access_of(request).workspace_id, **form.validated_data)
        return Response(StoreSerializer().to_representation(store))


class StoreView(APIView):
    """One document store."""

    needs = {"GET": "document-stores:view", "PUT": "document-stores:edit", "DELETE": "document-stores:delete"}

    @extend_schema(operation_id="store_get", summary="Read one document store.", responses=StoreSerializer)
    def get(self, request: Request, store_id: str) -> Response:
        return Response(StoreSerializer().to_representation(find_store(request, store_id)))

    @extend_schema(
        operation_id="store_update",
        summary="Change a document store; what is left out keeps its value.",
        request=StoreUpdateSerializer,
        responses=StoreSerializer,
    )
    def put(self, request: Request, store_id: str) -> Response:
        form = StoreUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        workspace_id = access_of(request).workspace_id
        store = services.update_store(workspace_id=workspace_id, store_id=store_id, **form.validated_data)
        return Response(StoreSerializer().to_representation(store))

    @extend_schema(
        operation_id="store_delete",
        summary="Delete a document store for good, with its chunks and what the platform's own database holds of it.",
        responses={200: DELETED},
    )
    def delete(self, request: Request, store_id: str) -> Response:
        services.delete_store(workspace_id=access_of(request).workspace_id, store_id=store_id)
        return Response({"deleted": 1})


class LoaderSaveView(APIView):
    """A store's loaders."""

    needs = {"POST": "document-stores:edit"}

    @extend_schema(
        operation_id="loader_save",
        summary="Add a loader to a store, or change one; nothing is read yet.",
        request=LoaderSaveSerializer,
        responses={200: StoreLoaderSerializer},
    )
    def post(self, request: Request) -> Response:
        form = LoaderSaveSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        loader = services.save_loader(workspace_id=access_of(request).workspace_id, **form.validated_data)
        return Response(StoreLoaderSerializer().to_representation(loader))


class PartsView(APIView):
    """Where a store keeps its documents."""

    needs = {"POST": "document-stores:edit"}

    @extend_schema(
        operation_id="store_choose",
        summary="Choose what embeds a store's documents, and where they are kept.",
        request=PartsSerializer,
        responses={200: StoreSerializer},
    )
    def post(self, request: Request) -> Response:
        form = PartsSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = form.validated_data
        parts: Any = parts_of(given)
        store = services.choose_parts(workspace_id=access_of(request).workspace_id, store_id=given["storeId"], **parts)
        return Response(StoreSerializer().to_representation(store))


class PartsUpdateView(PartsView):
    """The same by the name that is called once something has been upserted."""

    @extend_schema(
        operation_id="store_choose_again",
        summary="Change how a store is searched.",
        request=PartsSerializer,
        responses={200: StoreSerializer},
    )
    def post(self, request: Request) -> Response:
        return super().post(request)


class ChunksView(APIView):
    """Chunks: a page of them by its number, one of them by its id."""

    needs = {"GET": "document-stores:view", "PUT": "document-stores:edit", "DELETE": "document-stores:edit"}

    @extend_schema(
        operation_id="chunk_list",
        summary="A page of the chunks of a loader; of the whole store for the loader `all`.",
        responses=ChunkPageSerializer,
    )
    def get(self, request: Request, store_id: str, loader_id: str, chunk: str) -> Response:
        return Response(chunk_page(find_store(request, store_id), loader_id, chunk))

    @extend_schema(
        operation_id="chunk_update",
        summary="Change a chunk; it is found so once the store is upserted again.",
        request=ChunkUpdateSerializer,
        responses=ChunkPageSerializer,
    )
    def put(self, request: Request, store_id: str, loader_id: str, chunk: str) -> Response:
        form = ChunkUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = form.validated_data
        services.edit_chunk(
            workspace_id=access_of(request).workspace_id,
            store_id=store_id,
            loader_id=loader_id,
            chunk_id=chunk,
            text=given["pageContent"],
            metadata=given.get("metadata"),  # absent: it stays as it is
        )
        return Response(chunk_page(find_store(request, store_id), loader_id))

    @extend_schema(
        operation_id="chunk_delete",
        summary="Delete a chunk; it is no longer found once the store is upserted again.",
        responses={200: ChunkPageSerializer},
    )
    def delete(self, request: Request, store_id: str, loader_id: str, chunk: str) -> Response:
        services.delete_chunk(
            workspace_id=access_of(request).workspace_id, store_id=store_id, loader_id=loader_id, chunk_id=chunk
        )
        return Response(chunk_page(find_store(request, store_id), loader_id))


class LoadersView(APIView):
    """The document loaders that a document store can have."""

    needs = {"GET": MEMBER}

    @extend_schema(
        operation_id="loader_type_list",
        summary="List the document loaders that a document store can have.",
        responses=list_of(TYPE_ENTRY, "Their node types, by label."),
    )
    def get(self, request: Request) -> Response:
        return _candidates("loader")


class EmbeddingsView(APIView):
    """The embedding models that a document store can have."""

    needs = {"GET": MEMBER}

    @extend_schema(
        operation_id="embedding_type_list",
        summary="List the embedding models that a document store can have.",
        responses=list_of(TYPE_ENTRY, "Their node types, by label."),
    )
    def get(self, request: Request) -> Response:
        return _candidates("embedding")


class VectorStoresView(APIView):
    """The vector stores that a document store can have."""

    needs = {"GET": MEMBER}

    @extend_schema(
        operation_id="vector_store_type_list",
        summary="List the vector stores that a document store can have.",
        responses=list_of(TYPE_ENTRY, "Their node types, by label."),
    )
    def get(self, request: Request) -> Response:
        return _candidates("vector_store")


class RecordManagersView(APIView):
    """The record managers that a document store can have."""

    needs = {"GET": MEMBER}

    @extend_schema(
        operation_id="record_manager_type_list",
        summary="List the record managers that a document store can have.",
        responses=list_of(TYPE_ENTRY, "Their node types, by label."),
    )
    def get(self, request: Request) -> Response:
        return _candidates("record_manager")


def _candidates(role: Role) -> Response:
    return Response(entries_of(candidates(node_types(), role)))
