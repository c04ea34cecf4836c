"""Reads published tool templates: a tool's name, what it takes, and its JavaScript."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import NodeInputError
from engine.zod import to_json_schema

TYPES = {"string": "string", "number": "number", "boolean": "boolean", "date": "string"}
NOTHING: Mapping[str, Any] = {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True)
class ToolTemplate:
    """`parameters` is the JSON Schema of its arguments; `func` sees each of them as `$name`."""

    name: str
    description: str
    func: str
    parameters: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


def read_tool_template(text: str | bytes) -> ToolTemplate:
    """A template file. Raises NodeInputError that says what is missing or malformed in it."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise NodeInputError(f"A tool template is a JSON object, and this is none: {exc}.") from exc
    missing = [name for name in ("name", "func") if not isinstance(read, dict) or not isinstance(read.get(name), str)]
    if missing:
        raise NodeInputError(f"This tool template lacks {' and '.join(missing)}: it is no tool.")
    description = str(read.get("description") or "")
    return ToolTemplate(read["name"], description, read["func"], read_tool_schema(read.get("schema")))


def read_tool_schema(given: Any) -> Mapping[str, Any]:
    """The JSON Schema of what tools list as [{property, type, description, required}], or write as `z.object(…)`.

    Either may be JSON text. Raises NodeInputError for anything else.
    """
    if isinstance(given, str) and given.strip().startswith("z."):
        return to_json_schema(given)
    try:
        rows = json.loads(given) if isinstance(given, str) and given.strip() else given or []
    except (ValueError, RecursionError) as exc:
        raise NodeInputError(f"The tool's schema is neither JSON nor z.object(…): {exc}.") from exc
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("property") for row in rows):
        raise NodeInputError("The tool's schema must be a list of {property, type, description, required}.")
    properties = {
        str(row["property"]): {
            "type": TYPES.get(str(row.get("type")), "string"),
            "description": str(row.get("description") or ""),
        }
        for row in rows
    }
    required = [str(row["property"]) for row in rows if row.get("required")]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}
