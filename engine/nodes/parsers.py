"""Output parsers: make data of a chain's answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import values
from engine.parsers import json_parser, list_parser
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.zod import to_json_schema

TYPES = ("string", "number", "boolean")
LONGEST_LIST = 1000

AUTOFIX = Param(
    "autofixParser", "boolean", "Autofix", optional=True, help="Ask once more if the answer has the wrong shape."
)
STRUCTURED = NodeSpec(
    name="structuredOutputParser",
    label="Structured Output Parser",
    version=1,
    category="Output Parsers",
    base_classes=("StructuredOutputParser", "BaseLLMOutputParser", "Runnable"),
    help="The answer as an object with the properties of a table.",
    params=(
        AUTOFIX,
        Param(
            "jsonStructure",
            "datagrid",
            "JSON Structure",
            help="One row a property.",
            fields=(
                Param("property", "string", "Property", help="Its name."),
                Param("type", "options", "Type", options=TYPES, help="What it holds."),
                Param("description", "string", "Description", help="What it means, for the model."),
            ),
        ),
    ),
    role="component",
)
ADVANCED = NodeSpec(
    name="advancedStructuredOutputParser",
    label="Advanced Structured Output Parser",
    version=1,
    category="Output Parsers",
    base_classes=("AdvancedStructuredOutputParser", "BaseLLMOutputParser", "Runnable"),
    help="The answer as JSON that follows a zod schema.",
    params=(AUTOFIX, Param("exampleJson", "string", "Example JSON", help="Such as z.object({title: z.string()}).")),
    role="component",
)
CSV = NodeSpec(
    name="csvOutputParser",
    label="CSV Output Parser",
    version=1,
    category="Output Parsers",
    base_classes=("CSVListOutputParser", "BaseLLMOutputParser", "Runnable"),
    help="The answer as a list, from text with commas.",
    params=(AUTOFIX,),
    role="component",
)
LIST = NodeSpec(
    name="customListOutputParser",
    label="Custom List Output Parser",
    version=1,
    category="Output Parsers",
    base_classes=("CustomListOutputParser", "BaseLLMOutputParser", "Runnable"),
    help="The answer as a list, from text with separators.",
    params=(
        AUTOFIX,
        Param("length", "number", "Length", optional=True, help="How many items there must be."),
        Param("separator", "string", "Separator", default=",", help="What stands between two items."),
    ),
    role="component",
)


async def run_structured(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError for a row without a name or with an unknown type."""
    rows = values.items(inputs, "jsonStructure")
    if not rows:
        raise NodeInputError("The output parser has no properties: add a row under 'jsonStructure'.")
    properties = dict(_property(row) for row in rows)
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return NodeResult(value=json_parser(schema, autofix=values.flag(inputs, "autofixParser")))


async def run_advanced(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError for source text that is not in the supported part of zod."""
    schema = to_json_schema(values.text(inputs, "exampleJson"))
    return NodeResult(value=json_parser(schema, autofix=values.flag(inputs, "autofixParser")))


async def run_csv(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A list of any length."""
    return NodeResult(value=list_parser(length=None, separator=",", autofix=values.flag(inputs, "autofixParser")))


async def run_list(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError for a length that no list can have."""
    length = values.integer(inputs, "length")
    if length is not None and not 1 <= length <= LONGEST_LIST:
        raise NodeInputError(f"The length of a list must lie between 1 and {LONGEST_LIST}, not {length}.")
    separator = values.text(inputs, "separator", ",")
    autofix = values.flag(inputs, "autofixParser")
    return NodeResult(value=list_parser(length=length, separator=separator, autofix=autofix))


def _property(row: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    name, kind = str(row.get("property") or ""), row.get("type") or "string"
    if not name or kind not in TYPES:
        raise NodeInputError(
            f"A row of 'jsonStructure' needs a property name and one of the types {', '.join(TYPES)}: {dict(row)}."
        )
    return name, {"type": kind, "description": str(row.get("description") or "")}


NODES = (
    NodeType(STRUCTURED, run_structured),
    NodeType(ADVANCED, run_advanced),
    NodeType(CSV, run_csv),
    NodeType(LIST, run_list),
)
