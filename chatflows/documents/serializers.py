"""The wire's spelling of document stores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chatflows.documents.models import Chunk, DocumentStore, Loader, Status
from engine.documents import plain
from forjinn.core.fields import KINDS, OptionalTextField, ReferenceField, TextField
from forjinn.core.times import iso_millis

MAX_TEXT = 1_000_000  # characters of a chunk or a description
PARTS = {"embedding": "embedding", "vector_store": "vectorStore", "record_manager": "recordManager"}


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ConfigField(serializers.Field[Any, Any, Any, Any]):
    """The inputs of a node: a JSON object; null is an empty one. Numbers that no database holds become texts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> dict[str, Any]:
        return super().run_validation(data) or {}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError(f"expected an object, got {KINDS.get(type(data), 'another type')}")
        try:
            if _has_nul(data):
                raise serializers.ValidationError("Null characters are not allowed.")
            return dict(plain(data))
        except RecursionError as exc:
            raise serializers.ValidationError("nested too deeply") from exc

    def to_representation(self, value: Any) -> Any:
        return value


class StorePartSerializer(serializers.Serializer[Any]):
    """A node type, and its inputs."""

    name = serializers.CharField()
    config = serializers.DictField()


class StoreFileSerializer(serializers.Serializer[Any]):
    """A file that a loader reads."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    mimePrefix = serializers.CharField(allow_blank=True)
    size = serializers.IntegerField(help_text="In bytes.")
    status = serializers.CharField()
    uploaded = serializers.DateTimeField()


class StoreLoaderSerializer(serializers.Serializer[Loader]):
    """A loader. Files among its inputs are told by their names."""

    id = serializers.UUIDField()
    storeId = serializers.UUIDField()
    loaderId = serializers.CharField(help_text="The loader's node type.")
    loaderName = serializers.CharField()
    loaderConfig = serializers.DictField()
    splitterId = serializers.CharField(allow_blank=True, help_text="The splitter's node type.")
    splitterName = serializers.CharField(allow_blank=True)
    splitterConfig = serializers.DictField()
    status = serializers.ChoiceField(Status.choices)
    totalChunks = serializers.IntegerField()
    totalChars = serializers.IntegerField()
    files = StoreFileSerializer(many=True)

    def to_representation(self, loader: Loader) -> dict[str, Any]:
        return {
            "id": str(loader.pk),
            "storeId": str(loader.store_id),
            "loaderId": loader.kind,
            "loaderName": loader.label or loader.kind,
            "loaderConfig": loader.config,
            "splitterId": loader.splitter,
            "splitterName": loader.splitter_label or loader.splitter,
            "splitterConfig": loader.splitter_config,
            "status": loader.state,
            "totalChunks": loader.total_chunks,
            "totalChars": loader.total_chars,
            "files": [
                {
                    "id": str(file.pk),
                    "name": file.name,
                    "mimePrefix": file.mime,
                    "size": file.size_bytes,
                    "status": loader.state,
                    "uploaded": iso_millis(loader.status_at),
                }
                for file in sorted(loader.files.all(), key=lambda file: file.pk)
            ],
        }


class StoreFlowSerializer(serializers.Serializer[Any]):
    """A flow that names the store."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class ListedStoreSerializer(serializers.Serializer[DocumentStore]):
    """A store. What is not chosen is null."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    status = serializers.ChoiceField(Status.choices)
    loaders = StoreLoaderSerializer(many=True)
    totalChunks = serializers.IntegerField()
    totalChars = serializers.IntegerField()
    embeddingConfig = StorePartSerializer(allow_null=True)
    vectorStoreConfig = StorePartSerializer(allow_null=True)
    recordManagerConfig = StorePartSerializer(allow_null=True)
    workspaceId = serializers.UUIDField()
    createdDate = serializers.DateTimeField()
    updatedDate = serializers.DateTimeField()

    def to_representation(self, store: DocumentStore) -> dict[str, Any]:
        loaders = sorted(store.loaders.all(), key=lambda loader: (loader.created_at, loader.pk))
        return {
            "id": str(store.pk),
            "name": store.name,
            "description": store.description,
            "status": store.status,
            "loaders": [StoreLoaderSerializer().to_representation(loader) for loader in loaders],
            "totalChunks": sum(loader.total_chunks for loader in loaders),
            "totalChars": sum(loader.total_chars for loader in loaders),
            "embeddingConfig": store.embedding or None,
            "vectorStoreConfig": store.vector_store or None,
            "recordManagerConfig": store.record_manager or None,
            "workspaceId": str(store.workspace_id),
            "createdDate": iso_millis(store.created_at),
            "updatedDate": iso_millis(store.updated_at),
        }


class StoreSerializer(ListedStoreSerializer):
    """A store, and the flows that name it, which are looked for when one store is asked for."""

    whereUsed = StoreFlowSerializer(many=True)

    def to_representation(self, store: DocumentStore) -> dict[str, Any]:
        users = [{"id": str(flow_id), "name": name} for flow_id, name in store.users()]
        return {**super().to_representation(store), "whereUsed": users}


class StoreUpdateSerializer(serializers.Serializer[DocumentStore]):
    """The fields to change. Other names in a body are ignored; ids, workspaces and dates are nobody's to set."""

    name = TextField(max_length=255, required=False)
    description = OptionalTextField(max_length=MAX_TEXT)


