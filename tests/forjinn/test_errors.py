"""Every refusal has one shape, whoever finds the fault."""

from __future__ import annotations

import json

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from chatflows import views
from forjinn.core import errors
from forjinn.core.refusals import bad_request, server_error
from tests.cast import Api
from tests.factories import EMPTY_GRAPH, make_chatflow
from workspaces.models import Workspace


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/chatflows/", 404, "not_found"),
        ("GET", "/chatflows/x/y", 404, "not_found"),
        ("PATCH", "/chatflows", 405, "method_not_allowed"),
        ("POST", "/chatflows", 400, "bad_request"),
    ],
)
def test_every_refusal_says_what_why_and_which_request(
    api: Api, method: str, path: str, status: int, code: str
) -> None:
    response = api.call(method, path)

    body = response.json()
    assert response.status_code == status
    assert body.keys() == {"message", "code", "requestId"}
    assert body["code"] == code
    assert body["requestId"] == response.headers["Request-Id"]


def test_a_forbidden_method_names_the_allowed_ones(api: Api) -> None:
    assert api.call("PATCH", "/chatflows").headers["Allow"] == "GET, POST, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nope",
        b"\xff\xfe",
        b'{"name":NaN}',
        b'{"name":"\\ud800"}',
        b"[" * 100_000,
        b"",
        b"[]",
        b'"text"',
        b"null",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_that_cannot_be_read_is_the_senders_fault(
    api: Api, workspace: Workspace, method: str, body: bytes
) -> None:
    path = "/chatflows" if method == "POST" else f"/chatflows/{make_chatflow(workspace).pk}"

    response = api.call(method, path, body)

    # An empty PUT changes nothing, and that is no fault.
    assert response.status_code == (200 if (method, body) == ("PUT", b"") else 400)


def test_another_content_type_is_refused(api: Api) -> None:
    response = api.call("POST", "/chatflows", b"name=Bot", Content_Type="application/x-www-form-urlencoded")

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_an_answer_that_cannot_be_had_in_that_form_is_refused(api: Api) -> None:
    response = api.get("/chatflows", Accept="text/csv")

    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")


def test_a_body_that_is_too_large_is_refused(api: Api, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000

    response = api.post("/chatflows", {"name": "n" * 1000, "flowData": EMPTY_GRAPH})

    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")


def test_a_database_that_is_away_is_told_as_such(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("connection refused to host 10.0.0.1")

    monkeypatch.setattr(views, "page_of", fail)

    response = api.get("/chatflows")

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response.headers["Retry-After"] == "2"
    assert "10.0.0.1" not in response.content.decode()


def test_a_defect_of_ours_is_a_plain_500(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the secret inner working")

    monkeypatch.setattr(views, "page_of", fail)

    response = api.get("/chatflows")

    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "secret" not in response.content.decode()


def request_to(path: str) -> HttpRequest:
    return RequestFactory().get(path)


def test_a_plain_view_refuses_in_the_same_shape() -> None:
    response = errors.error_response(errors.Unavailable("Later"), request_to("/api/v1/x"))

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "2"
    assert json.loads(response.content) == {"message": "Later", "code": "unavailable"}


def test_people_get_pages_and_programs_get_json() -> None:
    page, body = server_error(request_to("/admin/x")), server_error(request_to("/api/v1/x"))

    assert page.headers["Content-Type"].startswith("text/html")
    assert body.headers["Content-Type"] == "application/json"


def test_a_forbidden_host_is_a_bad_request(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["forjinn.example"]

    page = Client().get("/admin/", headers={"Host": "evil.example"})
    handled = bad_request(request_to("/api/v1/x"), ValueError("x"))
    assert isinstance(handled, HttpResponse)

    assert page.status_code == 400
    assert json.loads(handled.content)["code"] == "bad_request"
