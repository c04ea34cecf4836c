"""What a vector store was given before: so that an upsert writes what is new, and takes away what is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from engine.errors import NodeInputError
from engine.providers.base import Document, VectorStore
from engine.vectors import content_id

Cleanup = Literal["none", "incremental", "full"]


class Records(Protocol):
    """Where the host remembers, for one workspace, which documents a namespace holds."""

    async def known(self, namespace: str) -> Mapping[str, str]:
        """The source of each document's id."""
        ...

    async def remember(self, namespace: str, sources: Mapping[str, str]) -> None:
        """Add ids with their sources."""
        ...

    async def forget(self, namespace: str, ids: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class RecordManager:
    """A namespace of records. `cleanup`: what happens to documents that this upsert does not bring again.

    "none": they stay; "incremental": those whose source it brings are deleted; "full": all are.
    """

    records: Records
    namespace: str
    cleanup: Cleanup = "none"
    source_key: str = "source"  # which metadata says where a document is from


@dataclass(frozen=True, slots=True)
class Written:
    """Numbers of documents."""

    added: int = 0
    deleted: int = 0
    updated: int = 0
    skipped: int = 0


async def write(store: VectorStore, documents: Sequence[Document], manager: RecordManager | None) -> Written:
    """Store the documents; with a record manager, only those that are not stored yet.

    Raises NodeInputError if an incremental cleanup cannot tell where a document is from.
    """
    named = list({d.id: d for d in (d if d.id else replace(d, id=content_id(d)) for d in documents)}.values())
    if manager is None:
        return Written(added=len(await store.add(named)), skipped=len(documents) - len(named))
    sources = {document.id: str(document.metadata.get(manager.source_key) or "") for document in named}
    if manager.cleanup == "incremental" and not all(sources.values()):
        raise NodeInputError(
            f"An incremental cleanup needs {manager.source_key!r} in the metadata of every document: that is how it "
            "knows which of them belong together."
        )
    known = await manager.records.known(manager.namespace)
    new = [document for document in named if document.id not in known]
    gone = _gone(known, sources, manager.cleanup)
    # Stored before it is remembered: a failure between the two stores a document twice, under the same id.
    await store.add(new)
    await manager.records.remember(manager.namespace, {document.id: sources[document.id] for document in new})
    if gone:
        await store.delete(gone)
        await manager.records.forget(manager.namespace, gone)
    return Written(added=len(new), deleted=len(gone), skipped=len(documents) - len(new))


def _gone(known: Mapping[str, str], sources: Mapping[str, str], cleanup: Cleanup) -> list[str]:
    if cleanup == "none":
        return []
    brought = set(sources.values())
    return [
        record for record, source in known.items() if record not in sources and (cleanup == "full" or source in brought)
    ]
