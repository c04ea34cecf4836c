"""Servers that keep documents and speak JSON over HTTP: one call, tried again if that may help, and why it failed."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, UUID, uuid5

from yarl import URL

from engine.errors import ProviderError
from engine.http import HttpClient
from engine.providers.refusals import refusal
from engine.providers.retrying import Retrying

BATCH = 100  # rows a call
TIMEOUT_S = 60.0
Item = TypeVar("Item")


class RestDatabase:
    """One server and how it is spoken to."""

    def __init__(
        self, url: str, *, http: HttpClient, retrying: Retrying, headers: Mapping[str, str], secrets: Sequence[str]
    ) -> None:
        self.url = url.rstrip("/")
        self._http = http
        self._retrying = retrying
        self._headers = headers
        self._secrets = secrets

    def at(self, url: str) -> RestDatabase:
        """Another address that takes the same key."""
        return RestDatabase(url, http=self._http, retrying=self._retrying, headers=self._headers, secrets=self._secrets)

    async def call(self, method: str, path: str, json: Any = None, *, body: str = "", missing: bool = False) -> Any:
        """The answer's JSON. With `missing`, a 404 is no error but None. `body` is sent instead of `json`, by lines.

        Raises ProviderError when the server refuses or says nothing.
        """
        return await self._retrying.answer(lambda: self._call(method, path, json, body, missing))

    async def _call(self, method: str, path: str, json: Any, body: str, missing: bool) -> Any:
        headers = {**self._headers, "Content-Type": "application/x-ndjson"} if body else self._headers
        answer = await self._http.request(
            method, f"{self.url}{path}", headers=headers, json=json, body=body or None, timeout_s=TIMEOUT_S
        )
        if answer.status == 404 and missing:
            return None
        host = URL(self.url).host or self.url
        if answer.status >= 300:
            raise refusal(host, answer.status, answer.body, headers=answer.headers, secrets=self._secrets)
        try:
            return answer.json() if answer.body.strip() else {}
        except ValueError as exc:
            raise ProviderError(f"{host} sent no JSON.", retryable=False) from exc


def basic_auth(user: str, password: str) -> dict[str, str]:
    """The header for a user and a password, or for a token that stands for one."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def batches(items: Sequence[Item], size: int = BATCH) -> Iterator[Sequence[Item]]:
    """The items in runs of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def flat(metadata: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Metadata for databases that take no objects in it: {"loc": {"line": 1}} becomes {"loc.line": 1}."""
    result: dict[str, Any] = {}
    for name, value in metadata.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            result[f"{prefix}{name}"] = [str(item) for item in value]
        elif value is not None:
            result[f"{prefix}{name}"] = value
    return result


def as_uuid(text: str) -> str:
    """The id as a UUID: itself if it is one, else one that follows from it."""
    try:
        return str(UUID(text))
    except ValueError:
        return str(uuid5(NAMESPACE_OID, text))
