"""What a prediction needs to know of a flow, remembered in each process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.db import InterfaceError, OperationalError
from django.db.models import Q
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from chatflows.flowdata import DeclaredInput, FlowDataInvalid, FlowFacts, facts_of, read_graph
from chatflows.models import SLUG_LENGTH, Chatflow, ChatflowVersion
from forjinn.core.errors import DATABASE_AWAY, Unavailable
from forjinn.core.records import RecordCache, announce_stale
from forjinn.core.scopes import SYSTEM, in_scope
from workspaces.models import Workspace

LONGEST_NAME = SLUG_LENGTH
ALWAYS_STREAMABLE = frozenset({"MULTIAGENT", "AGENTFLOW", "AUTOADK", "AUTOGEN", "CREWAI"})


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """A flow and its current version, without the text. The configs are parsed; {} is unset."""

    id: UUID
    workspace_id: UUID
    version_id: UUID
    slug: str
    object_id: str
    name: str
    kind: str
    deployed: bool
    is_public: bool
    apikey_id: UUID | None
    chatbot_config: Mapping[str, Any]
    api_config: Mapping[str, Any]
    digest: str
    start_input_type: str
    is_streamable: bool
    asks_users: bool
    inputs: tuple[DeclaredInput, ...]


def find_flow(flow_id: UUID) -> FlowRecord | None:
    """The flow of whichever workspace: the caller decides who may use it. Raises Unavailable."""
    return _flows.get(flow_id)


async def afind_flow(flow_id: UUID) -> FlowRecord | None:
    """As `find_flow`, for asynchronous callers."""
    return await _flows.aget(flow_id)


async def afind_named_flow(workspace_id: UUID, name: str) -> FlowRecord | None:
    """The flow of this workspace that `name` is the id, the slug or the object id of. Raises Unavailable."""
    flow = None
    if len(name) <= LONGEST_NAME and "\0" not in name:
        flow_id = _id_in(name) or await _names.aget(f"{workspace_id}:{name}")
        flow = await afind_flow(flow_id) if flow_id else None
    return flow if flow is not None and flow.workspace_id == workspace_id else None


async def aflow_at(flow: FlowRecord, version_id: UUID) -> FlowRecord:
    """The flow as another of its versions has it; its settings are those of now. Raises Unavailable."""
    if version_id == flow.version_id:
        return flow
    try:
        facts = await in_scope(SYSTEM, _facts, version_id)  # kept for whoever asks next: they are the version's
    except (OperationalError, InterfaceError) as exc:
        raise Unavailable(DATABASE_AWAY) from exc
    return replace(
        flow,
        version_id=version_id,
        start_input_type=facts.start_input_type,
        is_streamable=_streams(flow.kind, facts, flow.chatbot_config),
        asks_users=facts.asks_users,
        inputs=facts.inputs,
    )


def _load(flow_id: UUID) -> FlowRecord | None:
    flow = (
        Chatflow.objects.select_related("version")
        .defer("version__flow_data")
        .filter(pk=flow_id, workspace__archived_at=None)
        .first()
    )
    if flow is None or flow.version is None:
        return None
    facts = _facts(flow.version.pk)
    chatbot_config = _config(flow.chatbot_config)
    return FlowRecord(
        id=flow.pk,
        workspace_id=flow.workspace_id,
        version_id=flow.version.pk,
        slug=flow.slug,
        object_id=flow.object_id,
        name=flow.name,
        kind=flow.kind,
        deployed=flow.deployed,
        is_public=flow.is_public,
        apikey_id=flow.apikey_id,
        chatbot_config=chatbot_config,
        api_config=_config(flow.api_config),
        digest=flow.version.digest,
        start_input_type=facts.start_input_type,
        is_streamable=_streams(flow.kind, facts, chatbot_config),
        asks_users=facts.asks_users,
        inputs=facts.inputs,
    )


def _streams(kind: str, facts: FlowFacts, chatbot_config: Mapping[str, Any]) -> bool:
    return (kind in ALWAYS_STREAMABLE or facts.is_streamable) and not is_post_processed(chatbot_config)


def _id_in(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None


def _load_name(name: str) -> UUID | None:
    workspace_id, _, name = name.partition(":")
    named = Chatflow.objects.of(UUID(workspace_id)).filter(Q(slug=name) | Q(object_id=name))
    return named.values_list("pk", flat=True).first()


@lru_cache(maxsize=2048)
def _facts(version_id: UUID) -> FlowFacts:
    """Versions never change, so neither does what their text says."""
    text = ChatflowVersion.objects.values_list("flow_data", flat=True).get(pk=version_id)
    try:
        return facts_of(read_graph(text))
    except FlowDataInvalid:
        return FlowFacts(start_input_type="", is_streamable=False)


def _config(text: str) -> Mapping[str, Any]:
    config = orjson.loads(text) if text else {}
    return config if isinstance(config, dict) else {}


def is_post_processed(chatbot_config: Mapping[str, Any]) -> bool:
    """Whether a function rewrites the finished answer; it needs it whole."""
    post_processing = chatbot_config.get("postProcessing")
    return isinstance(post_processing, dict) and post_processing.get("enabled") in (True, "true")


_flows = RecordCache[UUID, FlowRecord]("chatflows", _load, read_key=UUID)
_names = RecordCache[str, UUID]("chatflow names", _load_name, read_key=str)


@receiver(post_save, sender=Workspace)
def _announce_all(instance: Workspace, update_fields: frozenset[str] | None = None, **_: object) -> None:
    """Archived or brought back."""
    if update_fields and "archived_at" in update_fields:
        for flow_id in Chatflow.objects.of(instance.pk).values_list("pk", flat=True):
            announce_stale("chatflows", flow_id)


@receiver([post_save, post_delete], sender=Chatflow)
def _announce(instance: Chatflow, **_: object) -> None:
    announce_stale("chatflows", instance.pk)
    for name in (instance.slug, instance.object_id):
        announce_stale("chatflow names", f"{instance.workspace_id}:{name}")
