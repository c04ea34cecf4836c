"""The catalogue over HTTP: node types and their icons, kinds of credentials, the schema of flow files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from engine.catalogue import credential_entry, node_entry
from engine.credential_kinds import CREDENTIAL_KINDS
from engine.flow_schema import flow_schema
from engine.icons import icon_svg
from engine.registry import Registry, load_registry
from forjinn.core.errors import NotFound
from forjinn.core.permissions import MEMBER, PUBLIC

# What packages bring does not change while the process runs.
FOR_A_DAY = "public, max-age=86400"
# An icon that is opened by itself is a page: it may do nothing.
INERT = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
TEXT = {"type": "string"}
TYPE_ENTRY = OpenApiResponse(
    {
        "type": "object",
        "properties": {
            "name": TEXT,
            "label": TEXT,
            "version": {"type": "number"},
            "type": TEXT,
            "icon": TEXT,
            "category": TEXT,
            "description": TEXT,
            "baseClasses": {"type": "array", "items": TEXT},
            "inputs": {"type": "array", "items": {"type": "object"}},
            "outputs": {"type": "array", "items": {"type": "object"}},
            "credential": {"type": "object", "description": "The kinds of credential that it takes."},
            "extra": {"type": "string", "description": "What has to be installed besides: forjinn[extra]."},
            "installed": {"type": "boolean", "description": "Whether that is."},
        },
        "required": ["name", "label", "version", "type", "category", "baseClasses", "inputs", "outputs"],
    },
    description="A node type.",
)
KIND_ENTRY = OpenApiResponse(
    {
        "type": "object",
        "properties": {"name": TEXT, "label": TEXT, "version": {"type": "number"}, "inputs": {"type": "array"}},
        "required": ["name", "label", "inputs"],
    },
    description="A kind of credential.",
)
IMAGE = {(200, "image/svg+xml"): {"type": "string"}}


def list_of(entry: OpenApiResponse, description: str) -> OpenApiResponse:
    """The schema of a list of such entries."""
    return OpenApiResponse({"type": "array", "items": entry.response}, description=description)


@cache
def node_types() -> Registry:
    """The node types of this server."""
    return load_registry()


@cache
def _entries() -> Mapping[str, Mapping[str, Any]]:
    entries = [node_entry(node_type.spec) for node_type in node_types()]
    return {entry["name"]: entry for entry in sorted(entries, key=lambda entry: (entry["category"], entry["label"]))}


def entries_of(names: Iterable[str]) -> list[Mapping[str, Any]]:
    """The entries of these node types, in the catalogue's order."""
    wanted = set(names)
    return [entry for name, entry in _entries().items() if name in wanted]


@cache
def _schema() -> Mapping[str, Any]:
    return flow_schema(node_types())


class NodesView(APIView):
    """The node types of this server."""

    needs = {"GET": MEMBER}

    @extend_schema(
        operation_id="node_list",
        summary="List the node types.",
        responses=list_of(TYPE_ENTRY, "The node types, by category and label."),
    )
    def get(self, request: Request) -> Response:
        return Response(list(_entries().values()))


class NodeView(APIView):
    """One node type."""

    needs = {"GET": MEMBER}

    @extend_schema(operation_id="node_get", summary="Read one node type.", responses=TYPE_ENTRY)
    def get(self, request: Request, name: str) -> Response:
        if name not in _entries():
            raise NotFound(f"Node type {name} not found")
        return Response(_entries()[name])


class CredentialKindsView(APIView):
    """The kinds of credentials that node types take."""

    needs = {"GET": MEMBER}

    @extend_schema(
        operation_id="credential_kind_list",
        summary="List the kinds of credentials.",
        responses=list_of(KIND_ENTRY, "The kinds of credentials."),
    )
    def get(self, request: Request) -> Response:
        return Response([credential_entry(kind) for kind in CREDENTIAL_KINDS.values()])


class CredentialKindView(APIView):
    """One kind of credential."""

    needs = {"GET": MEMBER}

    @extend_schema(operation_id="credential_kind_get", summary="Read one kind of credential.", responses=KIND_ENTRY)
    def get(self, request: Request, name: str) -> Response:
        if name not in CREDENTIAL_KINDS:
            raise NotFound(f"Credential kind {name} not found")
        return Response(credential_entry(CREDENTIAL_KINDS[name]))


class PublicView(APIView):
    """Open to everybody: it says nothing of any workspace."""

    needs = {"GET": PUBLIC}

    authentication_classes = ()


class NodeIconView(PublicView):
    """A node type's icon."""

    @extend_schema(operation_id="node_icon", summary="A node type's icon.", responses=IMAGE)
    def get(self, request: Request, name: str) -> HttpResponse:
        node_type = node_types().get(name)
        if node_type is None:
            raise NotFound(f"Node type {name} not found")
        return _image(icon_svg(node_type.spec.label, node_type.spec.category))


class CredentialIconView(PublicView):
    """A credential kind's icon."""

    @extend_schema(operation_id="credential_kind_icon", summary="A credential kind's icon.", responses=IMAGE)
    def get(self, request: Request, name: str) -> HttpResponse:
        kind = CREDENTIAL_KINDS.get(name)
        if kind is None:
            raise NotFound(f"Credential kind {name} not found")
        return _image(icon_svg(kind.label, "Credentials"))


class FlowSchemaView(PublicView):
    """What a flow file looks like."""

    @extend_schema(
        operation_id="flow_schema",
        summary="The JSON Schema of flow files.",
        responses=OpenApiResponse({"type": "object"}, description="JSON Schema, draft 2020-12."),
    )
    def get(self, request: Request) -> Response:
        return Response(_schema(), headers={"Cache-Control": FOR_A_DAY})


def _image(svg: str) -> HttpResponse:
    headers = {
        "Cache-Control": FOR_A_DAY,
        "Content-Security-Policy": INERT,
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(svg, content_type="image/svg+xml", headers=headers)
