"""Upserts over HTTP: the request read, the flow's documents stored, here and now."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest

from chatflows.documents.knowledge import WorkspaceDocuments
from chatflows.records import FlowRecord
from engine.context import RunRequest, World
from engine.errors import EngineError, FlowError
from engine.files import File
from engine.flow import parse_flow
from engine.overrides import apply_overrides, everything, with_overrides
from engine.providers.base import Message
from engine.registry import Registry
from engine.upsert import run_upsert, with_files
from forjinn.core.errors import AppError
from predictions.requests import RequestInvalid, read_fields
from predictions.store import Store
from predictions.vectors import WorkspaceRecords, WorkspaceVectors
from predictions.web import WebProcess
from workspaces.services import variable_values
from workspaces.world import SystemClock, WorkspaceCredentials

OWN_FIELDS = frozenset({"stopNodeId", "overrideConfig", "chatId", "question", "usecase", "chatflowId"})


class UpsertFailed(AppError):
    """The flow's documents could not be stored."""

    status = 422
    code = "upsert_failed"


@dataclass(frozen=True, slots=True)
class UpsertRequest:
    """An upsert call, checked."""

    stop_node_id: str = ""
    override: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[File] = ()


class NoHistory:
    """The conversation of an upsert, which has none."""

    async def load(self, *, last: int | None = None, session_id: str | None = None) -> Sequence[Message]:
        """See `engine.context.History.load`."""
        return ()


def read_upsert(request: HttpRequest) -> UpsertRequest:
    """The body, JSON or multipart; an empty one asks for nothing special. Raises RequestInvalid."""
    if not request.body and request.content_type != "multipart/form-data":
        return UpsertRequest()
    fields = read_fields(request)
    override = fields.get("overrideConfig") or {}
    if not isinstance(override, Mapping):
        raise RequestInvalid("overrideConfig: expected an object")
    # In multipart bodies what is no field of the call itself is an override.
    beside = {name: value for name, value in fields.items() if name not in OWN_FIELDS} if request.FILES else {}
    return UpsertRequest(
        stop_node_id=str(fields.get("stopNodeId") or ""),
        override={**beside, **override},
        files=[uploaded_file(file) for file in request.FILES.getlist("files")],
    )


async def upsert(
    *, process: WebProcess, flow: FlowRecord, asked: UpsertRequest, registry: Registry
) -> Mapping[str, Any]:
    """Store the flow's documents in its vector store, and say how many. The caller has shown that they may change it.

    Raises UpsertFailed with the reason.
    """
    try:
        graph = parse_flow(await Store(process.pool).flow_data(flow.version_id))
        if graph.kind == "AGENTFLOW":
            raise FlowError("No vector node found: agent flows look things up in stores that others fill.")
        given = with_files(graph, list(asked.files), registry)
        opened = settings.OVERRIDABLE_FIELDS
        rules = everything(graph, asked.override, registry, opened=opened)
        taken = apply_overrides(graph, asked.override, rules, registry, opened=opened)
        graph = with_overrides(with_overrides(graph, taken), given)
        world = await upsert_world(process, flow.workspace_id, taken.variables, uses_variables=graph.uses_variables)
        counts = await run_upsert(graph, _request(flow), world, registry=registry, stop_node_id=asked.stop_node_id)
    except EngineError as exc:
        raise UpsertFailed(exc.message) from exc
    return {**counts, **({"warnings": list(taken.warnings)} if taken.warnings else {})}


def _request(flow: FlowRecord) -> RunRequest:
    chat_id = str(uuid4())
    return RunRequest("", chat_id=chat_id, session_id=chat_id, chatflow_id=str(flow.id))


async def upsert_world(
    process: WebProcess, workspace_id: UUID, given: Mapping[str, str], *, uses_variables: bool = True
) -> World:
    """What documents are read and stored with: the workspace's own, and no conversation. `given` are variables."""
    stored = await sync_to_async(variable_values)(workspace_id) if uses_variables else {}
    return World(
        http=process.http,
        history=NoHistory(),
        credentials=WorkspaceCredentials(workspace_id),
        clock=SystemClock(),
        random=random.Random(),  # noqa: S311 -- jitter, no secrets
        variables={**stored, **given},
        documents=WorkspaceDocuments(workspace_id),
        vectors=WorkspaceVectors(process.pool, workspace_id),
        records=WorkspaceRecords(process.pool, workspace_id),
    )


def uploaded_file(file: UploadedFile[bytes]) -> File:
    """A part of a multipart body."""
    return File(file.name or "file", file.content_type or "application/octet-stream", file.read())
