"""Reads OpenAPI 3 documents: which calls an API offers, and what each takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import yaml

from engine.errors import NodeInputError
from engine.tools import path_part

METHODS = ("get", "post", "put", "patch", "delete")
MOST_BYTES = 2 * 1024 * 1024  # of a document
MOST_OPERATIONS = 128  # what vendors take as tools of one model
MOST_DEPTH = 12  # of schemas in schemas
MOST_PARTS = 2000  # of the schema of one operation
PLACES = {"path": "PathParameters", "query": "QueryParameters", "header": "HeaderParameters"}
BODY = "RequestBody"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call. `schema` is the JSON Schema of its arguments, grouped by where they go."""

    name: str
    method: str
    path: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=dict)

    def filled(self, given: Mapping[str, Any]) -> str:
        """The path with its parameters in place. Raises NodeInputError if one is missing."""
        path = self.path
        for name, value in given.items():
            path = path.replace(f"{{{name}}}", path_part(self.name, name, value))
        if "{" in path:
            raise NodeInputError(f"{self.name} needs {path[path.index('{') + 1 : path.find('}')]!r}.")
        return path


@dataclass(frozen=True, slots=True)
class Api:
    """Where the API is, and what it offers."""

    url: str
    operations: tuple[Operation, ...]


def read_api(text: str) -> Api:
    """The API in a document, JSON or YAML. Raises NodeInputError for what is none, or is too large."""
    if len(text) > MOST_BYTES:
        raise NodeInputError(f"The OpenAPI document is larger than {MOST_BYTES // 1024**2} MB: cut out what is needed.")
    document = _parse(text)
    version = str(document.get("openapi") or "")
    if not version.startswith("3"):
        raise NodeInputError("The file is no OpenAPI 3 document: it must say 'openapi: 3...' at its top.")
    operations = tuple(_operations(document))
    if len(operations) > MOST_OPERATIONS:
        raise NodeInputError(
            f"The API offers {len(operations)} operations; a model takes {MOST_OPERATIONS} at most: cut the others out."
        )
    return Api(_server(document), operations)


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them can stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise NodeInputError("The OpenAPI document uses YAML aliases, which are not read here: write them out.")
        return super().compose_node(parent, index)


def _parse(text: str) -> Mapping[str, Any]:
    try:
        document = orjson.loads(text)
    except ValueError:
        try:
            read = yaml.load(text, Loader=_PlainLoader)  # noqa: S506 -- a SafeLoader  # nosec B506
            # Schemas are handed to models as JSON, and YAML has dates, bytes, and keys that are numbers.
            document = orjson.loads(orjson.dumps(read, default=str, option=orjson.OPT_NON_STR_KEYS))
        except (yaml.YAMLError, ValueError, TypeError, RecursionError) as exc:
            raise NodeInputError(f"The OpenAPI document is neither JSON nor YAML: {str(exc)[:200]}") from exc
    if not isinstance(document, Mapping):
        raise NodeInputError("The file is no OpenAPI document: it holds no object.")
    return document


def _server(document: Mapping[str, Any]) -> str:
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], Mapping) else {}
    url = str(first.get("url") or "")
    variables = first.get("variables")
    for name, variable in variables.items() if isinstance(variables, Mapping) else ():
        url = url.replace(f"{{{name}}}", str(_mapping(variable).get("default", "")))
    if not url.startswith(("http://", "https://")):
        raise NodeInputError("The OpenAPI document does not say where its API is: give it a server with a whole URL.")
    return url.rstrip("/")


def _operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    taken: set[str] = set()
    for path, item in _mapping(document.get("paths")).items():
        shared = _mapping(item).get("parameters") or []
        for method in METHODS:
            operation = _mapping(item).get(method)
            if not isinstance(operation, Mapping):
                continue
            name = _name(str(operation.get("operationId") or f"{method}_{path}"), taken)
            description = str(operation.get("description") or operation.get("summary") or f"{method.upper()} {path}")
            own = operation.get("parameters") or []
            parameters = [*(shared if isinstance(shared, list) else ()), *(own if isinstance(own, list) else ())]
            schema = _Schemas(document).arguments(parameters, operation.get("requestBody"))
            yield Operation(name, method.upper(), str(path), description[:1024], schema)


def _name(wanted: str, taken: set[str]) -> str:
    base = "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "_" for char in wanted).strip("_")
    base = base[:60] or "call"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return name


class _Schemas:
    """Writes out the schema of one operation, with what its references stand for."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._parts = 0

    def arguments(self, parameters: list[Any], body: Any) -> dict[str, Any]:
        groups: dict[str, dict[str, Any]] = {}
        required: dict[str, list[str]] = {}
        for given in parameters:
            parameter = self._followed(given)
            group, name = PLACES.get(str(parameter.get("in"))), str(parameter.get("name") or "")
            if group is None or not name:
                continue
            schema = self._written(parameter.get("schema") or {"type": "string"}, 0)
            about = parameter.get("description")
            groups.setdefault(group, {})[name] = {**schema, "description": str(about)} if about else schema
            if parameter.get("required") or parameter.get("in") == "path":
                required.setdefault(group, []).append(name)
        properties: dict[str, Any] = {
            group: {"type": "object", "properties": fields, "required": required.get(group, [])}
            for group, fields in groups.items()
        }
        needed = [group for group in groups if required.get(group)]
        content = self._followed(body)
        if schema := self._json_schema(content):
            properties[BODY] = schema
            needed += [BODY] if content.get("required") else []
        return {"type": "object", "properties": properties, "required": needed}

    def _json_schema(self, body: Mapping[str, Any]) -> dict[str, Any]:
        for kind, media in _mapping(body.get("content")).items():
            if "json" in str(kind):
                return self._written(_mapping(media).get("schema") or {"type": "object"}, 0)
        return {}

    def _written(self, schema: Any, depth: int) -> dict[str, Any]:
        """Beyond the bounds, and where a schema holds itself, anything goes."""
        self._parts += 1
        if depth > MOST_DEPTH or self._parts > MOST_PARTS:
            return {}
        found = self._followed(schema)
        written = {key: found[key] for key in ("type", "format", "enum", "default", "description") if key in found}
        if properties := _mapping(found.get("properties")):
            written["properties"] = {str(name): self._written(part, depth + 1) for name, part in properties.items()}
            required = found.get("required")
            written["required"] = [name for name in properties if isinstance(required, list) and name in required]
        if "items" in found:
            written["items"] = self._written(found["items"], depth + 1)
        for several in ("allOf", "anyOf", "oneOf"):
            if isinstance(found.get(several), list):
                written[several] = [self._written(part, depth + 1) for part in found[several]]
        return written

    def _followed(self, part: Any) -> Mapping[str, Any]:
        """What a `$ref` within the document stands for."""
        for _ in range(MOST_DEPTH):
            reference = _mapping(part).get("$ref")
            if not isinstance(reference, str):
                return _mapping(part)
            part = self._document
            for step in reference.removeprefix("#/").split("/"):
                part = _mapping(part).get(step.replace("~1", "/").replace("~0", "~"))
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
