"""Every app's cast: a workspace, a stranger's, and what each sees of the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from tests.factories import make_api_key, make_workspace
from workspaces.models import Workspace

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer  # the stubs' name for what the client returns


class Api:
    """The API in JSON, as the holder of one key (or of none) sees it."""

    def __init__(self, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.key = key
        self._client = Client(headers=headers, raise_request_exception=False)

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.call("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.call("PUT", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Answer:
        return self.call("DELETE", path, **headers)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """`body` is sent as JSON, or as it is when it is bytes; a header's underscores stand for hyphens."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.generic(method, f"/api/v1{path}", content, content_type="application/json", headers=named)


@pytest.fixture
def workspace(db: None) -> Workspace:
    return make_workspace()


@pytest.fixture
def stranger(db: None) -> Workspace:
    """Somebody else's workspace."""
    return make_workspace()


@pytest.fixture
def api(workspace: Workspace) -> Api:
    return Api(make_api_key(workspace)[1])


@pytest.fixture
def stranger_api(stranger: Workspace) -> Api:
    return Api(make_api_key(stranger)[1])


@pytest.fixture
def nobody(db: None) -> Api:
    """A caller without a key."""
    return Api()
