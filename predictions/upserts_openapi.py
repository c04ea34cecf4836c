"""The upsert call in OpenAPI's words."""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
OVERRIDE: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "Inputs of the flow's nodes for this call alone, by their names.",
}
STOP: dict[str, Any] = {
    "type": ["string", "null"],
    "description": "Which vector store is filled; needed if the flow has several.",
}
DOCUMENT: dict[str, Any] = {
    "type": "object",
    "properties": {"pageContent": TEXT, "metadata": {"type": "object"}, "id": TEXT},
    "required": ["pageContent", "metadata"],
}
COUNTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "numAdded": COUNT,
        "numDeleted": COUNT,
        "numUpdated": COUNT,
        "numSkipped": COUNT,
        "addedDocs": {"type": "array", "items": DOCUMENT},
        "warnings": {"type": "array", "items": TEXT},
    },
    "required": ["numAdded", "numDeleted", "numUpdated", "numSkipped", "addedDocs"],
}
EXAMPLE = {"numAdded": 2, "numDeleted": 0, "numUpdated": 0, "numSkipped": 0, "addedDocs": []}
UPSERT: dict[str, Any] = {
    "operationId": "vector_upsert",
    "summary": "Store the documents of a flow in its vector store.",
    "description": "Runs the part of the flow that leads to the vector store: loaders, splitters, embeddings. In a "
    "multipart body each part `files` goes to a loader by its extension, and fields that are not the call's own are "
    "overrides. The caller needs a key of the flow's workspace, also if the flow is public.",
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": {"type": "object", "properties": {"stopNodeId": STOP, "overrideConfig": OVERRIDE}}
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "stopNodeId": TEXT,
                        "overrideConfig": OVERRIDE,
                    },
                },
                "encoding": {"overrideConfig": {"contentType": "application/json"}},
            },
        },
    },
    "responses": {
        "200": {
            "description": "What was stored.",
            "content": {"application/json": {"schema": COUNTS, "example": EXAMPLE}},
        }
    },
}
UPSERT_INTERNAL = {**UPSERT, "operationId": "vector_upsert_internal", "summary": "The same, as the editor calls it."}
