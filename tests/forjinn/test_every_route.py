"""Every route is closed unless it is listed here, whatever the spelling of its address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.schemas.generators import EndpointEnumerator

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REFUSED = {401, 403, 404, 405}
# Open to everybody: reads of the docs, what a widget asks of public flows, and pages that want a password themselves.
OPEN = {
    "/api/v1/openapi.json",
    "/api/docs",
    "/api/docs/redoc",
    "/",
    "/health",
    "/ready",
    "/api/v1/schema/workflow",
    "/api/stepflow/health",
    "/api/stepflow/openapi.yaml",
}
OWN_DOORS = ("/admin/", "/static/")
# Pictures of what every server of this kind has; what has no picture is not found.
ICONS = ("/api/v1/node-icon/", "/api/v1/components-credentials-icon/")
# Calls for public flows decide by the flow; with an id of no flow they answer 400 or 404.
BY_FLOW = (
    "/api/v1/prediction/",
    "/api/v1/chatflows-streaming/",
    "/api/v1/public-chatbotConfig/",
    "/api/v1/executions/{execution_id}/stream",
    "/chat/",
)


def routes(patterns: Sequence[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield EndpointEnumerator().get_path_from_regex(route)


def keyed_routes() -> list[str]:
    found = set(routes(get_resolver().url_patterns)) - OPEN
    return sorted(path for path in found if not path.startswith((*OWN_DOORS, *ICONS, *BY_FLOW)))


def concrete(path: str) -> str:
    return "/".join(
        "00000000-0000-7000-8000-000000000000" if part.startswith("{") else part for part in path.split("/")
    )


def test_there_are_routes_to_walk() -> None:
    assert {"/api/v1/chatflows", "/api/v1/agentflows/{chatflow_id}"} <= set(keyed_routes())


@pytest.mark.django_db
@pytest.mark.parametrize("path", keyed_routes())
def test_without_a_key_every_route_is_closed(path: str) -> None:
    client = Client(raise_request_exception=False)

    answers = {method: client.generic(method, concrete(path)).status_code for method in METHODS}

    assert set(answers.values()) <= REFUSED, answers


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/Chatflows",
        "/API/v1/chatflows",
        "/api/v1/chatflows/",
        "/api/v1//chatflows",
        "/api/v1/%63hatflows",
        "/api/v1/x/../chatflows",
        "/api/v1/chatflows;a=b",
        "/api/v1/chatflows%2F",
        "/api/docs/../v1/chatflows",
        "/health/../api/v1/chatflows",
    ],
)
def test_another_spelling_opens_nothing(path: str) -> None:
    assert Client(raise_request_exception=False).get(path).status_code in REFUSED
