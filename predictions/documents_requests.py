"""What calls that set a document store to work may say, in JSON and in multipart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpRequest
from rest_framework import serializers

from chatflows.documents.models import Loader
from chatflows.documents.serializers import ConfigField, LoaderFieldsSerializer, LoaderSaveSerializer, PartsSerializer
from chatflows.documents.services import LoaderChanges, StoreInvalid
from engine.files import STORED, File, data_uri
from engine.nodes.values import lenient
from engine.registry import Registry
from engine.upsert import INPUTS
from forjinn.core.fields import FlagField, OptionalTextField, ReferenceField, TextField
from forjinn.core.refusals import first_problem
from predictions.requests import RequestInvalid, read_fields
from predictions.upserts import uploaded_file

ANY_FILE = "fileLoader"
# Parts of a multipart body that hold JSON, as clients send them.
JSON_PARTS = (
    "metadata",
    "loader",
    "splitter",
    "embedding",
    "vectorStore",
    "recordManager",
    "replaceExisting",
    "createNewDocStore",
)
STORE_PARTS: Mapping[str, str] = {
    "embedding": "embedding",
    "vectorStore": "vector_store",
    "recordManager": "record_manager",
}


class ProcessSerializer(LoaderFieldsSerializer):
    """A loader to be read, and what is changed of it before."""

    storeId = TextField(source="store_id", max_length=64)


class PreviewSerializer(LoaderSaveSerializer):
    """A loader that is read, though nothing of it is kept."""

    previewChunkCount = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=1000)


class InsertSerializer(PartsSerializer):
    """A store to be upserted, and what is changed of it before; `docId` is one loader of it."""

    docId = ReferenceField()


class QuerySerializer(serializers.Serializer[Any]):
    """A question to a store."""

    storeId = TextField(max_length=64)
    query = TextField(max_length=100_000)
    topK = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=1000)


class NodeSerializer(serializers.Serializer[Any]):
    """A node type and its inputs."""

    name = OptionalTextField(max_length=100)
    config = ConfigField()


class ItemSerializer(serializers.Serializer[Any]):
    """A loader that is read and upserted, and what is changed of it before."""

    docId = ReferenceField()
    loader = NodeSerializer(required=False, allow_null=True)
    splitter = NodeSerializer(required=False, allow_null=True)
    metadata = ConfigField()


class UpsertSerializer(ItemSerializer):
    """Documents for a store."""

    replaceExisting = FlagField(required=False)
    createNewDocStore = FlagField(required=False)
    embedding = NodeSerializer(required=False, allow_null=True)
    vectorStore = NodeSerializer(required=False, allow_null=True)
    recordManager = NodeSerializer(required=False, allow_null=True)


class RefreshSerializer(serializers.Serializer[Any]):
    """The loaders that are read again; all of the store if none are named."""

    items = ItemSerializer(many=True, required=False, allow_null=True)


@dataclass(frozen=True, slots=True)
class Item:
    """Which loader, and what is changed of it. `loader_id` None: a new one."""

    loader_id: UUID | None = None
    loader: Mapping[str, Any] = field(default_factory=dict)
    splitter: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[File] = ()
    is_replaced: bool = True  # False: the loader is a pattern for a new one


def read_form(serializer: type[serializers.Serializer[Any]], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, checked. Raises RequestInvalid."""
    form = serializer(data=fields)
    if not form.is_valid():
        raise RequestInvalid(first_problem(form.errors))
    return dict(form.validated_data)


def read_documents_body(request: HttpRequest, serializer: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """The body, JSON or multipart, checked; an empty one asks for nothing special. Raises RequestInvalid."""
    is_multipart = request.content_type == "multipart/form-data"
    if not request.body and not is_multipart:
        return read_form(serializer, {})
    fields = dict(read_fields(request))
    if is_multipart:
        for name in JSON_PARTS:
            if isinstance(fields.get(name), str):
                fields[name] = _parsed(name, fields[name])
    return read_form(serializer, fields)


def read_upsert_item(request: HttpRequest, form: Mapping[str, Any]) -> Item:
    """What an upsert brings. Raises StoreInvalid if it is to make a store as well."""
    if form.get("createNewDocStore"):
        raise StoreInvalid("createNewDocStore: make the store first, with POST /api/v1/document-store/store")
    files = [uploaded_file(file) for file in request.FILES.getlist("files")]
    return read_item(form, files=files, is_replaced=bool(form.get("replaceExisting")))


def read_item(form: Mapping[str, Any], *, files: Sequence[File] = (), is_replaced: bool = True) -> Item:
    return Item(
        form.get("docId"),
        form.get("loader") or {},
        form.get("splitter") or {},
        form.get("metadata") or {},
        files,
        is_replaced,
    )


def parts_in(form: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parts of a store that an upsert names; their configs replace those of the store."""
    return {
        part: {"name": given["name"], "config": given.get("config") or {}}
        for wire, part in STORE_PARTS.items()
        if (given := form.get(wire)) and given.get("name")
    }


def changes_of(item: Item, base: Loader | None, registry: Registry) -> LoaderChanges:
    """What is to be saved of a loader. Raises StoreInvalid if nothing says what it reads."""
    kind = item.loader.get("name") or (base.kind if base else "") or (ANY_FILE if item.files else "")
    if not kind:
        raise StoreInvalid("docId, loader or files: one of them has to say what is upserted")
    config = {**(base.config if base and base.kind == kind else {}), **(item.loader.get("config") or {})}
    if item.files:
        config[_file_input(kind, item.files[0], registry)] = [data_uri(file) for file in item.files]
    if item.metadata:
        config["metadata"] = {**_object(config.get("metadata")), **item.metadata}
    splitter = item.splitter.get("name") or (base.splitter if base else "")
    splitter_config = item.splitter.get("config") or (base.splitter_config if base else {})
    return {"kind": kind, "config": config, "splitter": splitter, "splitter_config": splitter_config}


def with_kept_files(changes: LoaderChanges, base: Loader) -> LoaderChanges:
    """The changes for a new loader after the pattern of another, whose files it gets as well."""
    kept = base.components()[0].inputs
    config = {
        name: kept.get(name, value) if isinstance(value, str) and value.startswith(STORED) else value
        for name, value in changes["config"].items()
    }
    return {**changes, "config": config}


def _file_input(kind: str, file: File, registry: Registry) -> str:
    node_type = registry.get(kind)
    names = [param.name for param in node_type.spec.params if param.kind == "file"] if node_type else []
    if not names:
        raise StoreInvalid(f"files: the loader {kind[:80]!r} takes none; leave it out, or name one that does")
    by_extension = INPUTS.get(file.extension, "")
    return by_extension if by_extension in names else names[0]


def _object(value: Any) -> Mapping[str, Any]:
    if not value:
        return {}
    try:
        found = lenient(value) if isinstance(value, str) else value
    except ValueError as exc:
        raise StoreInvalid(f"loader.config.metadata: not valid JSON: {exc}") from exc
    if not isinstance(found, Mapping):
        raise StoreInvalid("loader.config.metadata: expected an object")
    return found


def _parsed(name: str, text: str) -> Any:
    if not text.strip():
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise RequestInvalid(f"{name}: not valid JSON: {exc}") from exc
