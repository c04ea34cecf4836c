"""Plain asynchronous views in the API's schema, and the refusals that every operation shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.schemas.generators import EndpointEnumerator

from forjinn.core.permissions import SIGNED_IN, routes

ViewT = TypeVar("ViewT", bound=Callable[..., Any])
Operations = Mapping[str, Mapping[str, Any]]

PERSONAL: list[dict[str, list[str]]] = [{"sessionCookie": []}]
KEYED: list[dict[str, list[str]]] = [{"bearerAuth": []}, {"apiKeyQuery": []}, *PERSONAL]
METHODS = ("get", "put", "post", "delete", "patch")
ERROR_SCHEMA = {
    "type": "object",
    "properties": {
        "message": {"type": "string", "description": "What is wrong, and the way out."},
        "code": {"type": "string", "description": "Stable; for programs."},
        "requestId": {"type": "string"},
    },
    "required": ["message"],
}
TEXT = {"type": "string", "minLength": 1}
UUID_TEXT = {"type": "string", "format": "uuid"}
OWN_IDS = frozenset({"chatflow_id", "execution_id"})  # path parameters that this server made; chat ids are the clients'
ERROR_RESPONSE = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}


def documented(**operations: Mapping[str, Any]) -> Callable[[ViewT], ViewT]:
    """Describe a view that Django REST framework does not know: an OpenAPI operation for each method.

    Path parameters come from the route unless the operation describes them, the need of a key and the shared refusals
    are filled in (a public operation says `"security": []`):
    `@documented(post={"operationId": "prediction_create", "requestBody": ..., "responses": ...})`.
    """

    def decorate(view: ViewT) -> ViewT:
        view.openapi_operations = operations  # type: ignore[attr-defined]  # found again by `merge_plain_views`
        return view

    return decorate


def merge_plain_views(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A drf-spectacular postprocessing hook: adds what `documented` describes."""
    paths: dict[str, Any] = result.setdefault("paths", {})
    for path, operations in _plain_views(get_resolver().url_patterns):
        for method, operation in operations.items():
            own = operation.get("parameters", ())
            described = {parameter["name"] for parameter in own if parameter["in"] == "path"}
            parameters = [*(one for one in _path_parameters(path) if one["name"] not in described), *own]
            entry = {"security": KEYED, **operation, "parameters": parameters}
            paths.setdefault(path, {})[method] = entry
    result["paths"] = dict(sorted(paths.items()))
    return result


def complete_operations(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A drf-spectacular postprocessing hook: says what is true of every operation, and not of one alone."""
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = ERROR_SCHEMA
    of_people = {
        (get_path(route.path), method.lower())
        for route in routes(get_resolver().url_patterns)
        for method, rule in route.needs.items()
        if rule == SIGNED_IN
    }
    for path, operations in result["paths"].items():
        for method in METHODS:
            if operation := operations.get(method):
                _complete(path, operation)
                if (path, method) in of_people:
                    operation["security"] = PERSONAL
    return result


def _complete(path: str, operation: dict[str, Any]) -> None:
    operation["tags"] = [path.removeprefix("/api/").removeprefix("v1/").removeprefix("/workflows/v1/").split("/")[0]]
    # Two schemes in one object would mean that a call needs both.
    if any(len(schemes) > 1 for schemes in operation.get("security", ())):
        operation["security"] = KEYED
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in OWN_IDS:
            parameter["schema"] = UUID_TEXT
    responses = operation.setdefault("responses", {})
    responses.setdefault("4XX", {"description": "Refused; the message says why.", **ERROR_RESPONSE})
    responses.setdefault("503", {"description": "Unavailable for the moment.", **ERROR_RESPONSE})


def _plain_views(patterns: Sequence[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, Operations]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _plain_views(pattern.url_patterns, route)
        elif operations := getattr(pattern.callback, "openapi_operations", None):
            yield get_path(route), operations


def get_path(route: str) -> str:
    """A pattern of the URL configuration as documents spell it: `/api/v1/chatflows/{chatflow_id}`."""
    path: str = EndpointEnumerator().get_path_from_regex(route)
    return path


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names]
