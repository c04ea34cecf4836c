"""HTTP nodes of agent flows: call a URL and hand its answer on."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import orjson

from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeError, NodeInputError
from engine.http import Answer, Body, FormData
from engine.nodes import values
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.templating import as_text

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
BODY_TYPES = ("json", "raw", "formData", "xWwwFormUrlencoded")
RESPONSE_TYPES = ("json", "text", "arraybuffer", "base64")
CREDENTIALS = ("httpBasicAuth", "httpBearerToken", "httpApiKey")
MAX_BODY = 4 * 1024 * 1024  # bytes; a larger answer would not fit in an event
SHOWN = 500  # characters of a refused answer


def _rows(name: str, label: str, hint: str) -> Param:
    return Param(
        name,
        "array",
        label,
        optional=True,
        variables=True,
        help=hint,
        fields=(
            Param("key", "string", "Key", help="Its name."),
            Param("value", "string", "Value", optional=True, variables=True, help="What it holds."),
        ),
    )


REQUEST = NodeSpec(
    name="httpAgentflow",
    label="HTTP",
    version=1.1,
    category="Agent Flows",
    base_classes=("HTTP",),
    help="Sends an HTTP request.",
    params=(
        Param("credential", "credential", "HTTP Credential", optional=True),
        Param("method", "options", "Method", default="GET", options=METHODS, help="What is asked for."),
        Param("url", "string", "URL", variables=True, help="Where it is asked."),
        _rows("headers", "Headers", "Sent with the request."),
        _rows("queryParams", "Query Params", "Added to the URL."),
        Param("bodyType", "options", "Body Type", optional=True, options=BODY_TYPES, help="How the body is sent."),
        Param(
            "body",
            "string",
            "Body",
            optional=True,
            variables=True,
            help="JSON or text; for forms a list of {key, value}. A GET has none.",
        ),
        Param(
            "responseType",
            "options",
            "Response Type",
            optional=True,
            options=RESPONSE_TYPES,
            help="How the answer is read; what is not text becomes Base64.",
        ),
        Param(
            "failOnStatus",
            "boolean",
            "Fail On Status",
            optional=True,
            help="End the flow when the answer's status is 400 or above.",
        ),
    ),
    credentials=CREDENTIALS,
)


async def run_request(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Send the request; its answer's status, headers and data. Any status is an answer, unless the node says otherwise.

    Raises NodeInputError for a request that cannot be sent, ProviderError if no answer came.
    """
    method = values.text(inputs, "method", "GET").upper()
    if method not in METHODS:
        raise NodeInputError(f"There is no method {method!r}; known: {', '.join(METHODS)}.")
    url = values.text(inputs, "url").strip()
    if not url:
        raise NodeInputError("The request has no URL: say what is called.")
    credential = await values.credential(ctx, inputs)
    if credential:
        check_destination(credential, url, own_url="", egress=ctx.world.http.egress)
    headers = {**dict(_pairs(inputs, "headers")), **_authorisation(credential)}
    body, content_type = (None, "") if method == "GET" else _body(inputs)
    if content_type and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = content_type
    _check_headers(headers)
    answer = await ctx.world.http.request(
        method, url, headers=headers, params=_pairs(inputs, "queryParams"), body=body, limit=MAX_BODY
    )
    if answer.status >= 400 and values.flag(inputs, "failOnStatus"):
        raise NodeError(f"The server answered {answer.status}: {answer.text[:SHOWN]}")
    read = {
        "data": _data(answer, values.text(inputs, "responseType", "json")),
        "status": answer.status,
        "statusText": _phrase(answer.status),
        "headers": dict(answer.headers),
    }
    return NodeResult(output={"http": read})


def _pairs(inputs: Inputs, name: str) -> list[tuple[str, str]]:
    """Names and values in order; a name may occur again, as in `?tag=a&tag=b`."""
    return [(str(row["key"]), _written(row.get("value"))) for row in values.items(inputs, name) if row.get("key")]


def _form(inputs: Inputs) -> list[tuple[str, str]]:
    """The fields of a form: rows, or an object as people type it."""
    given = _parsed(inputs.get("body"))
    if isinstance(given, Mapping):
        return [(str(name), _written(value)) for name, value in given.items()]
    return _pairs({"body": given}, "body")


def _written(value: Any) -> str:
    return "" if value is None else as_text(value)


def _authorisation(credential: Mapping[str, str]) -> dict[str, str]:
    """The header that one of the three kinds of credential stands for."""
    user, password = credential.get("basicAuthUsername", ""), credential.get("basicAuthPassword", "")
    if user or password:
        both = f"{user}:{password}"
        return {"Authorization": f"Basic {b64encode(both.encode()).decode()}"}
    if token := credential.get("token"):
        return {"Authorization": f"Bearer {token}"}
    name = credential.get("key")
    return {name: credential.get("value", "")} if name else {}


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not name.isascii() or any(mark in name + value for mark in "\r\n\0"):
            raise NodeInputError(f"The header {name!r} cannot be sent: a header is one line.")


def _body(inputs: Inputs) -> tuple[Body, str]:
    """The body and its content type; form data says its own."""
    given = inputs.get("body")
    kind = values.text(inputs, "bodyType")
    if given is None or given == "" or not kind:
        return None, ""
    match kind:
        case "json":
            return _json(given), "application/json"
        case "raw":
            return as_text(given), "text/plain"
        case "xWwwFormUrlencoded":
            return urlencode(_form(inputs)), "application/x-www-form-urlencoded"
        case "formData":
            return FormData(_form(inputs), default_to_multipart=True), ""
    raise NodeInputError(f"There is no body type {kind!r}; known: {', '.join(BODY_TYPES)}.")


def _json(given: Any) -> bytes:
    try:
        return orjson.dumps(_parsed(given))
    except TypeError as exc:  # what JSON can hold and orjson cannot, such as whole numbers of more than 64 bits
        raise NodeInputError(f"The body cannot be written as JSON: {exc}") from exc


def _parsed(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return values.lenient(given)
    except ValueError as exc:
        raise NodeInputError(f"The body is no JSON: {exc}") from exc


def _data(answer: Answer, kind: str) -> Any:
    if kind not in RESPONSE_TYPES:
        raise NodeInputError(f"There is no response type {kind!r}; known: {', '.join(RESPONSE_TYPES)}.")
    if kind in ("arraybuffer", "base64"):
        return b64encode(answer.body).decode()
    if kind == "text":
        return answer.text
    try:
        return answer.json()
    except ValueError:
        return answer.text


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


NODES = (NodeType(REQUEST, run_request),)
