"""Every OpenAI-compatible chat endpoint: most vendors and all local servers. The hot path of a prediction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from random import Random
from typing import Any

import orjson

from engine.context import Clock
from engine.errors import ProviderError
from engine.http import HttpClient, StreamedAnswer
from engine.providers.base import Completion, Message, ModelChunk, TextDelta, ThinkingDelta, ToolSpec
from engine.providers.openai_wire import Deltas, Endpoint, read_completion, request_body
from engine.providers.refusals import refusal
from engine.providers.retrying import Retrying

DONE = b"[DONE]"
MAX_LINE = 32 * 1024 * 1024  # bytes of one event; more is no chat model


class OpenAIChatModel:
    """A chat model behind an OpenAI-compatible endpoint; implements `ChatModel`."""

    def __init__(
        self, endpoint: Endpoint, *, http: HttpClient, clock: Clock, random: Random, streaming: bool = True
    ) -> None:
        self.model_name = str(endpoint.params.get("model", ""))
        self.streaming = streaming
        self.endpoint = endpoint
        self._http = http
        self._retrying = Retrying(clock, random)
        # Uncompressed: a compressor holds small pieces back.
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **endpoint.headers}

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        stop: Sequence[str] = (),
    ) -> Completion:
        """See `ChatModel.complete`."""
        body = request_body(self.endpoint, messages, tools=tools, schema=schema, stop=stop, stream=False)
        return await self._retrying.answer(lambda: self._ask(body))

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), stop: Sequence[str] = ()
    ) -> AsyncIterator[ModelChunk]:
        """See `ChatModel.stream`."""
        body = request_body(self.endpoint, messages, tools=tools, schema=None, stop=stop, stream=True)
        return self._retrying.pieces(lambda: self._listen(body))

    async def _ask(self, body: bytes) -> Completion:
        at = self.endpoint
        async with self._http.stream("POST", at.url, headers=self._headers, body=body, patience=at.patience) as answer:
            await self._check(answer)
            return read_completion(await answer.read())

    async def _listen(self, body: bytes) -> AsyncIterator[ModelChunk]:
        at = self.endpoint
        async with self._http.stream("POST", at.url, headers=self._headers, body=body, patience=at.patience) as answer:
            await self._check(answer)
            deltas = Deltas()
            rest = b""
            is_done = False
            while not is_done and (chunk := await answer.chunk()):
                lines = (rest + chunk if rest else chunk).split(b"\n")
                rest = lines.pop()
                for line in lines:
                    if line[:5] != b"data:":
                        continue  # blank, a comment that keeps the connection alive, or an event's name
                    if line[5:].strip() == DONE:
                        is_done = True
                    elif (delta := _delta(deltas, line[5:])) is not None:
                        yield delta
                if len(rest) > MAX_LINE:
                    raise ProviderError(f"{at.host} sent an event of more than {MAX_LINE} bytes.", retryable=False)
            if not is_done and not deltas.finish_reason:
                raise ProviderError(f"The answer of {at.host} broke off before its end.", retryable=True)
            yield deltas.completion()
            await answer.drain()

    async def _check(self, answer: StreamedAnswer) -> None:
        if answer.status != 200:
            secrets = [value.removeprefix("Bearer ") for value in self.endpoint.headers.values()]
            raise refusal(
                self.endpoint.host, answer.status, await answer.read(), headers=answer.headers, secrets=secrets
            )


def _delta(deltas: Deltas, payload: bytes) -> TextDelta | ThinkingDelta | None:
    try:
        return deltas.add(orjson.loads(payload))
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        raise ProviderError("The model sent an event that is no part of a chat completion.", retryable=True) from exc
