"""The JSON Schema of flow files, made from the catalogue: for editors that complete and pipelines that check."""

from __future__ import annotations

from typing import Any

from engine.flow import NOTES
from engine.registry import Registry
from engine.spec import NodeSpec, Param

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Some inputs hold a reference instead of their value, and what is not filled in is an empty text.
REFERENCE: Schema = {"type": "string", "pattern": r"\{\{.*\}\}"}
EMPTY: Schema = {"const": ""}
TEXT: Schema = {"type": "string"}
POINT: Schema = {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}}
NUMBER: Schema = {"type": "string", "pattern": r"^\s*-?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?\s*$"}
CREDENTIAL: Schema = {"type": "string", "description": "Id of a credential."}


def flow_schema(registry: Registry) -> Schema:
    """A canvas export or a template. Node types that are unknown here are let pass: a server may learn them later."""
    specs = sorted((node_type.spec for node_type in registry), key=lambda spec: spec.name)
    return {
        "$schema": DIALECT,
        "title": "Flow",
        "description": "A chatflow or an agentflow as a file: what the canvas exports, or a published template.",
        "type": "object",
        "properties": {
            "nodes": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            "edges": {"type": "array", "items": {"$ref": "#/$defs/edge"}},
            "viewport": {**POINT, "properties": {**POINT["properties"], "zoom": {"type": "number"}}},
            "description": {"type": "string", "description": "Of a template: what the flow is for."},
            "usecases": {"type": "array", "items": TEXT},
            "framework": {"type": "array", "items": TEXT},
            "badge": TEXT,
        },
        "required": ["nodes", "edges"],
        "$defs": {
            "node": _node(specs),
            "edge": _edge(),
            **{f"type-{spec.name}": _data(spec) for spec in specs},
        },
    }


def _node(specs: list[NodeSpec]) -> Schema:
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string", "minLength": 1, "description": "Once in a flow; references name it."},
            "type": {"type": "string", "description": "How the canvas draws it."},
            "position": POINT,
            "parentNode": {"type": "string", "description": "Id of the iteration that it stands in."},
            "data": {
                "type": "object",
                "properties": {
                    "id": TEXT,
                    "name": {"type": "string", "description": "The node type."},
                    "label": TEXT,
                    "version": {"anyOf": [{"type": "number"}, NUMBER]},
                    "inputs": {"type": "object"},
                    "outputs": {"type": "object"},
                    "credential": CREDENTIAL,
                },
                "allOf": [
                    {
                        "if": {"properties": {"name": {"const": spec.name}}, "required": ["name"]},
                        "then": {"$ref": f"#/$defs/type-{spec.name}"},
                    }
                    for spec in specs
                ],
            },
        },
        "required": ["id", "data"],
        "if": {"properties": {"type": {"enum": sorted(NOTES)}}, "required": ["type"]},
        "else": {"properties": {"data": {"required": ["name"]}}},
    }


def _edge() -> Schema:
    handle = {"type": "string", "description": "Which output or input it leads from or to."}
    return {
        "type": "object",
        "properties": {
            "id": TEXT,
            "source": {"type": "string", "minLength": 1, "description": "Id of a node."},
            "target": {"type": "string", "minLength": 1, "description": "Id of a node."},
            "sourceHandle": {"anyOf": [handle, {"type": "null"}]},
            "targetHandle": {"anyOf": [handle, {"type": "null"}]},
        },
        "required": ["source", "target"],
    }


def _data(spec: NodeSpec) -> Schema:
    inputs = {param.name: _input(param) for param in spec.params if param.kind != "credential"}
    outputs: Schema = {"properties": {"output": {"enum": [*spec.outputs, "EndingNode", ""]}}} if spec.outputs else {}
    return {
        "title": spec.label,
        "description": spec.help,
        "properties": {
            "inputs": {"type": "object", "properties": inputs},
            **({"outputs": {"type": "object", **outputs}} if outputs else {}),
        },
    }


def _input(param: Param) -> Schema:
    schema = {"title": param.label or param.name, **({"description": param.help} if param.help else {})}
    if param.default is not None:
        schema["default"] = param.default
    return {**schema, **_value(param)}


def _value(param: Param) -> Schema:
    match param.kind:
        case "options" if param.options:
            return {"anyOf": [{"enum": list(param.options)}, REFERENCE, EMPTY]}
        case "number":
            return {"anyOf": [{"type": "number"}, NUMBER, REFERENCE, EMPTY, {"type": "null"}]}
        case "boolean":
            return {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}, REFERENCE, EMPTY, {"type": "null"}]}
        case "json" | "datagrid" | "multiOptions" | "asyncMultiOptions" | "tabs":
            return {"type": ["object", "array", "string", "null"]}
        case "array":
            row = {"type": "object", "properties": {field.name: _input(field) for field in param.fields}}
            return {"anyOf": [{"type": "array", "items": row if param.fields else {}}, TEXT, {"type": "null"}]}
        case _ if param.is_anchor:
            several = {"type": "array", "items": TEXT}
            return {"anyOf": [TEXT, several, {"type": "null"}]}
        case _:
            return {"type": ["string", "number", "boolean", "null"]}
