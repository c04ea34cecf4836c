"""Tools that let a model call one HTTP API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.context import NodeContext
from engine.errors import NodeError, NodeInputError
from engine.http import HttpClient
from engine.nodes import values
from engine.providers.base import ToolSpec
from engine.spec import Inputs, NodeResult, NodeRun, NodeSpec, NodeType, Param
from engine.tools import FunctionTool, path_part, tool_name, url_text

MAX_OUTPUT = 2000  # characters of an answer that a model is shown
PLACES = ("path", "query", "body")
QUERY = "queryParams"


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the table: a way to call an API, by the names that exported flows use for it."""

    verb: str
    label: str
    use: str

    @property
    def has_body(self) -> bool:
        return self.verb in ("POST", "PUT")

    @property
    def prefix(self) -> str:
        return f"requests{self.label}"

    @property
    def schema_name(self) -> str:
        return f"{self.prefix}{'Body' if self.has_body else 'QueryParams'}Schema"

    @property
    def body_name(self) -> str:
        return f"request{self.label}Body"  # without the "s" of its siblings: so it was exported

    @property
    def spec(self) -> NodeSpec:
        body = Param(self.body_name, "json", "Body", optional=True, variables=True, help="Sent with every call.")
        schema = Param(
            self.schema_name,
            "code",
            "Body Schema" if self.has_body else "Query Params Schema",
            optional=True,
            help='What the model fills in: {"id": {"type": "string", "in": "path", "required": true}}.',
        )
        return NodeSpec(
            name=self.prefix,
            label=f"Requests {self.label}",
            version=2,
            category="Tools",
            base_classes=(f"Requests{self.label}", "Tool", "StructuredTool", "Runnable"),
            help=f"Lets a model send {self.verb} requests.",
            params=(*self._described(), *((body,) if self.has_body else ()), schema, self._limit()),
            role="component",
        )

    def _described(self) -> tuple[Param, ...]:
        """What is called, how the model knows it, and what goes along."""
        url = "What is called, such as https://example.org/items/:id; empty: the model says."
        headers = "A JSON object, sent with every call."
        name = f"requests_{self.verb.lower()}"
        return (
            Param(f"{self.prefix}Url", "string", "URL", optional=True, variables=True, help=url),
            Param(f"{self.prefix}Name", "string", "Name", default=name, optional=True, help="Its name for the model."),
            Param(
                f"{self.prefix}Description",
                "string",
                "Description",
                default=self.use,
                optional=True,
                help="When the model is to use it.",
            ),
            Param(f"{self.prefix}Headers", "string", "Headers", optional=True, variables=True, help=headers),
        )

    def _limit(self) -> Param:
        return Param(
            f"{self.prefix}MaxOutputLength",
            "number",
            "Max Output Length",
            default=MAX_OUTPUT,
            optional=True,
            help="Characters of an answer that the model is shown.",
        )


