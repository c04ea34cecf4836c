"""The API's own description, and the pages that show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.validation import validate_schema
from rest_framework.schemas.generators import EndpointEnumerator

from forjinn.core.openapi import KEYED

pytestmark = pytest.mark.django_db

METHODS = {"get", "put", "post", "delete", "patch"}
ASYNCHRONOUS = {
    "POST /api/v1/prediction/{chatflow_id}",
    "GET /api/v1/chatflows-streaming/{chatflow_id}",
    "GET /api/v1/public-chatbotConfig/{chatflow_id}",
    "PUT /api/v1/chatmessage/abort/{chatflow_id}/{chat_id}",
    "GET /api/v1/executions/{execution_id}/stream",
}


@pytest.fixture
def document(client: Client) -> dict[str, Any]:
    response = client.get("/api/v1/openapi.json")
    assert response.status_code == 200
    described: dict[str, Any] = response.json()
    return described


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield f"{method.upper()} {path}", item[method]


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from references(item)


def test_the_document_is_openapi_3_1_and_valid(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    validate_schema(document)  # type: ignore[no-untyped-call]  # the library has no types
    assert all(
        ref.removeprefix("#/components/schemas/") in document["components"]["schemas"] for ref in references(document)
    )


def api_paths(patterns: Sequence[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from api_paths(pattern.url_patterns, route)
        elif route.startswith(("api/", "workflows/")):
            yield EndpointEnumerator().get_path_from_regex(route)


def test_the_document_tells_of_every_path_but_its_own(document: dict[str, Any]) -> None:
    paths = set(api_paths(get_resolver().url_patterns))

    own = {"/api/v1/openapi.json", "/api/docs", "/api/docs/redoc"}
    refusing = {path for path in paths if path.endswith("/")}  # where a protocol says that nothing is there
    sockets = {"/api/v1/runs/{run_id}/stream"}  # of which OpenAPI has no words to tell
    assert document["paths"].keys() == paths - own - refusing - sockets


def test_the_document_tells_of_the_calls_that_the_framework_does_not_see(document: dict[str, Any]) -> None:
    assert {name for name, _ in operations(document)} >= ASYNCHRONOUS


def test_every_call_has_a_name_of_its_own_and_says_what_it_answers(document: dict[str, Any]) -> None:
    described = dict(operations(document))

    ids = [operation["operationId"] for operation in described.values()]
    assert len(set(ids)) == len(ids)
    for name, operation in described.items():
        answers = operation["responses"]
        assert answers.keys() & {"200", "201", "202"}, name
        assert {"4XX", "503"} <= answers.keys(), name
        assert all(answer.get("description") is not None for answer in answers.values()), name


def test_what_a_public_flow_offers_is_open_and_what_a_workspace_has_is_not(document: dict[str, Any]) -> None:
    described = dict(operations(document))

    without_key = {name for name, operation in described.items() if {} in operation.get("security", [{}])}
    assert without_key >= ASYNCHRONOUS
    kept = ("/api/v1/chatflows", "/api/v1/agentflows", "/api/v1/chatmessage/{", "/api/v1/executions/{execution_id}")
    closed = {name for name in described if name.partition(" ")[2].startswith(kept)} - ASYNCHRONOUS
    assert len(closed) >= 14
    assert all(described[name]["security"] == KEYED for name in closed)
    assert document["components"]["securitySchemes"].keys() >= {"bearerAuth", "apiKeyQuery", "sessionCookie"}


def test_a_prediction_is_shown_by_example_in_both_its_forms(document: dict[str, Any]) -> None:
    predict = document["paths"]["/api/v1/prediction/{chatflow_id}"]["post"]

    asked = predict["requestBody"]["content"]
    answered = predict["responses"]["200"]["content"]
    assert asked["application/json"]["example"] == {"question": "Hello"}
    assert answered["application/json"]["example"].keys() >= {"text", "question", "chatId", "chatMessageId"}
    assert answered["text/event-stream"]["example"].startswith("message:\ndata:{")


@pytest.mark.parametrize(("path", "marker"), [("/api/docs", "swagger-ui"), ("/api/docs/redoc", "redoc")])
def test_the_docs_are_pages_that_load_nothing_from_elsewhere(client: Client, path: str, marker: str) -> None:
    response = client.get(path)

    text = response.content.decode()
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    assert marker in text
    assert "/api/v1/openapi.json" in text
    assert "//cdn" not in text
    assert 'src="http' not in text
