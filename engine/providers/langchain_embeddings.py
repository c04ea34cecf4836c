"""Any embedding model of LangChain's partner packages as an Embedder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from engine.errors import ProviderError
from engine.providers.embeddings import Vector
from engine.providers.langchain_failures import explained
from engine.providers.retrying import Retrying

AT_ONCE = 8  # texts in one call: packages without a way of their own to wait take a thread for each


class LangChainEmbedder:
    """Implements `Embedder`. `host` and `secrets` are for error messages: what to name, and what never to repeat.

    `model` is one of LangChain's `Embeddings`. It must not retry by itself: it would not listen to cancellation.
    """

    def __init__(
        self, model: Any, *, model_name: str, host: str, retrying: Retrying, secrets: Sequence[str] = ()
    ) -> None:
        self.model_name = model_name
        self._model = model
        self._host = host
        self._retrying = retrying
        self._secrets = secrets

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """See `Embedder.embed`."""
        vectors: list[Vector] = []
        for start in range(0, len(texts), AT_ONCE):
            batch = list(texts[start : start + AT_ONCE])
            vectors += await self._retrying.answer(partial(self._ask, batch))
        return vectors

    async def _ask(self, batch: list[str]) -> list[Vector]:
        with explained(self._host, self._secrets):
            return self._read(await self._model.aembed_documents(batch), len(batch))

    def _read(self, found: Any, count: int) -> list[Vector]:
        try:
            vectors = [tuple(map(float, vector)) for vector in found]
        except (TypeError, ValueError) as exc:
            raise ProviderError(f"{self._host} sent no embeddings that can be read.", retryable=False) from exc
        if len(vectors) != count:
            raise ProviderError(f"{self._host} sent {len(vectors)} embeddings for {count} texts.", retryable=False)
        return vectors
