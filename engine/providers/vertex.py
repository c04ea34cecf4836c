"""Google Vertex AI: chat in OpenAI's format and embeddings in Google's, behind a sign-in whose tokens last an hour."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from random import Random
from typing import Any

from engine.context import Clock
from engine.errors import NodeError, NodeInputError, ProviderError
from engine.http import HttpClient
from engine.kept import Kept
from engine.providers.base import Completion, Message, ModelChunk, ToolSpec
from engine.providers.embeddings import EmbeddingEndpoint, HttpEmbedder, Vector
from engine.providers.openai import OpenAIChatModel
from engine.providers.openai_wire import Endpoint
from engine.providers.rest import RestDatabase
from engine.providers.retrying import Retrying

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 -- an address
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LASTS_S = 3600
MARGIN_S = 60.0  # a token that ends sooner is not used any more
EMBEDDED_AT_ONCE = 5  # texts in one call, the most that Google's older models take


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

    @property
    def project(self) -> str:
        """The id of the project that it was made in; empty if it does not say. Raises like `read`."""
        return str(self.read().get("project_id") or "")

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


class SignIn:
    """Tokens for a service account. One is used until shortly before its end, by later runs of the process too."""

    def __init__(self, account: ServiceAccount, *, http: HttpClient, clock: Clock, random: Random, kept: Kept) -> None:
        self._account = account
        self._clock = clock
        self._kept = kept
        self._server = RestDatabase(
            account.token_url, http=http, retrying=Retrying(clock, random), headers={}, secrets=()
        )
        # The key file itself is in it: nobody finds the token who could not sign in.
        self._key = sha256(f"{account.token_url}\n{account.key_file}".encode()).digest()

    async def headers(self) -> dict[str, str]:
        """What a call to Google proves itself with.

        Raises NodeInputError for a key file that is none, ProviderError if Google refuses it.
        """
        now = self._clock.monotonic()
        token = self._kept.find(self._key, now=now)
        if token is None:
            token, lasts_s = await self._ask()
            self._kept.put(self._key, token, now=now, until=now + lasts_s - MARGIN_S, size_bytes=len(token))
        return {"Authorization": f"Bearer {token}"}

    async def _ask(self) -> tuple[str, float]:
        asked = {"grant_type": GRANT, "assertion": self._account.assertion(self._clock.now())}
        given = await self._server.call("POST", "", asked)
        try:
            return str(given["access_token"]), float(given.get("expires_in", LASTS_S))
        except (TypeError, KeyError, ValueError, AttributeError) as exc:
            raise ProviderError("Google's sign-in sent no token.", retryable=False) from exc


def vertex_body(model: str, texts: Sequence[str], params: Mapping[str, Any]) -> Mapping[str, Any]:
    """What Google's embedding models are sent; the model is in the path."""
    return {"instances": [{"content": text} for text in texts], **params}


def vertex_vectors(answer: Any) -> list[Any]:
    """The vectors in their answer, in the order of the texts."""
    return [prediction["embeddings"]["values"] for prediction in answer["predictions"]]


class VertexEmbedder:
    """An embedding model at Vertex AI; implements `Embedder`. It signs in when it is first asked."""

    def __init__(self, endpoint: EmbeddingEndpoint, sign_in: SignIn, *, http: HttpClient, retrying: Retrying) -> None:
        self.model_name = endpoint.model
        self._endpoint = endpoint
        self._sign_in = sign_in
        self._http = http
        self._retrying = retrying

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """See `Embedder.embed`."""
        if not texts:
            return []
        endpoint = replace(self._endpoint, headers=await self._sign_in.headers())
        return await HttpEmbedder(endpoint, http=self._http, retrying=self._retrying).embed(texts)


class VertexChatModel:
    """A chat model at Vertex AI; implements `ChatModel`. It signs in when it is first asked."""

    def __init__(
        self,
        endpoint: Endpoint,
        sign_in: SignIn,
        *,
        http: HttpClient,
        clock: Clock,
        random: Random,
        streaming: bool = True,
    ) -> None:
        self.model_name = str(endpoint.params.get("model", ""))
        self.streaming = streaming
        self._endpoint = endpoint
        self._sign_in = sign_in
        self._http = http
        self._clock = clock
        self._random = random

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
        endpoint = replace(self._endpoint, headers=await self._sign_in.headers())
        return OpenAIChatModel(
            endpoint, http=self._http, clock=self._clock, random=self._random, streaming=self.streaming
        )
