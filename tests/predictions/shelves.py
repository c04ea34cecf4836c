"""Flows that answer from documents, drawn by hand: a loader, a splitter, embeddings, a store and a chain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.predictions.drawing import Node, classic, wire


def library(
    model_url: str, *, loader: Node | None = None, store: Mapping[str, Any] | None = None, records: str = ""
) -> str:
    """A chain over documents in the platform's PostgreSQL. `records` is the cleanup of a record manager."""
    source = loader or plain("Snow is white.\n\nCoal is black.")
    nodes = [
        source,
        classic("recursiveCharacterTextSplitter_0", "Text Splitters", {"chunkSize": 20}, "TextSplitter"),
        embeddings(model_url),
        classic("postgres_0", "Vector Stores", {"tableName": "library", "topK": "1", **(store or {})}, "Postgres"),
        classic("chatOpenAI_0", "Chat Models", {"modelName": "m", "basepath": model_url}, "ChatOpenAI"),
        classic(
            "conversationalRetrievalQAChain_0",
            "Chains",
            {"returnSourceDocuments": True},
            "ConversationalRetrievalQAChain",
        ),
    ]
    edges = [
        wire("recursiveCharacterTextSplitter_0", source["id"], "textSplitter"),
        wire(source["id"], "postgres_0", "document"),
        wire("openAIEmbeddings_0", "postgres_0", "embeddings"),
        wire("postgres_0", "conversationalRetrievalQAChain_0", "vectorStoreRetriever"),
        wire("chatOpenAI_0", "conversationalRetrievalQAChain_0", "model"),
    ]
    if records:
        inputs = {"cleanup": records, "namespace": str((store or {}).get("tableName", "library"))}
        nodes.append(classic("postgresRecordManager_0", "Record Manager", inputs, "RecordManager"))
        edges.append(wire("postgresRecordManager_0", "postgres_0", "recordManager"))
    return json.dumps({"nodes": nodes, "edges": edges})


def plain(text: str) -> Node:
    """A loader of a text."""
    return classic("plainText_0", "Document Loaders", {"text": text}, "Document")


def text_file() -> Node:
    """A loader of a file that nobody has given yet."""
    return classic("textFile_0", "Document Loaders", {}, "Document")


def embeddings(model_url: str) -> Node:
    return classic("openAIEmbeddings_0", "Embeddings", {"basepath": model_url}, "OpenAIEmbeddings")
