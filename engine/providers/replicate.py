"""Replicate: a model is a program that is started, and asked until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from yarl import URL

from engine.context import Clock
from engine.errors import ProviderError
from engine.http import HttpClient
from engine.providers.base import Completion, Message, ModelChunk, TextDelta, ToolSpec, Usage
from engine.providers.openai_text import as_prompt, refuse_what_texts_cannot
from engine.providers.refusals import MAX_MESSAGE, refusal, scrub
from engine.providers.retrying import Retrying

API = "https://api.replicate.com/v1"
PAUSE_S = 1.0
LONGEST_S = 300.0
CANCEL_S = 2.0  # a stopped run waits no longer to end what it started
GOING_ON = frozenset({"starting", "processing"})


@dataclass(frozen=True, slots=True)
class Program:
    """A model of Replicate's, `owner/name` or `owner/name:version`, and what it is given beside the prompt."""

    model: str
    given: Mapping[str, Any] = field(default_factory=dict)
    key: str = field(default="", repr=False)
    api: str = API


class ReplicateModel:
    """A text model at Replicate; implements `ChatModel`. It answers in one piece, and knows no tools."""

    streaming = False

    def __init__(self, program: Program, *, http: HttpClient, clock: Clock, random: Random) -> None:
        self.model_name = program.model
        self._program = program
        self._http = http
        self._clock = clock
        self._retrying = Retrying(clock, random)

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        stop: Sequence[str] = (),
    ) -> Completion:
        """See `ChatModel.complete`. Raises NodeInputError for tools or a shape: it keeps to neither."""
        refuse_what_texts_cannot(self.model_name, tools, schema)
        stops = {"stop_sequences": ",".join(stop)} if stop else {}
        run = await self._done({**self._program.given, **stops, "prompt": as_prompt(messages)})
        if run.get("status") != "succeeded":
            reason = scrub(str(run.get("error") or run.get("status")), (self._program.key,))
            raise ProviderError(f"{self.model_name} failed: {reason[:MAX_MESSAGE]}", retryable=False)
        output, counted = run.get("output"), run.get("metrics") or {}
        text = "".join(map(str, output)) if isinstance(output, list) else str(output or "")
        return Completion(text, usage=Usage(counted.get("input_token_count", 0), counted.get("output_token_count", 0)))

    async def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), stop: Sequence[str] = ()
    ) -> AsyncIterator[ModelChunk]:
        """See `ChatModel.stream`."""
        completion = await self.complete(messages, tools=tools, stop=stop)
        yield TextDelta(completion.text)
        yield completion

    async def _done(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Start it and wait until it has ended. Who waits no longer ends it: it would go on, and be paid for."""
        name, _, version = self.model_name.partition(":")
        path, body = (
            ("/predictions", {"version": version, "input": given})
            if version
            else (f"/models/{name}/predictions", {"input": given})
        )
        run = await self._retrying.answer(lambda: self._call("POST", path, body))
        place = f"/predictions/{run['id']}"
        try:
            deadline_s = self._clock.monotonic() + LONGEST_S
            while run.get("status") in GOING_ON:
                if self._clock.monotonic() > deadline_s:
                    raise ProviderError(
                        f"{self.model_name} did not answer within {LONGEST_S:g} seconds.", retryable=True
                    )
                await self._clock.sleep(PAUSE_S)
                run = await self._retrying.answer(lambda: self._call("GET", place))
        except (ProviderError, asyncio.CancelledError):
            with suppress(ProviderError):
                await self._call("POST", f"{place}/cancel", timeout_s=CANCEL_S)
            raise
        return run

    async def _call(self, method: str, path: str, body: Any = None, *, timeout_s: float = 90.0) -> Mapping[str, Any]:
        program = self._program
        headers = {"Authorization": f"Bearer {program.key}", "Prefer": "wait"}
        answer = await self._http.request(
            method, f"{program.api}{path}", headers=headers, json=body, timeout_s=timeout_s
        )
        host = URL(program.api).host or program.api
        if answer.status >= 300:
            raise refusal(host, answer.status, answer.body, headers=answer.headers, secrets=(program.key,))
        try:
            run = answer.json()
        except ValueError as exc:
            raise ProviderError(f"{host} sent no JSON.", retryable=True) from exc
        if not isinstance(run, dict) or "id" not in run:
            raise ProviderError(f"{host} sent no prediction.", retryable=True)
        return run
