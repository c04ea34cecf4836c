"""What all document loaders share: their params, and the source they hand on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from engine.context import NodeContext
from engine.documents import FunctionSource, Splitter, chunks
from engine.errors import NodeInputError
from engine.files import File, read_files
from engine.nodes import values
from engine.providers.base import Document
from engine.spec import Inputs, NodeResult, NodeSpec, Param

DOCUMENT, TEXT = "document", "text"
SPLITTER = Param("textSplitter", "TextSplitter", "Text Splitter", optional=True, help="How the documents are cut.")
METADATA = (
    Param("metadata", "json", "Additional Metadata", optional=True, help="What else is known of every document."),
    Param(
        "omitMetadataKeys",
        "string",
        "Omit Metadata Keys",
        optional=True,
        help="What is left out of the metadata, by commas; * is all but the additional metadata.",
    ),
)

Read = Callable[[], Awaitable[list[Document]]]


def loader_spec(
    name: str,
    label: str,
    version: float,
    help: str,
    *params: Param,
    credentials: tuple[str, ...] = (),
    needs_credential: bool = False,
) -> NodeSpec:
    """The spec of a loader: its own params between those that all have."""
    credential = Param("credential", "credential", "Connect Credential", optional=not needs_credential)
    connect = (credential,) if credentials else ()
    return NodeSpec(
        name=name,
        label=label,
        version=version,
        category="Document Loaders",
        base_classes=("Document",),
        help=help,
        params=(*connect, *params, SPLITTER, *METADATA),
        outputs=(DOCUMENT, TEXT),
        credentials=credentials,
        role="component",
    )


async def loaded(ctx: NodeContext, inputs: Inputs, read: Read) -> NodeResult:
    """A source that reads when it is asked; or, at the output `text`, the text, read now.

    Raises NodeInputError for metadata that is no object or a splitter that is none.
    """
    splitter = _splitter(inputs)
    # What callers give is text of a class of its own, also in keys, which encoders of JSON refuse.
    additional = json.loads(json.dumps(values.mapping(inputs, "metadata"), default=str))
    omitted = {key.strip() for key in values.text(inputs, "omitMetadataKeys").split(",") if key.strip()}

    async def load() -> list[Document]:
        documents = await read()
        if splitter is not None:
            documents = await chunks(documents, splitter)
        return [replace(d, metadata=_metadata(d.metadata, additional, omitted)) for d in documents]

    if ctx.node.output == TEXT:
        return NodeResult(value="\n".join(document.text for document in await load()))
    return NodeResult(value=FunctionSource(_key(ctx, inputs, splitter), load))


async def loaded_files(
    ctx: NodeContext, inputs: Inputs, name: str, read: Callable[[File], list[Document]]
) -> NodeResult:
    """The same for files that stand in an input. They are looked at only when the source is asked."""

    async def load() -> list[Document]:
        files = read_files(inputs, name)
        return await asyncio.to_thread(lambda: [document for file in files for document in _read(file, read)])

    return await loaded(ctx, inputs, load)


def _read(file: File, read: Callable[[File], list[Document]]) -> list[Document]:
    try:
        return read(file)
    except RecursionError as exc:
        raise NodeInputError(f"{file.name} is nested too deeply to be read.") from exc


def _splitter(inputs: Inputs) -> Splitter | None:
    splitter = inputs.get("textSplitter")
    if splitter and not isinstance(splitter, Splitter):
        raise NodeInputError("What is connected as a text splitter is none.")
    return splitter or None


def _metadata(found: Mapping[str, Any], additional: Mapping[str, Any], omitted: set[str]) -> dict[str, Any]:
    if "*" in omitted:
        return dict(additional)
    return _without({**found, **additional}, omitted)


def _without(metadata: Mapping[str, Any], omitted: set[str], above: str = "") -> dict[str, Any]:
    """Keys within keys are named with dots: loc.lines."""
    return {
        key: _without(value, omitted, f"{above}{key}.") if isinstance(value, Mapping) else value
        for key, value in metadata.items()
        if f"{above}{key}" not in omitted
    }


def _key(ctx: NodeContext, inputs: Inputs, splitter: Splitter | None) -> str:
    known = {name: value for name, value in inputs.items() if name != "textSplitter"}
    said = json.dumps([known, splitter.key if splitter else ""], sort_keys=True, default=repr)
    return f"{ctx.node.name}:{sha256(said.encode()).hexdigest()}"
