"""The calls that set a document store to work, in OpenAPI's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from predictions.upserts_openapi import COUNTS, DOCUMENT, EXAMPLE

Schema = Mapping[str, Any]

ID: Schema = {"type": "string", "maxLength": 64, "minLength": 1}
CHOSEN: Schema = {"type": ["string", "null"], "format": "uuid"}
NAME: Schema = {"type": ["string", "null"], "maxLength": 100}
LABEL: Schema = {"type": ["string", "null"], "maxLength": 255}
CONFIG: Schema = {"type": ["object", "null"], "description": "Inputs of the node, by name."}
NODE: Schema = {
    "type": ["object", "null"],
    "description": "A node type and its inputs.",
    "properties": {"name": NAME, "config": CONFIG},
}
LOADER: Schema = {
    "loaderId": {**NAME, "description": "The loader's node type, e.g. plainText."},
    "loaderName": LABEL,
    "loaderConfig": CONFIG,
    "splitterId": {**NAME, "description": "The splitter's node type."},
    "splitterName": LABEL,
    "splitterConfig": CONFIG,
}
PARTS: Schema = {
    f"{part}{what}": schema
    for part in ("embedding", "vectorStore", "recordManager")
    for what, schema in (("Name", NAME), ("Config", CONFIG))
}
ITEM: Schema = {
    "docId": {**CHOSEN, "description": "A loader of the store."},
    "loader": NODE,
    "splitter": NODE,
    "metadata": {"type": ["object", "null"], "description": "What else is known of the documents."},
}
BROUGHT: Schema = {
    **COUNTS,
    "properties": {**COUNTS["properties"], "docId": {"type": "string", "format": "uuid"}},
    "required": [*COUNTS["required"], "docId"],
}
BROUGHT_EXAMPLE = {**EXAMPLE, "docId": "0199d8f0-0000-7000-8000-000000000001"}


def _body(properties: Schema, *required: str) -> Schema:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"required": bool(required), "content": {"application/json": {"schema": schema}}}


def _answer(description: str, schema: Schema, example: Any = None) -> Schema:
    content = {"schema": schema, **({"example": example} if example is not None else {})}
    return {"200": {"description": description, "content": {"application/json": content}}}


def _shown(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


PREVIEW: Schema = {
    "operationId": "loader_preview",
    "summary": "See what a loader would read.",
    "description": "Nothing is kept. With `id` it is a loader of the store, and what is said besides is changed of it.",
    "requestBody": _body(
        {
            "storeId": ID,
            "id": CHOSEN,
            **LOADER,
            "previewChunkCount": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000},
        },
        "storeId",
    ),
    "responses": _answer(
        "The first chunks.",
        {
            "type": "object",
            "properties": {
                "chunks": {"type": "array", "items": DOCUMENT},
                "totalChunks": {"type": "integer"},
                "previewChunkCount": {"type": "integer"},
            },
            "required": ["chunks", "totalChunks", "previewChunkCount"],
        },
    ),
}
PROCESS: Schema = {
    "operationId": "loader_process",
    "summary": "Have a loader read, and keep its chunks.",
    "description": "Answers when that is done. It goes on if the caller goes away: the loader's status tells so.",
    "requestBody": _body({"storeId": ID, **LOADER}, "storeId"),
    "responses": _answer("The first page of its chunks.", _shown("ChunkPage")),
}
DELETE_LOADER: Schema = {
    "operationId": "loader_delete",
    "summary": "Delete a loader with its chunks, and what is stored of it.",
    "responses": _answer("The store.", _shown("ListedStore")),
}
INSERT: Schema = {
    "operationId": "store_insert",
    "summary": "Embed the chunks of a store, and store them.",
    "requestBody": _body({"storeId": ID, "docId": {**CHOSEN, "description": "Of one loader."}, **PARTS}, "storeId"),
    "responses": _answer("What was stored.", COUNTS, EXAMPLE),
}
DELETE_STORED: Schema = {
    "operationId": "store_empty",
    "summary": "Take what is stored out of the vector store; the chunks stay.",
    "parameters": [
        {
            "name": "docId",
            "in": "query",
            "schema": {"type": "string", "format": "uuid"},
            "description": "Of one loader alone.",
        }
    ],
    "responses": _answer(
        "How many documents that were.",
        {"type": "object", "properties": {"numDeleted": {"type": "integer"}}, "required": ["numDeleted"]},
    ),
}
QUERY: Schema = {
    "operationId": "store_query",
    "summary": "Find what flows would find in a store.",
    "requestBody": _body(
        {
            "storeId": ID,
            "query": {"type": "string", "minLength": 1, "maxLength": 100_000},
            "topK": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000},
        },
        "storeId",
        "query",
    ),
    "responses": _answer(
        "The documents, best first.",
        {
            "type": "object",
            "properties": {
                "timeTaken": {"type": "integer", "description": "In milliseconds."},
                "docs": {"type": "array", "items": DOCUMENT},
            },
            "required": ["timeTaken", "docs"],
        },
    ),
}
_UPSERT_FIELDS: Schema = {
    **ITEM,
    "replaceExisting": {
        "type": "boolean",
        "description": "Whether the loader `docId` is changed; else it is the pattern for a new one.",
    },
    "createNewDocStore": {"type": "boolean", "description": "Refused if true: make the store first."},
    "embedding": NODE,
    "vectorStore": NODE,
    "recordManager": NODE,
}
UPSERT: Schema = {
    "operationId": "store_upsert",
    "summary": "Add documents to a store: read, cut up, embedded and stored in one call.",
    "description": "`docId` names a loader of the store, `loader` describes a new one; files alone are read by their "
    "extensions. In a multipart body the fields that are objects hold JSON.",
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {"schema": {"type": "object", "properties": _UPSERT_FIELDS}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "docId": {"type": "string", "format": "uuid"},
                        "loader": NODE,
                        "metadata": CONFIG,
                    },
                },
                "encoding": {
                    "loader": {"contentType": "application/json"},
                    "metadata": {"contentType": "application/json"},
                },
            },
        },
    },
    "responses": _answer("What was stored, and by which loader.", BROUGHT, BROUGHT_EXAMPLE),
}
REFRESH: Schema = {
    "operationId": "store_refresh",
    "summary": "Have loaders read again, and store what is new.",
    "requestBody": {
        **_body(
            {
                "items": {
                    "type": ["array", "null"],
                    "items": {"type": "object", "properties": ITEM},
                    "description": "Which loaders; all of the store if left out.",
                }
            }
        ),
    },
    "responses": _answer("What was stored, loader by loader.", {"type": "array", "items": BROUGHT}, [BROUGHT_EXAMPLE]),
}
