"""Models that continue a text instead of answering messages, behind OpenAI's older `/completions`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from random import Random
from typing import Any

from engine.context import Clock
from engine.errors import NodeInputError, ProviderError
from engine.http import HttpClient
from engine.providers.base import Completion, Message, ModelChunk, TextDelta, ToolSpec, Usage
from engine.providers.openai_wire import Endpoint
from engine.providers.refusals import refusal
from engine.providers.retrying import Retrying

SPEAKERS = {"user": "Human", "assistant": "AI"}


class OpenAITextModel:
    """A text model; implements `ChatModel`. It answers in one piece, and knows neither tools nor images."""

    streaming = False

    def __init__(self, endpoint: Endpoint, *, http: HttpClient, clock: Clock, random: Random) -> None:
        self.model_name = str(endpoint.params.get("model", ""))
        self.endpoint = endpoint
        self._http = http
        self._retrying = Retrying(clock, random)

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        stop: Sequence[str] = (),
    ) -> Completion:
        """See `ChatModel.complete`. Raises NodeInputError for tools or a shape: such a model keeps to neither."""
        refuse_what_texts_cannot(self.model_name, tools, schema)
        body = {**self.endpoint.params, "prompt": as_prompt(messages), **({"stop": list(stop)} if stop else {})}
        return await self._retrying.answer(lambda: self._ask(body))

    async def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), stop: Sequence[str] = ()
    ) -> AsyncIterator[ModelChunk]:
        """See `ChatModel.stream`."""
        completion = await self.complete(messages, tools=tools, stop=stop)
        yield TextDelta(completion.text)
        yield completion

    async def _ask(self, body: Mapping[str, Any]) -> Completion:
        at = self.endpoint
        answer = await self._http.request("POST", at.url, headers=at.headers, json=body, timeout_s=at.patience.first_s)
        if answer.status != 200:
            secrets = [value.removeprefix("Bearer ") for value in at.headers.values()]
            raise refusal(at.host, answer.status, answer.body, headers=answer.headers, secrets=secrets)
        try:
            said = answer.json()
            choice, usage = said["choices"][0], said.get("usage") or {}
            text = str(choice["text"]).strip()
        except (ValueError, LookupError, TypeError) as exc:
            raise ProviderError("The model's answer is no completion.", retryable=True) from exc
        tokens = Usage(usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0)
        return Completion(text, usage=tokens, finish_reason=choice.get("finish_reason") or "")


def as_prompt(messages: Sequence[Message]) -> str:
    """Messages as one text: a single one as it is, several with the names of their speakers."""
    if len(messages) == 1:
        return messages[0].content
    lines = [
        f"{SPEAKERS[message.role]}: {message.content}" if message.role in SPEAKERS else message.content
        for message in messages
    ]
    return "\n\n".join([*lines, "AI:"])


def refuse_what_texts_cannot(model: str, tools: Sequence[ToolSpec], schema: Mapping[str, Any] | None) -> None:
    if tools or schema is not None:
        raise NodeInputError(
            f"{model} continues texts: it can neither call tools nor keep to a shape. Use a chat model."
        )
