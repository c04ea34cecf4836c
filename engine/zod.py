"""Reads zod schemas, as flows carry them in source text, into JSON Schema.

    schema   = "z" { "." call } ;
    call     = name "(" [ value { "," value } [ "," ] ] ")" ;
    value    = schema | "{" [ key ":" value { "," key ":" value } [ "," ] ] "}" | "[" values "]" | literal ;

Nothing is evaluated: what is not in this grammar, or names a call that is not known here, is an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from jsonschema import Draft202012Validator, SchemaError

from engine.errors import NodeInputError

Schema = Mapping[str, Any]

LONGEST_NUMBER = 300  # characters
DEEPEST = 40  # levels; a schema nested deeper than this is no schema
TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\$]|\\.)*`)
    |(?P<regex>/(?:[^/\\\n]|\\.)+/[a-z]*)
    |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<name>[A-Za-z_$][\w$]*)
    |(?P<mark>[{}()\[\],.:;])""",
    re.VERBOSE | re.DOTALL,
)
LITERALS = {"true": True, "false": False, "null": None, "undefined": None}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}


@dataclass(frozen=True, slots=True)
class Zod:
    """A schema under construction. `is_optional`: as a property it may be left out."""

    schema: Schema
    is_optional: bool = False


def to_json_schema(source: str) -> dict[str, Any]:
    """The JSON Schema of a zod expression such as `z.object({title: z.string()})`.

    Raises NodeInputError with the line and the call that is not understood.
    """
    reader = _Reader(source)
    value = reader.value()
    reader.skip(";")
    reader.expect_end()
    if not isinstance(value, Zod):
        raise reader.error("a zod schema must begin with z.")
    schema = dict(value.schema)
    try:
        # Fails where a schema stands in the place of a plain value.
        orjson.dumps(schema, option=orjson.OPT_PASSTHROUGH_DATACLASS)
        Draft202012Validator.check_schema(schema)
    except (TypeError, SchemaError) as exc:
        raise NodeInputError(f"The zod schema makes no sense: {getattr(exc, 'message', exc)}.") from exc
    return schema


class _Reader:
    """A recursive-descent reader over the tokens of one source text."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = list(_tokens(source))
        self._at = 0
        self._depth = 0

    def error(self, problem: str) -> NodeInputError:
        _, _, start = self._tokens[min(self._at, len(self._tokens) - 1)]
        line = self._source.count("\n", 0, start) + 1
        return NodeInputError(f"The zod schema cannot be read (line {line}): {problem}.")

    def skip(self, mark: str) -> bool:
        if self._tokens[self._at][:2] != ("mark", mark):
            return False
        self._at += 1
        return True

    def expect_end(self) -> None:
        if self._tokens[self._at][0] != "end":
            raise self.error(f"unexpected {self._tokens[self._at][1]!r}")

    def value(self) -> Any:
        """A zod schema, or the plain value of a literal, an object or a list."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise self.error("it is nested too deeply")
        try:
            return self._value()
        finally:
            self._depth -= 1

    def _value(self) -> Any:
        kind, text, _ = self._tokens[self._at]
        self._at += 1
        if kind == "name" and text == "z":
            return self._chain()
        if kind == "name" and text in LITERALS:
            return LITERALS[text]
        if kind == "text":
            return _unquote(text)
        if kind == "number":
            if len(text) > LONGEST_NUMBER:
                raise self.error("a number is too long")
            return float(text) if any(c in text for c in ".eE") else int(text)
        if kind == "regex":
            return re.sub(r"/[a-z]*\Z", "", text[1:])
        if (kind, text) == ("mark", "{"):
            return dict(self._until("}", self._property))
        if (kind, text) == ("mark", "["):
            return self._until("]", self.value)
        self._at -= 1
        raise self.error(f"unexpected {text!r}" if text else "it ends too early")

    def _chain(self) -> Zod:
        zod: Zod | None = None
        while self.skip("."):
            name = self._name()
            if name == "coerce":  # z.coerce.number(): JSON has no other way to write it
                continue
            self._expect("(")
            arguments = self._until(")", self.value)
            try:
                zod = _begin(name, arguments) if zod is None else _refine(zod, name, arguments)
            except (KeyError, IndexError, TypeError, AttributeError) as exc:
                raise self.error(f"{name}() is not supported here, or not with these arguments") from exc
        if zod is None:
            raise self.error("z is not followed by a call")
        return zod

    def _property(self) -> tuple[str, Any]:
        kind, text, _ = self._tokens[self._at]
        if kind not in ("name", "text"):
            raise self.error(f"expected the name of a property, found {text!r}")
        self._at += 1
        self._expect(":")
        return (_unquote(text) if kind == "text" else text), self.value()

    def _until(self, mark: str, read: Callable[[], Any]) -> list[Any]:
        found = []
        while not self.skip(mark):
            found.append(read())
            if not self.skip(","):
                self._expect(mark)
                break
        return found

    def _name(self) -> str:
        kind, text, _ = self._tokens[self._at]
        if kind != "name":
            raise self.error(f"expected a name, found {text!r}")
        self._at += 1
        return text

    def _expect(self, mark: str) -> None:
        if not self.skip(mark):
            raise self.error(f"expected {mark!r}, found {self._tokens[self._at][1]!r}")


