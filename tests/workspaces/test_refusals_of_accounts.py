"""Whatever goes wrong below /_allauth/ is told as JSON, and is no failure of the server's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from pytest_django import Settings

from tests.factories import make_user
from tests.workspaces.browser import ACCOUNTS, PASSWORD, Browser

NOWHERE = "redis://127.0.0.1:1/0"
OF_MEMBERS = ("/auth/sessions", "/account/email", "/account/password/change")
WRITES = [
    ("POST", "/auth/login"),
    ("POST", "/auth/signup"),
    ("POST", "/auth/password/request"),
    ("POST", "/auth/password/reset"),
    ("POST", "/auth/email/verify"),
    ("DELETE", "/auth/sessions"),
    ("POST", "/account/email"),
    ("PATCH", "/account/email"),
    ("DELETE", "/account/email"),
    ("POST", "/account/password/change"),
]
NAMES = ("email", "password", "key", "sessions", "current_password", "new_password", "primary")
VALUES = ["\0", 10**30, [10**30], {"a": 1}, None, True, "zz-é", "x" * 10_000, -1, [None], [[]]]


@pytest.fixture
def browser(db: None) -> Browser:
    cache.clear()
    return Browser()


def told(answer: Any) -> tuple[int, str]:
    """Status and code; fails for what has not our shape."""
    body = answer.json()
    assert body.keys() == {"message", "code", "requestId"}
    return answer.status_code, body["code"]


def test_an_address_that_there_is_not(browser: Browser) -> None:
    assert told(browser.account("GET", "/nothing")) == (404, "not_found")
    assert told(browser.client.get("/_allauth/app/v1/config")) == (404, "not_found")


def test_a_method_that_there_is_not(browser: Browser) -> None:
    refused = browser.account("GET", "/auth/login")

    assert told(refused) == (405, "method_not_allowed")
    assert "POST" in refused.headers["Allow"]


def test_a_write_without_the_token_of_the_page(browser: Browser) -> None:
    assert told(browser.account("POST", "/auth/login", {}, X_CSRFToken="")) == (403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"text"', b"\xff", b'{"email": "\\ud800@example.com", "password": "x"}', b'{"a":' * 5000],
    ids=["half", "array", "text", "bytes", "surrogate", "deep"],
)
def test_a_body_that_cannot_be_read(browser: Browser, body: bytes) -> None:
    token = browser.client.cookies["csrftoken"].value
    answer = browser.client.post(
        f"{ACCOUNTS}/auth/login", body, content_type="application/json", headers={"X-CSRFToken": token}
    )

    assert told(answer) == (400, "bad_request")


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_values_of_every_kind_are_the_senders_fault(browser: Browser, method: str, path: str) -> None:
    if path in OF_MEMBERS:
        browser.client.force_login(make_user("ann@example.com"))

    for value in VALUES:
        cache.clear()
        answer = browser.account(method, path, dict.fromkeys(NAMES, value))

        assert answer.status_code == 400, (value, answer.content)
        assert answer.headers["Content-Type"] == "application/json"


@pytest.fixture
def _no_database(transactional_db: None) -> Iterator[None]:
    settings, port = connection.settings_dict, connection.settings_dict["PORT"]
    connection.close()
    settings["PORT"] = "1"
    yield
    connection.close()
    settings["PORT"] = port


@pytest.mark.usefixtures("_no_database")
def test_a_database_that_is_away() -> None:
    client = Client(raise_request_exception=False)
    client.cookies["sessionid"] = "any"

    assert told(client.get(f"{ACCOUNTS}/auth/session")) == (503, "unavailable")


def test_a_redis_that_is_away(browser: Browser, settings: Settings) -> None:
    ann = make_user("ann@example.com", password=PASSWORD)
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": NOWHERE}}

    refused = browser.sign_in(ann)

    assert told(refused) == (503, "unavailable")
    assert "Redis" in refused.json()["message"]
