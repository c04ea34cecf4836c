"""What a first start puts in place: a workspace, its owner, a key, and two public flows to talk to."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from django.db import transaction

from apikeys.records import find_key
from apikeys.services import create_api_key
from chatflows.flowdata import kind_of, read_graph
from chatflows.models import Chatflow
from chatflows.services import create_chatflow, update_chatflow
from workspaces.models import User, Workspace
from workspaces.services import create_workspace

FOLDER = Path(__file__).parent
WORKSPACE = "Default"
OWNER = "owner@forjinn.local"
AUTHOR = "demo"
CHAT = ("Demo chat", "A conversation that remembers, with the model that runs here.", "chat.json")
BRANCHES = ("Demo branches", "Questions go one way, small talk the other.", "branches.json")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class DemoIds:
    """Where to find what was put in place. `owner_password` is known only to the call that made the owner."""

    workspace_id: UUID
    api_key: str
    demo_flow_id: UUID
    agentflow_id: UUID
    owner_email: str
    owner_password: str | None


@transaction.atomic
def ensure_demo(*, model_url: str, api_key: str | None = None) -> DemoIds:
    """Put in place what is missing; safe at every start. `api_key` is the earlier call's, kept while it is good.

    `model_url` (with its /v1) may be another at each start: flows whose model is on this machine are pointed at it.
    """
    owner, password = _owner()
    workspace = Workspace.objects.filter(name=WORKSPACE, members=owner).order_by("created_at").first()
    workspace = workspace or create_workspace(name=WORKSPACE, owner=owner)
    key = find_key(api_key) if api_key else None
    if api_key is None or key is None or key.workspace_id != workspace.pk:
        _, api_key = create_api_key(workspace=workspace, name="Demo")
    return DemoIds(
        workspace_id=workspace.pk,
        api_key=api_key,
        demo_flow_id=_flow(workspace, *CHAT, model_url=model_url),
        agentflow_id=_flow(workspace, *BRANCHES, model_url=model_url),
        owner_email=owner.email,
        owner_password=password,
    )


def _owner() -> tuple[User, str | None]:
    if owner := User.objects.filter(email=OWNER).first():
        return owner, None
    password = secrets.token_urlsafe(12)
    return User.objects.create_superuser(OWNER, password, name="Owner"), password


def _flow(workspace: Workspace, name: str, description: str, file: str, *, model_url: str) -> UUID:
    """The flow's id. A flow of that name is taken as it is, whatever people have made of it, but for the address."""
    present = (
        Chatflow.objects.of(workspace.pk).filter(name=name).select_related("version").order_by("created_at").first()
    )
    if present is None:
        text = point_at(model_url, (FOLDER / file).read_text())
        kind = kind_of(read_graph(text))
        return create_chatflow(
            workspace_id=workspace.pk,
            author=AUTHOR,
            flow_data=text,
            name=name,
            description=description,
            kind=kind,
            deployed=True,
            is_public=True,
        ).pk
    assert present.version is not None
    update_chatflow(
        workspace_id=workspace.pk,
        chatflow_id=present.pk,
        author=AUTHOR,
        flow_data=point_at(model_url, present.version.flow_data),
    )
    return present.pk


def point_at(model_url: str, flow_data: str) -> str:
    """The flow's text with every model address on this machine replaced; unchanged to the byte if there is none."""
    graph = read_graph(flow_data)
    outdated = [
        settings
        for settings in _model_settings(graph)
        if settings["basepath"] != model_url and _is_local(settings["basepath"])
    ]
    for settings in outdated:
        settings["basepath"] = model_url
    return orjson.dumps(graph).decode() if outdated else flow_data


def _is_local(address: str) -> bool:
    try:
        return urlsplit(address).hostname in LOOPBACK
    except ValueError:
        return False


def _model_settings(graph: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The settings of each model in the graph: a classic node's inputs, or what a v2 node keeps for its model."""
    for node in graph["nodes"]:
        data = node.get("data")
        inputs = data.get("inputs") if isinstance(data, dict) else None
        if isinstance(inputs, dict):
            for settings in (inputs, *inputs.values()):
                if isinstance(settings, dict) and isinstance(settings.get("basepath"), str):
                    yield settings
