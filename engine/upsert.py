"""Upserts: run the part of a flow that leads to a vector store, and store the documents that it brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.context import RunRequest, World
from engine.errors import FlowError
from engine.files import File, data_uri
from engine.flow import Flow
from engine.overrides import Overrides
from engine.parts import LIMITS, run_part
from engine.registry import Registry
from engine.runner import Limits
from engine.spec import NodeRun

MANY = "There are multiple vector nodes, please provide stopNodeId in body request"

# Which loader's input a file goes to, by its extension.
INPUTS: Mapping[str, str] = {
    "txt": "txtFile",
    "pdf": "pdfFile",
    "json": "jsonFile",
    "csv": "csvFile",
    "jsonl": "jsonlinesFile",
    "docx": "docxFile",
}
ANY_INPUT = "file"  # of the loader that takes files of any kind
TEXT_INPUT = "txtFile"


async def run_upsert(
    flow: Flow,
    request: RunRequest,
    world: World,
    *,
    registry: Registry,
    stop_node_id: str = "",
    limits: Limits = LIMITS,
) -> Mapping[str, Any]:
    """What was stored: numAdded, numDeleted, numUpdated, numSkipped, addedDocs ({pageContent, metadata, id?} each).

    Raises FlowError if the flow has no vector store, or several and none was chosen; NodeError if a node fails.
    """
    store, upsert = _store(flow, registry, stop_node_id)
    return await run_part(flow, request, world, registry=registry, node_id=store, ending=upsert, limits=limits)


def with_files(flow: Flow, files: list[File], registry: Registry) -> Overrides:
    """The files as inputs of the flow's loaders, chosen by extension; several of one kind go to one input together.

    Raises FlowError for a file that no loader of the flow takes.
    """
    inputs: dict[str, dict[str, list[str]]] = {}
    for file in files:
        takers = _takers(flow, file, registry)
        if not takers:
            raise FlowError(f"No document loader of this flow takes {file.name!r}: add one, and save the flow.")
        for node_id, name in takers:
            inputs.setdefault(node_id, {}).setdefault(name, []).append(data_uri(file))
    return Overrides(inputs)


def _takers(flow: Flow, file: File, registry: Registry) -> list[tuple[str, str]]:
    """Loaders of its kind; else those of any kind; else those of text."""
    for wanted in (INPUTS.get(file.extension, ANY_INPUT), ANY_INPUT, TEXT_INPUT):
        found = [
            (node.id, wanted)
            for node in flow.nodes.values()
            if (node_type := registry.get(node.name))
            and (param := node_type.spec.param(wanted))
            and param.kind == "file"
        ]
        if found:
            return found
    return []


def _store(flow: Flow, registry: Registry, stop_node_id: str) -> tuple[str, NodeRun]:
    """The id of the vector store that is filled, and what fills it."""
    stores = {
        node.id: node_type.upsert
        for node in flow.nodes.values()
        if (node_type := registry.get(node.name)) is not None and node_type.upsert is not None
    }
    if stop_node_id:
        if stop_node_id not in stores:
            known = ", ".join(stores) or "none"
            raise FlowError(f"stopNodeId must name a vector store of this flow ({known}), not {stop_node_id[:80]!r}.")
        return stop_node_id, stores[stop_node_id]
    if not stores:
        raise FlowError("No vector node found: place a vector store in the flow, with documents and embeddings.")
    if len(stores) > 1:
        raise FlowError(MANY)
    return stores.popitem()
