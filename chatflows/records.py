"""What a prediction needs to know of a flow, remembered in each process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from chatflows.flowdata import FlowDataInvalid, FlowFacts, facts_of, read_graph
from chatflows.models import Chatflow, ChatflowVersion
from forjinn.core.records import RecordCache, announce_stale

ALWAYS_STREAMABLE = frozenset({"MULTIAGENT", "AGENTFLOW", "AUTOADK", "AUTOGEN", "CREWAI"})


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """A flow and its current version, without the text. The configs are parsed; {} is unset."""

    id: UUID
    workspace_id: UUID
    version_id: UUID
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


def find_flow(flow_id: UUID) -> FlowRecord | None:
    """The flow of whichever workspace: the caller decides who may use it. Raises Unavailable."""
    return _flows.get(flow_id)


async def afind_flow(flow_id: UUID) -> FlowRecord | None:
    """As `find_flow`, for asynchronous callers."""
    return await _flows.aget(flow_id)


def _load(flow_id: UUID) -> FlowRecord | None:
    flow = Chatflow.objects.select_related("version").defer("version__flow_data").filter(pk=flow_id).first()
    if flow is None or flow.version is None:
        return None
    facts = _facts(flow.version.pk)
    chatbot_config = _config(flow.chatbot_config)
    return FlowRecord(
        id=flow.pk,
        workspace_id=flow.workspace_id,
        version_id=flow.version.pk,
        name=flow.name,
        kind=flow.kind,
        deployed=flow.deployed,
        is_public=flow.is_public,
        apikey_id=flow.apikey_id,
        chatbot_config=chatbot_config,
        api_config=_config(flow.api_config),
        digest=flow.version.digest,
        start_input_type=facts.start_input_type,
        is_streamable=(
            (flow.kind in ALWAYS_STREAMABLE or facts.is_streamable) and not is_post_processed(chatbot_config)
        ),
    )


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


@receiver([post_save, post_delete], sender=Chatflow)
def _announce(instance: Chatflow, **_: object) -> None:
    announce_stale("chatflows", instance.pk)
