"""Answers with a given shape: the rows that authors fill in become a JSON Schema, and a model is held to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import json5
from jsonschema import Draft202012Validator, SchemaError

from engine.errors import NodeError, NodeInputError, ProviderError
from engine.parsers import OutputParser, Unparsable, json_parser
from engine.providers.base import ChatModel, Completion, Message, Usage

TYPES = ("string", "stringArray", "number", "boolean", "enum", "jsonArray")
PLAIN: Mapping[str, Mapping[str, Any]] = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "stringArray": {"type": "array", "items": {"type": "string"}},
}
# References lead out of the part of the schema in which they stand; patterns of names may run for ever.
NOT_TAKEN = frozenset({"$ref", "$dynamicRef", "patternProperties"})
CORRECT = "Your answer cannot be used. {problem}\n{instructions}"
# What a server answers that does not know how to hold its model to a schema.
NO_SCHEMAS = frozenset({400, 404, 422, 501})


@dataclass(frozen=True, slots=True)
class Shaped:
    """An answer that was read: its value, and what all calls for it cost."""

    value: dict[str, Any]
    usage: Usage
    thinking: str = ""


def answer_schema(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON Schema of an answer with one property a row: key, type, description, enumValues, jsonSchema.

    Raises NodeInputError for a row without a key, or one of which the type makes no sense.
    """
    properties = {}
    for row in rows:
        key = str(row.get("key") or "").strip()
        if not key:
            raise NodeInputError("A row of the structured output has no key: give it a name.")
        properties[key] = _described(_property(key, row), row)
    return _object(properties, required=list(properties))


async def ask_shaped(model: ChatModel, messages: Sequence[Message], schema: Mapping[str, Any]) -> Shaped:
    """Ask for an answer that follows the schema, and once more if the first one does not.

    Raises NodeError if the second does not either.
    """
    parser = json_parser(schema, autofix=True)
    completion = await ask_json(model, messages, schema, parser)
    usage = completion.usage
    try:
        return Shaped(parser.read(completion.text), usage, completion.thinking)
    except Unparsable as exc:
        correction = CORRECT.format(problem=exc, instructions=parser.instructions)
    asked = [*messages, Message("assistant", completion.text), Message("user", correction)]
    completion = await ask_json(model, asked, schema, parser)
    usage += completion.usage
    try:
        return Shaped(parser.read(completion.text), usage, completion.thinking)
    except Unparsable as exc:
        raise NodeError(f"The model's answer does not have the structure that was asked for. {exc}") from exc


async def ask_json(
    model: ChatModel, messages: Sequence[Message], schema: Mapping[str, Any], parser: OutputParser
) -> Completion:
    """Ask once for an answer that `parser` can read; a server that knows no schemas is told of it in words."""
    try:
        return await model.complete(messages, schema=schema)
    except ProviderError as exc:
        if exc.status not in NO_SCHEMAS:
            raise
    return await model.complete([*messages, Message("user", parser.instructions)])


def _property(key: str, row: Mapping[str, Any]) -> dict[str, Any]:
    kind = row.get("type") or "string"
    if kind in PLAIN:
        return dict(PLAIN[kind])
    if kind == "enum":
        options = [option for part in str(row.get("enumValues") or "").split(",") if (option := part.strip())]
        if not options:
            raise NodeInputError(f"The structured output's {key!r} is an enum without values: list them by commas.")
        return {"type": "string", "enum": options}
    if kind == "jsonArray":
        return {"type": "array", "items": _item(key, row.get("jsonSchema"))}
    raise NodeInputError(f"The structured output's {key!r} has the type {kind!r}; known: {', '.join(TYPES)}.")


def _item(key: str, source: Any) -> dict[str, Any]:
    """One item of a list of objects, as authors describe it: {property: {type, required, description}}."""
    if isinstance(source, str) and source.strip():
        try:
            source = json5.loads(source)
        except (ValueError, RecursionError) as exc:
            raise NodeInputError(f"The JSON schema of the structured output's {key!r} is no JSON: {exc}.") from exc
    if not isinstance(source, Mapping) or not source:
        raise NodeInputError(f"The structured output's {key!r} needs a JSON schema for its items.")
    is_schema = source.get("type") == "object" and isinstance(source.get("properties"), Mapping)
    schema = dict(source) if is_schema else _described_object(source)
    if words := sorted(_words(schema) & NOT_TAKEN):
        raise NodeInputError(
            f"The JSON schema of the structured output's {key!r} uses {', '.join(words)}, which is not taken here: "
            "write out which properties there are."
        )
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as exc:
        raise NodeInputError(f"The JSON schema of the structured output's {key!r} is wrong: {exc.message}") from exc
    return schema


def _words(value: Any) -> set[str]:
    """The keys on all levels."""
    if isinstance(value, Mapping):
        return set(value).union(*map(_words, value.values()))
    return set().union(*map(_words, value)) if isinstance(value, list) else set()


def _described_object(rows: Mapping[str, Any]) -> dict[str, Any]:
    described = {name: row if isinstance(row, Mapping) else {} for name, row in rows.items()}
    required = [name for name, row in described.items() if row.get("required", not row.get("optional", False))]
    return _object({name: _described(_value(row), row) for name, row in described.items()}, required=required)


def _value(row: Mapping[str, Any]) -> dict[str, Any]:
    match row.get("type"):
        case "string" | "number" | "boolean" | "integer" as kind:
            return {"type": kind}
        case "array":
            items = row.get("items")
            return {"type": "array", "items": _value(items) if isinstance(items, Mapping) else {}}
        case "object":
            properties = row.get("properties")
            return _described_object(properties) if isinstance(properties, Mapping) else {"type": "object"}
        case None if row and all(isinstance(value, Mapping) for value in row.values()):
            return _described_object(row)
        case _:
            return {}


def _described(schema: dict[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    description = row.get("description")
    return {**schema, "description": description} if isinstance(description, str) and description else schema


def _object(properties: Mapping[str, Any], *, required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