METHODS = (
    Method("GET", "Get", "Use this when you need to execute a GET request to get data from a website."),
    Method("POST", "Post", "Use this when you want to execute a POST request to create or update a resource."),
    Method("PUT", "Put", "Use this when you want to execute a PUT request to update or replace a resource."),
    Method("DELETE", "Delete", "Use this when you need to execute a DELETE request to remove a resource."),
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One configured API call. `fields` are what the model fills in: name -> {type, in, required, description}."""

    http: HttpClient
    method: Method
    url: str
    headers: Mapping[str, str] = field(repr=False)  # may hold a key
    body: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    max_output: int = MAX_OUTPUT

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON Schema of the model's arguments."""
        properties: dict[str, Any] = {
            name: {"type": row.get("type") or "string", "description": str(row.get("description") or "")}
            for name, row in self.fields.items()
        }
        required = [name for name, row in self.fields.items() if row.get("required") or row.get("in") == "path"]
        if not self.url:
            properties["url"] = {"type": "string", "description": "The URL to call."}
            required.append("url")
        if not self.fields:
            name, description = (
                ("body", "The JSON body.") if self.method.has_body else (QUERY, "What the URL asks for.")
            )
            properties[name] = {"type": "object", "description": description}
        return {"type": "object", "properties": properties, "required": required}

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """The answer's text. Raises NodeError for a status that is no success, or if no answer comes."""
        sent = self._sent(arguments)
        answer = await self.http.request(
            self.method.verb,
            self._filled(self.url or str(arguments.get("url") or ""), sent["path"]),
            headers=self.headers,
            params={name: url_text(value) for name, value in sent["query"].items()},
            json={**self.body, **sent["body"]} if self.method.has_body else None,
        )
        text = answer.text[: self.max_output]
        if answer.status >= 400:
            raise NodeError(f"The server answered {answer.status}: {text}")
        return text or f"The server answered {answer.status} without a text."

    def _sent(self, arguments: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The arguments by where they go; models write null for what they do not fill in."""
        sent: dict[str, dict[str, Any]] = {place: {} for place in PLACES}
        usual = "body" if self.method.has_body else "query"
        if not self.fields:
            given = arguments.get("body" if self.method.has_body else QUERY)
            sent[usual] = dict(given) if isinstance(given, Mapping) else {}
            if not self.method.has_body:
                sent[usual] = {name: value for name, value in sent[usual].items() if value is not None}
        for name, row in self.fields.items():
            place = str(row.get("in") or usual)
            if arguments.get(name) is not None:
                sent[place][name] = arguments[name]
            elif place == "path":
                raise NodeInputError(f"The call needs {name!r}: it is a part of the path.")
        return sent

    def _filled(self, url: str, parts: Mapping[str, Any]) -> str:
        """The URL with its `:name` or `{name}` filled in; parts that it has no place for come at the path's end."""
        known = {name: path_part("The call", name, value) for name, value in parts.items()}
        filled, rest = url, []
        for name, part in known.items():
            # Whole names alone: `:id` is no part of `:idOfItem`. What is filled in is quoted, so it holds no place.
            filled, count = re.subn(rf"\{{{re.escape(name)}\}}|:{re.escape(name)}(?!\w)", part, filled)
            rest += [] if count else [part]
        path, mark, query = filled.partition("?")
        return "/".join([path.rstrip("/"), *rest] if rest else [path]) + mark + query


def run_method(method: Method) -> NodeRun:
    """The run function of one row of the table."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """Configure the tool; nothing is called yet. Raises NodeInputError for headers or a schema that are no JSON."""
        prefix = method.prefix
        endpoint = Endpoint(
            http=ctx.world.http,
            method=method,
            url=_text(inputs, f"{prefix}Url", "url").strip(),
            headers=values.headers(_mapping(inputs, f"{prefix}Headers", "headers")),
            body=_mapping(inputs, method.body_name, "body"),
            fields=_fields(inputs, method.schema_name),
            max_output=values.integer(inputs, f"{prefix}MaxOutputLength") or MAX_OUTPUT,
        )
        name = tool_name(_text(inputs, f"{prefix}Name", "name") or f"requests_{method.verb.lower()}")
        description = _text(inputs, f"{prefix}Description", "description") or method.use
        return NodeResult(value=FunctionTool(ToolSpec(name, description, endpoint.parameters), endpoint.call))

    return run


def _text(inputs: Inputs, name: str, first_name: str) -> str:
    """`first_name` is what the first version of the node called it."""
    return values.text(inputs, name) or values.text(inputs, first_name)


def _mapping(inputs: Inputs, name: str, first_name: str) -> dict[str, Any]:
    return values.mapping(inputs, name) or values.mapping(inputs, first_name)


def _fields(inputs: Inputs, name: str) -> dict[str, Mapping[str, Any]]:
    fields = values.mapping(inputs, name)
    for field_name, row in fields.items():
        if not isinstance(row, Mapping) or row.get("in", "query") not in PLACES:
            raise NodeInputError(
                f"{name}: {field_name!r} must be described as {{'type': …, 'in': one of {', '.join(PLACES)}}}."
            )
    return fields


NODES = tuple(NodeType(method.spec, run_method(method)) for method in METHODS)
