"""Tools made of an OpenAPI document: one for each call that the API offers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeError, NodeInputError
from engine.files import read_files
from engine.http import HttpClient
from engine.nodes import values
from engine.openapi import BODY, PLACES, Operation, read_api
from engine.providers.base import Tool, ToolSpec
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.tools import FunctionTool, url_text

MAX_OUTPUT = 20_000  # characters of an answer that a model is shown
# What the editor fills in. It sends the request and returns the answer's JSON, which is what happens here anyway.
USUAL_CODE = frozenset(
    (
        "const fetch = require('node-fetch'); const url = $url; const options = $options; try { const response = await "
        "fetch(url, options); const resp = await response.json(); return JSON.stringify(resp); } catch (error) { "
        "console.error(error); return ''; }",
        "",
    )
)

TOOLKIT = NodeSpec(
    name="openAPIToolkit",
    label="OpenAPI Toolkit",
    version=2,
    category="Tools",
    base_classes=("OpenAPIToolkit", "Tool"),
    help="Lets a model call an API by its OpenAPI document.",
    params=(
        Param("credential", "credential", "Connect Credential", optional=True),
        Param("yamlFile", "file", "OpenAPI File", optional=True, help="The document, JSON or YAML."),
        Param("openApiFile", "file", "OpenAPI File", optional=True, help="As later versions call it."),
        Param("selectedServer", "string", "Server", optional=True, help="Where the API is, if not where it says."),
        Param("returnDirect", "boolean", "Return Direct", optional=True, help="Its answer is the agent's answer."),
        Param("headers", "json", "Headers", optional=True, help="Sent with every call."),
        Param("removeNulls", "boolean", "Remove Nulls", optional=True, help="Send nothing for what is null."),
        Param("customCode", "code", "Custom Code", optional=True, help="Not run: calls are sent as they are."),
    ),
    credentials=("openAPIAuth",),
    role="component",
)


@dataclass(frozen=True, slots=True)
class Call:
    """An operation of an API, ready to be called."""

    http: HttpClient
    url: str
    operation: Operation
    headers: Mapping[str, str] = field(repr=False)  # may hold a key
    removes_nulls: bool = False

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """The answer's text. Raises NodeError for a status that is no success, or if no answer comes."""
        path, query, header = (_group(arguments, group) for group in PLACES.values())
        body = arguments.get(BODY)
        if self.removes_nulls and isinstance(body, Mapping):
            body = {name: value for name, value in body.items() if value is not None}
        answer = await self.http.request(
            self.operation.method,
            f"{self.url}{self.operation.filled(path)}",
            headers={**self.headers, **{name: url_text(value) for name, value in header.items()}},
            params={name: url_text(value) for name, value in query.items()},
            json=body if self.operation.method != "GET" else None,
        )
        text = answer.text[:MAX_OUTPUT]
        if answer.status >= 400:
            raise NodeError(f"The server answered {answer.status}: {text}")
        return text or f"The server answered {answer.status} without a text."


async def run_toolkit(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A tool an operation. Raises NodeInputError for a document that cannot be read, or code that would have to run."""
    if " ".join(values.text(inputs, "customCode").split()) not in USUAL_CODE:
        raise NodeInputError("customCode of an OpenAPI Toolkit is not run here: restore what the editor filled in.")
    (document, *_) = read_files(inputs, "openApiFile" if inputs.get("openApiFile") else "yamlFile")
    api = await asyncio.to_thread(read_api, document.text)
    url = values.text(inputs, "selectedServer", api.url).rstrip("/")
    headers = values.headers(values.mapping(inputs, "headers"))
    credential = await values.credential(ctx, inputs)
    if credential:
        check_destination(credential, url, own_url="", egress=ctx.world.http.egress)
    if token := credential.get("openAPIToken"):
        headers["Authorization"] = f"Bearer {token}"
    returns, removes = values.flag(inputs, "returnDirect"), values.flag(inputs, "removeNulls")
    tools: list[Tool] = [
        FunctionTool(
            ToolSpec(operation.name, operation.description, operation.schema),
            Call(ctx.world.http, url, operation, headers, removes).call,
            returns,
        )
        for operation in api.operations
    ]
    if not tools:
        raise NodeInputError("The OpenAPI document offers no operation: give it paths.")
    return NodeResult(value=tools)


def _group(arguments: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What was given for one place. Models leave groups out, and write null for what they do not fill in."""
    given = arguments.get(name)
    return {key: value for key, value in given.items() if value is not None} if isinstance(given, Mapping) else {}


NODES = (NodeType(TOOLKIT, run_toolkit),)
