"""A saved flow looked at: what keeps it from running, and what callers may change of it for one run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import orjson
from django.conf import settings
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from chatflows.access import either, find_own_flow
from chatflows.catalogue import node_types
from chatflows.documents.models import DocumentStore
from chatflows.models import Chatflow, Tool
from engine.catalogue import param_entry
from engine.checks import Problem, check_flow
from engine.errors import FlowError
from engine.flow import Node, read_drawing
from engine.overrides import node_params
from engine.spec import Param
from workspaces.access import access_of

PROBLEMS_HEADER = "X-Flow-Problems"
TEXT = {"type": "string"}
PROBLEM_LIST = OpenApiResponse(
    {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "nodeId": {"type": "string", "description": "Empty for the flow as a whole."},
                "field": {"type": "string", "description": "The input; empty for the node as a whole."},
                "message": TEXT,
                "fix": TEXT,
                "severity": {"enum": ["error", "warning"]},
                "code": {
                    "enum": ["broken", "missing_type", "needs_credential", "needs_value", "needs_extra", "doubtful"]
                },
                "subject": {"type": "string", "description": "What is missing."},
            },
            "required": ["nodeId", "field", "message", "fix", "severity", "code", "subject"],
        },
    },
    description="Errors keep the flow from running, warnings do not; an empty list: it runs.",
)
CONFIG_LIST = OpenApiResponse(
    {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "node": {"type": "string", "description": "The node's label: rules name it."},
                "nodeId": TEXT,
                "label": TEXT,
                "name": TEXT,
                "type": TEXT,
                "schema": {"type": "array", "items": {"type": "object"}},
            },
            "required": ["node", "nodeId", "label", "name", "type"],
        },
    },
    description="The inputs that can be enabled in apiConfig.overrideConfig.",
)


class FlowProblemsView(APIView):
    """What is wrong with a flow."""

    needs = {"GET": either("view")}

    @extend_schema(
        operation_id="chatflow_problems", summary="All that keeps a flow from running.", responses=PROBLEM_LIST
    )
    def get(self, request: Request, chatflow_id: str) -> Response:
        flow = find_own_flow(access_of(request), "view", chatflow_id)
        return Response([problem_entry(problem) for problem in problems_of(flow)])


class FlowConfigView(APIView):
    """What callers may change of a flow, once its owner has enabled it."""

    needs = {"GET": either("view")}

    @extend_schema(
        operation_id="flow_config", summary="The inputs of a flow that can be overridden.", responses=CONFIG_LIST
    )
    def get(self, request: Request, chatflow_id: str) -> Response:
        chatflow = find_own_flow(access_of(request), "view", chatflow_id)
        assert chatflow.version is not None, "a saved flow has a version"
        try:
            nodes = read_drawing(chatflow.version.flow_data).nodes.values()
        except FlowError:
            return Response([])  # what cannot be read has no inputs; `problems` says why
        return Response([entry for node in nodes for entry in _config_entries(node)])


def problems_of(chatflow: Chatflow) -> list[Problem]:
    """The problems of a flow's present version on this server."""
    assert chatflow.version is not None, "a saved flow has a version"
    api_config = orjson.loads(chatflow.api_config) if chatflow.api_config else {}
    flow_data = chatflow.version.flow_data
    tools: Collection[str] = ()
    if "customTool" in flow_data:  # few flows name tools, and listing them takes a query
        tools = [str(tool_id) for tool_id in Tool.objects.of(chatflow.workspace_id).values_list("pk", flat=True)]
    stores: Mapping[str, bool] = {}
    if "ocumentStore" in flow_data:  # likewise
        stores = DocumentStore.objects.of(chatflow.workspace_id).readiness()
    return check_flow(flow_data, node_types(), api_config=api_config, tools=tools, stores=stores)


def problem_entry(problem: Problem) -> dict[str, str]:
    """As the API and the command line's `--json` spell it."""
    return {
        "nodeId": problem.node_id,
        "field": problem.field,
        "message": problem.message,
        "fix": problem.fix,
        "severity": problem.severity,
        "code": problem.code,
        "subject": problem.subject,
    }


def _config_entries(node: Node) -> Iterator[dict[str, Any]]:
    for name, param in node_params(node, node_types(), settings.OVERRIDABLE_FIELDS):
        label = param.label or param.name
        entry: dict[str, Any] = {"node": node.label, "nodeId": node.id, "label": label, "name": name}
        if name != param.name:
            yield {**entry, "label": f"{label} Config", "type": "json", "schema": _component(node.inputs, param)}
        else:
            schema = {"schema": [param_entry(field) for field in param.fields]} if param.fields else {}
            yield {**entry, "type": param.kind, **schema}


def _component(inputs: Mapping[str, Any], chosen: Param) -> list[dict[str, Any]]:
    node_type = node_types().get(str(inputs.get(chosen.name)))
    if node_type is None:
        return []
    open_params = node_params(Node("", "", node_type.spec.name), node_types(), settings.OVERRIDABLE_FIELDS)
    return [param_entry(param) for _, param in open_params]
