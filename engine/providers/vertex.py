"""Google Vertex AI: OpenAI's format behind Google's own sign-in, whose tokens last an hour."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from engine.context import Clock
from engine.errors import NodeError, NodeInputError
from engine.http import HttpClient
from engine.providers.base import Completion, Message, ModelChunk, ToolSpec
from engine.providers.openai import OpenAIChatModel
from engine.providers.openai_wire import Endpoint
from engine.providers.refusals import refusal

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 -- an address
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LASTS_S = 3600
MARGIN_S = 60.0  # a token that ends sooner is not used any more


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A key file of Google's, as text. `token_url` is where its signature is exchanged for a token."""

    key_file: str = field(repr=False)
    token_url: str = TOKEN_URL

    def read(self) -> Mapping[str, Any]:
        """Raises NodeInputError if it is no key file."""
        try:
            info = json.loads(self.key_file)
        except ValueError as exc:
            raise NodeInputError("The Google credential is no JSON: paste the service account's key file.") from exc
        if not isinstance(info, dict) or not {"client_email", "private_key"} <= info.keys():
            raise NodeInputError("The Google credential is no key file of a service account.")
        return info

    def assertion(self, now: float) -> str:
        """What proves to Google who asks. Raises NodeError if the extra is not installed."""
        try:
            from google.auth import crypt, jwt
        except ImportError as exc:
            raise NodeError("Vertex AI is not installed on this server: pip install 'forjinn[vertex]'") from exc
        info = self.read()
        claims = {"iss": info["client_email"], "scope": SCOPE, "aud": self.token_url}
        try:
            signer = crypt.RSASigner.from_service_account_info(info)
        except ValueError as exc:
            raise NodeInputError("The private key in the Google credential cannot be read.") from exc
        signed: bytes = jwt.encode(signer, {**claims, "iat": int(now), "exp": int(now) + LASTS_S})
        return signed.decode()


class VertexChatModel:
    """A chat model at Vertex AI; implements `ChatModel`. It signs in when it is first asked."""

    def __init__(
        self,
        endpoint: Endpoint,
        account: ServiceAccount,
        *,
        http: HttpClient,
        clock: Clock,
        random: Random,
        streaming: bool = True,
    ) -> None:
        self.model_name = str(endpoint.params.get("model", ""))
        self.streaming = streaming
        self._endpoint = endpoint
        self._account = account
        self._http = http
        self._clock = clock
        self._random = random
        self._signed_in: tuple[OpenAIChatModel, float] | None = None

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        stop: Sequence[str] = (),
    ) -> Completion:
        """See `ChatModel.complete`."""
        return await (await self._model()).complete(messages, tools=tools, schema=schema, stop=stop)

    async def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), stop: Sequence[str] = ()
    ) -> AsyncIterator[ModelChunk]:
        """See `ChatModel.stream`."""
        async for chunk in (await self._model()).stream(messages, tools=tools, stop=stop):
            yield chunk

    async def _model(self) -> OpenAIChatModel:
        if self._signed_in is None or self._clock.now() > self._signed_in[1]:
            token, lasts_s = await self._sign_in()
            endpoint = replace(self._endpoint, headers={"Authorization": f"Bearer {token}"})
            model = OpenAIChatModel(
                endpoint, http=self._http, clock=self._clock, random=self._random, streaming=self.streaming
            )
            self._signed_in = model, self._clock.now() + lasts_s - MARGIN_S
        return self._signed_in[0]

    async def _sign_in(self) -> tuple[str, float]:
        asked = {"grant_type": GRANT, "assertion": self._account.assertion(self._clock.now())}
        answer = await self._http.request("POST", self._account.token_url, json=asked)
        if answer.status != 200:
            raise refusal("Google's sign-in", answer.status, answer.body)
        given = answer.json()
        return str(given["access_token"]), float(given.get("expires_in", LASTS_S))
