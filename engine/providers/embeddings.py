"""Embedding models: any endpoint that takes texts and gives vectors, in batches, tried again when that may help."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from engine.errors import ProviderError
from engine.http import HttpClient
from engine.providers.refusals import refusal
from engine.providers.retrying import Retrying

BATCH = 256  # texts a call; vendors take up to 2,048, some local servers far fewer
AT_ONCE = 4  # calls
TIMEOUT_S = 60.0

Vector = tuple[float, ...]


def openai_body(model: str, texts: Sequence[str], params: Mapping[str, Any]) -> Mapping[str, Any]:
    """What OpenAI's `/embeddings` is sent."""
    return {"model": model, "input": list(texts), **params}


def openai_vectors(answer: Any) -> list[Any]:
    """The vectors in OpenAI's answer, in the order of the texts."""
    return [item["embedding"] for item in sorted(answer["data"], key=lambda item: item.get("index", 0))]


@dataclass(frozen=True, slots=True)
class EmbeddingEndpoint:
    """Where an embedding model is, and the wire format it speaks."""

    url: str
    model: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)  # sent with every call
    batch: int = BATCH
    timeout_s: float = TIMEOUT_S
    write: Callable[[str, Sequence[str], Mapping[str, Any]], Mapping[str, Any]] = openai_body
    read: Callable[[Any], list[Any]] = openai_vectors

    @property
    def host(self) -> str:
        return URL(self.url).host or self.url


class HttpEmbedder:
    """An embedding model behind an HTTP endpoint; implements `Embedder`."""

    def __init__(self, endpoint: EmbeddingEndpoint, *, http: HttpClient, retrying: Retrying) -> None:
        self.model_name = endpoint.model
        self.endpoint = endpoint
        self._http = http
        self._retrying = retrying

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """See `Embedder.embed`."""
        size = self.endpoint.batch
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(batch: Sequence[str]) -> list[Vector]:
            async with gate:
                return await self._retrying.answer(lambda: self._ask(batch))

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(texts[i : i + size])) for i in range(0, len(texts), size)]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [vector for task in tasks for vector in task.result()]

    async def _ask(self, batch: Sequence[str]) -> list[Vector]:
        at = self.endpoint
        answer = await self._http.request(
            "POST",
            at.url,
            headers=at.headers,
            json=at.write(at.model, batch, at.params),
            timeout_s=at.timeout_s,
            limit=256 * 1024 * 1024,
        )
        if answer.status != 200:
            secrets = [value.removeprefix("Bearer ") for value in at.headers.values()]
            raise refusal(at.host, answer.status, answer.body, headers=answer.headers, secrets=secrets)
        try:
            vectors = [tuple(map(float, vector)) for vector in at.read(answer.json())]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as exc:
            raise ProviderError(f"{at.host} sent no embeddings that can be read.", retryable=False) from exc
        if len(vectors) != len(batch):
            raise ProviderError(f"{at.host} sent {len(vectors)} embeddings for {len(batch)} texts.", retryable=False)
        return vectors
