"""A browser at the server: cookies, and the token that its pages send back."""

from __future__ import annotations

import json
from typing import Any

from django.core.cache import cache
from django.test import Client

from workspaces.models import User

PASSWORD = "correct horse battery"
ACCOUNTS = "/_allauth/browser/v1"


class Browser:
    """Signed in as `user`, if one is given; everybody's password is PASSWORD."""

    def __init__(self, user: User | None = None) -> None:
        self.client = Client(raise_request_exception=False, enforce_csrf_checks=True)
        self.client.get(f"{ACCOUNTS}/config")
        if user is not None:
            cache.clear()  # the tries of earlier tests are counted there
            assert self.sign_in(user).status_code == 200

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """`body` is sent as JSON; a header's underscores stand for hyphens."""
        named = {"X-CSRFToken": self.client.cookies["csrftoken"].value}
        named.update({name.replace("_", "-"): value for name, value in headers.items()})
        content = json.dumps(body) if body is not None else ""
        return self.client.generic(method, path, content, content_type="application/json", headers=named)

    def sign_in(self, user: User, password: str = PASSWORD) -> Any:
        return self.account("POST", "/auth/login", {"email": user.email, "password": password})

    def account(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """A call of the accounts' own API."""
        return self.call(method, f"{ACCOUNTS}{path}", body, **headers)

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", f"/api/v1{path}", **headers)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", f"/api/v1{path}", body)

    def put(self, path: str, body: Any = None) -> Any:
        return self.call("PUT", f"/api/v1{path}", body)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", f"/api/v1{path}")