def _tokens(source: str) -> list[tuple[str, str, int]]:
    tokens: list[tuple[str, str, int]] = []
    at = 0
    while at < len(source):
        found = TOKEN.match(source, at)
        if found is None:
            line = source.count("\n", 0, at) + 1
            raise NodeInputError(f"The zod schema cannot be read (line {line}): unexpected {source[at]!r}.")
        assert found.lastgroup is not None
        if found.lastgroup != "blank":
            tokens.append((found.lastgroup, found[0], at))
        at = found.end()
    return [*tokens, ("end", "", at)]


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), text[1:-1], flags=re.DOTALL)


def _object(fields: Mapping[str, Zod], extra: Any = False) -> Schema:
    return {
        "type": "object",
        "properties": {name: zod.schema for name, zod in fields.items()},
        "required": [name for name, zod in fields.items() if not zod.is_optional],
        "additionalProperties": extra,
    }


def _literal(value: Any) -> Schema:
    return {"const": value}


# What z.<name>(arguments) begins with.
BEGINNINGS: Mapping[str, Callable[[list[Any]], Schema]] = {
    "string": lambda _: {"type": "string"},
    "number": lambda _: {"type": "number"},
    "bigint": lambda _: {"type": "integer"},
    "int": lambda _: {"type": "integer"},
    "boolean": lambda _: {"type": "boolean"},
    "date": lambda _: {"type": "string", "format": "date-time"},
    "null": lambda _: {"type": "null"},
    "any": lambda _: {},
    "unknown": lambda _: {},
    "literal": lambda a: _literal(a[0]),
    "enum": lambda a: {"type": "string", "enum": [*a[0]]},
    "object": lambda a: _object(a[0]),
    "array": lambda a: {"type": "array", "items": a[0].schema},
    "tuple": lambda a: {
        "type": "array",
        "prefixItems": [zod.schema for zod in a[0]],
        "minItems": len(a[0]),
        "maxItems": len(a[0]),
    },
    "record": lambda a: {"type": "object", "additionalProperties": a[-1].schema},
    "union": lambda a: {"anyOf": [zod.schema for zod in a[0]]},
    "discriminatedUnion": lambda a: {"anyOf": [zod.schema for zod in a[1]]},
    "intersection": lambda a: {"allOf": [zod.schema for zod in a]},
}

FORMATS = {"email": "email", "url": "uri", "uuid": "uuid", "datetime": "date-time", "date": "date", "time": "time"}
LIMITS = {  # call -> the keyword it stands for, by type
    "min": {"string": "minLength", "array": "minItems", "number": "minimum", "integer": "minimum"},
    "max": {"string": "maxLength", "array": "maxItems", "number": "maximum", "integer": "maximum"},
    "gte": {"number": "minimum", "integer": "minimum"},
    "lte": {"number": "maximum", "integer": "maximum"},
    "gt": {"number": "exclusiveMinimum", "integer": "exclusiveMinimum"},
    "lt": {"number": "exclusiveMaximum", "integer": "exclusiveMaximum"},
    "multipleOf": {"number": "multipleOf", "integer": "multipleOf"},
}
# Keywords that a call adds whatever its arguments.
ADDITIONS: Mapping[str, Schema] = {
    "int": {"type": "integer"},
    "positive": {"exclusiveMinimum": 0},
    "negative": {"exclusiveMaximum": 0},
    "nonnegative": {"minimum": 0},
    "nonpositive": {"maximum": 0},
    "strict": {"additionalProperties": False},
    "passthrough": {"additionalProperties": True},
    "loose": {"additionalProperties": True},
}
WITHOUT_MEANING = frozenset({"trim", "toLowerCase", "toUpperCase", "finite", "safe", "readonly", "brand", "strip"})


def _begin(name: str, arguments: list[Any]) -> Zod:
    if name in ("optional", "nullable"):  # z.optional(z.string())
        return _refine(arguments[0], name, [])
    return Zod(BEGINNINGS[name](arguments))


def _refine(zod: Zod, name: str, arguments: list[Any]) -> Zod:
    """What `.name(arguments)` makes of a schema. Raises KeyError if there is no such call for its type."""
    schema = zod.schema
    if name in WITHOUT_MEANING:
        return zod
    if name in ("optional", "nullish"):
        zod = replace(zod, is_optional=True)
    if name in ("nullable", "nullish"):
        return replace(zod, schema={"anyOf": [schema, {"type": "null"}]})
    if name == "optional":
        return zod
    if name == "default":
        return Zod({**schema, "default": arguments[0]}, is_optional=True)
    if name == "array":
        return Zod({"type": "array", "items": schema})
    if name == "or":
        return Zod({"anyOf": [schema, arguments[0].schema]})
    return replace(zod, schema={**schema, **_keywords(schema, name, arguments)})


def _keywords(schema: Schema, name: str, arguments: list[Any]) -> Schema:
    if name in ADDITIONS:
        return ADDITIONS[name]
    if name in FORMATS:
        return {"format": FORMATS[name]}
    if name in LIMITS:
        return {LIMITS[name][schema["type"]]: arguments[0]}
    if name == "describe":
        return {"description": arguments[0]}
    if name == "regex":
        return {"pattern": arguments[0]}
    if name == "nonempty":
        return {LIMITS["min"][schema["type"]]: 1}
    if name == "length":
        return {LIMITS["min"][schema["type"]]: arguments[0], LIMITS["max"][schema["type"]]: arguments[0]}
    raise KeyError(name)
