"""The least valid row of each kind."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from apikeys.models import ApiKey
from apikeys.services import create_api_key
from chatflows.models import Chatflow
from chatflows.services import Creation, create_chatflow
from workspaces.models import User, Workspace
from workspaces.services import create_workspace

EMPTY_GRAPH = '{"nodes":[],"edges":[],"viewport":{"x":0,"y":0,"zoom":1}}'

_numbers = count(1)


def make_user(email: str = "", *, password: str | None = None) -> User:
    """Without a password, which would cost each test a tenth of a second of hashing."""
    return User.objects.create_user(email or f"{uuid4().hex}@example.com", password)


def make_workspace(name: str = "") -> Workspace:
    return create_workspace(name=name or f"Workspace {next(_numbers)}", owner=make_user())


def make_api_key(
    workspace: Workspace,
    name: str = "ci",
    *,
    permissions: Iterable[str] | None = None,
    flows: Iterable[UUID] | None = None,
) -> tuple[ApiKey, str]:
    """For everything, unless something is said."""
    key, raw = create_api_key(workspace=workspace, name=name)
    key.permissions = None if permissions is None else sorted(permissions)
    key.flows = None if flows is None else list(flows)
    key.save(update_fields=["permissions", "flows"])
    return key, raw


def make_chatflow(workspace: Workspace, *, flow_data: str = EMPTY_GRAPH, **fields: Any) -> Chatflow:
    given: Creation = {"name": f"Flow {next(_numbers)}", **fields}  # type: ignore[typeddict-item]
    return create_chatflow(workspace_id=workspace.pk, author="factory", flow_data=flow_data, **given)


def graph_text(*nodes: dict[str, Any], edges: list[dict[str, str]] | None = None) -> str:
    """Flow text of these nodes, each given as its `data`."""
    placed = [{"id": data["id"], "type": "customNode", "data": data} for data in nodes]
    return json.dumps({"nodes": placed, "edges": edges or []})
