"""Document stores as their owner sets them up: made, given a loader, and told where their documents are kept."""

from __future__ import annotations

from typing import Any

from tests.predictions.calls import Caller

TEXT = "Snow is white.\n\nCoal is black."
SPLITTER = {"name": "recursiveCharacterTextSplitter", "config": {"chunkSize": 20, "chunkOverlap": 0}}


def new_store(holder: Caller, name: str = "Papers") -> str:
    made = holder.http.post("/document-store/store", json={"name": name})
    assert made.status_code == 200, made.text
    return str(made.json()["id"])


def place(model_url: str, **store: Any) -> dict[str, Any]:
    """The platform's PostgreSQL, and the scripted model's embeddings."""
    return {
        "embedding": {"name": "openAIEmbeddings", "config": {"basepath": model_url}},
        "vectorStore": {"name": "postgres", "config": {"topK": 1, **store}},
    }


def choose(holder: Caller, store_id: str, model_url: str, **store: Any) -> None:
    """Say where the store's documents are kept."""
    parts = {
        f"{part}{what.title()}": value
        for part, held in place(model_url, **store).items()
        for what, value in held.items()
    }
    chosen = holder.http.post("/document-store/vectorstore/save", json={"storeId": store_id, **parts})
    assert chosen.status_code == 200, chosen.text


def upsert(holder: Caller, store_id: str, text: str = TEXT, **more: Any) -> dict[str, Any]:
    """Add a text, and whatever else the call says."""
    body = {"loader": {"name": "plainText", "config": {"text": text}}, "splitter": SPLITTER, **more}
    stored = holder.http.post(f"/document-store/upsert/{store_id}", json=body)
    assert stored.status_code == 200, stored.text
    counts: dict[str, Any] = stored.json()
    return counts


def filled_store(holder: Caller, model_url: str, text: str = TEXT, name: str = "Papers", **store: Any) -> str:
    """A store with a text in it."""
    store_id = new_store(holder, name)
    upsert(holder, store_id, text, **place(model_url, **store))
    return store_id


def status(holder: Caller, store_id: str) -> str:
    return str(holder.http.get(f"/document-store/store/{store_id}").json()["status"])


def find(holder: Caller, store_id: str, query: str, **more: Any) -> list[str]:
    """The texts that are found."""
    asked = {"storeId": store_id, "query": query, **more}
    found = holder.http.post("/document-store/vectorstore/query", json=asked)
    assert found.status_code == 200, found.text
    return [document["pageContent"] for document in found.json()["docs"]]