class StoreCreateSerializer(StoreUpdateSerializer):
    """A new store."""

    name = TextField(max_length=255)


class LoaderFieldsSerializer(serializers.Serializer[Any]):
    """What a loader reads, and how that is cut. What is left out keeps its value."""

    loaderId = OptionalTextField(source="kind", max_length=100, help_text="The loader's node type, e.g. plainText.")
    loaderName = OptionalTextField(source="label", max_length=255)
    loaderConfig = ConfigField(source="config")
    splitterId = OptionalTextField(
        source="splitter", max_length=100, help_text="The splitter's node type; may be null."
    )
    splitterName = OptionalTextField(source="splitter_label", max_length=255)
    splitterConfig = ConfigField(source="splitter_config")


class LoaderSaveSerializer(LoaderFieldsSerializer):
    """A loader of a store: a new one without `id`."""

    storeId = TextField(source="store_id", max_length=64)
    id = ReferenceField(source="loader_id")


class PartsSerializer(serializers.Serializer[Any]):
    """Where a store keeps its documents. Of what is left out nothing changes; a null name takes a part back."""

    storeId = TextField(max_length=64)
    embeddingName = OptionalTextField(max_length=100, help_text="A node type, e.g. openAIEmbeddings.")
    embeddingConfig = ConfigField()
    vectorStoreName = OptionalTextField(max_length=100, help_text="A node type, e.g. postgres.")
    vectorStoreConfig = ConfigField()
    recordManagerName = OptionalTextField(max_length=100, help_text="A node type, e.g. postgresRecordManager.")
    recordManagerConfig = ConfigField()


def parts_of(form: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parts that a body names, as a store keeps them; of inputs alone the part that they are for has no name."""
    return {part: found for part, wire in PARTS.items() if (found := _part(form, wire)) is not None}


def _part(form: Mapping[str, Any], wire: str) -> dict[str, Any] | None:
    name, config = form.get(f"{wire}Name"), form.get(f"{wire}Config")
    if name is None:
        return None if config is None else {"config": config}
    return {"name": name, "config": config or {}} if name else {}


class ChunkUpdateSerializer(serializers.Serializer[Chunk]):
    """A chunk's text and what is known of it."""

    pageContent = TextField(max_length=MAX_TEXT)
    metadata = ConfigField()


class StoreChunkSerializer(serializers.Serializer[Chunk]):
    """A chunk."""

    id = serializers.UUIDField()
    storeId = serializers.UUIDField()
    docId = serializers.UUIDField(help_text="Its loader.")
    chunkNo = serializers.IntegerField(help_text="From 1.")
    pageContent = serializers.CharField()
    metadata = serializers.CharField(help_text="JSON text of an object.")

    def __init__(self, *args: Any, store_id: UUID | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._store_id = store_id

    def to_representation(self, chunk: Chunk) -> dict[str, Any]:
        return {
            "id": str(chunk.pk),
            "storeId": str(self._store_id),
            "docId": str(chunk.loader_id),
            "chunkNo": chunk.number,
            "pageContent": chunk.text,
            "metadata": orjson.dumps(chunk.metadata).decode(),
        }


class ChunkPageSerializer(serializers.Serializer[Any]):
    """Some of the chunks of a loader, or of a store."""

    chunks = StoreChunkSerializer(many=True)
    count = serializers.IntegerField(help_text="On all pages together.")
    currentPage = serializers.IntegerField()
    file = StoreLoaderSerializer(required=False, allow_null=True, help_text="The loader; null for those of a store.")
    storeName = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    docId = serializers.CharField()
    characters = serializers.IntegerField()
    workspaceId = serializers.UUIDField()


def _has_nul(value: Any) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any("\0" in name or _has_nul(held) for name, held in value.items())
        case list():
            return any(map(_has_nul, value))
    return False
