"""Chat and embedding models at Google Vertex AI. They need the extra `vertex`; everything else works without it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.caching import cached
from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeInputError
from engine.nodes import values
from engine.nodes.model_vendors import IMAGES, STREAMING, TEMPERATURE, TOP_P
from engine.providers.embeddings import EmbeddingEndpoint
from engine.providers.openai_wire import Endpoint
from engine.providers.retrying import Retrying
from engine.providers.vertex import (
    EMBEDDED_AT_ONCE,
    TOKEN_URL,
    ServiceAccount,
    SignIn,
    VertexChatModel,
    VertexEmbedder,
    vertex_body,
    vertex_vectors,
)
from engine.spec import Extra, Inputs, NodeResult, NodeSpec, NodeType, Param

REGION = re.compile(r"[a-z]+(-[a-z]+\d+)?\Z")  # it becomes a part of a host's name
REGION_DEFAULT = "us-central1"
PROJECT = re.compile(r"[a-z0-9:.-]+\Z")
MODEL = re.compile(r"[\w.@-]+\Z")  # it becomes a part of a path
EMBEDDING_MODEL = "textembedding-gecko@001"
EXTRA = Extra("vertex", "google.auth")
PLACE = (
    Param("region", "asyncOptions", "Region", default=REGION_DEFAULT, optional=True, help="Where it runs."),
    Param("baseUrl", "string", "Base URL", optional=True, help="Another server of this format."),
    Param("tokenUrl", "string", "Token URL", default=TOKEN_URL, optional=True, help="Where it signs in."),
)

CHAT = NodeSpec(
    name="chatGoogleVertexAI",
    label="ChatGoogleVertexAI",
    version=5.3,
    category="Chat Models",
    base_classes=("ChatGoogleVertexAI", "BaseChatModel", "BaseLanguageModel", "Runnable"),
    help="Chat models at Google Vertex AI.",
    params=(
        Param("credential", "credential", "Connect Credential"),
        Param("cache", "BaseCache", "Cache", optional=True),
        Param("modelName", "asyncOptions", "Model Name", default="gemini-2.0-flash", help="Google's name for it."),
        Param("customModelName", "string", "Custom Model Name", optional=True, help="Overrides the model's name."),
        TEMPERATURE,
        IMAGES[0],
        STREAMING,
        Param("maxOutputTokens", "number", "Max Output Tokens", optional=True, help="Longest answer, in tokens."),
        TOP_P,
        *PLACE,
    ),
    credentials=("googleVertexAuth",),
    role="component",
    extra=EXTRA,
)
EMBEDDINGS = NodeSpec(
    name="googlevertexaiEmbeddings",
    label="GoogleVertexAI Embeddings",
    version=2,
    category="Embeddings",
    base_classes=("GoogleVertexAIEmbeddings", "Embeddings"),
    help="Makes vectors of texts at Google Vertex AI.",
    params=(
        Param("credential", "credential", "Connect Credential"),
        Param("modelName", "asyncOptions", "Model Name", default=EMBEDDING_MODEL, help="Google's name for it."),
        *PLACE,
    ),
    credentials=("googleVertexAuth",),
    role="component",
    extra=EXTRA,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a project's models are, and how one signs in there."""

    url: str
    sign_in: SignIn


async def run_chat(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Configure the model; it signs in when it is first asked.

    Raises NodeInputError without a key file and a project, or for a region that is none.
    """
    place = await _place(ctx, inputs, CHAT)
    endpoint = Endpoint(
        url=f"{place.url}/endpoints/openapi/chat/completions",
        params=_params(inputs),
        image_detail="auto" if values.flag(inputs, "allowImageUploads") else "",
    )
    world = ctx.world
    streaming = values.flag(inputs, "streaming", default=True)
    return NodeResult(
        value=VertexChatModel(
            endpoint, place.sign_in, http=world.http, clock=world.clock, random=world.random, streaming=streaming
        )
    )


async def run_embeddings(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Configure the model; it signs in when it is first asked. Raises like `run_chat`, and for a model of no name."""
    place = await _place(ctx, inputs, EMBEDDINGS)
    model = values.text(inputs, "modelName", EMBEDDING_MODEL)
    if not MODEL.match(model):
        raise NodeInputError(f"{model!r} is no model of Google's: choose one such as {EMBEDDING_MODEL}.")
    endpoint = EmbeddingEndpoint(
        url=f"{place.url}/publishers/google/models/{model}:predict",
        model=model,
        batch=1 if model.startswith("gemini-embedding") else EMBEDDED_AT_ONCE,  # Google's own bounds
        write=vertex_body,
        read=vertex_vectors,
    )
    world = ctx.world
    retrying = Retrying(world.clock, world.random)
    return NodeResult(value=VertexEmbedder(endpoint, place.sign_in, http=world.http, retrying=retrying))


async def _place(ctx: NodeContext, inputs: Inputs, spec: NodeSpec) -> Place:
    fields = await values.credential(ctx, inputs)
    region = values.text(inputs, "region", REGION_DEFAULT)
    if not REGION.match(region):
        raise NodeInputError(f"{region!r} is no region of Google Cloud: choose one such as {REGION_DEFAULT}.")
    host = "aiplatform.googleapis.com" if region == "global" else f"{region}-aiplatform.googleapis.com"
    own_url, token_url = f"https://{host}", values.text(inputs, "tokenUrl", TOKEN_URL)
    account = ServiceAccount(fields.get("googleApplicationCredential", ""), token_url)
    project = fields.get("projectID") or (account.project if account.key_file else "")
    if not account.key_file or not PROJECT.match(project):
        raise NodeInputError(
            f"{spec.label} needs a credential of kind 'googleVertexAuth' with a service account's key file and the "
            "id of its project."
        )
    base_url = values.text(inputs, "baseUrl", own_url).rstrip("/")
    for url, own in ((base_url, own_url), (token_url, TOKEN_URL)):
        check_destination(fields, url, own_url=own, egress=ctx.world.http.egress)
    world = ctx.world
    sign_in = SignIn(account, http=world.http, clock=world.clock, random=world.random, kept=world.kept)
    return Place(f"{base_url}/v1/projects/{project}/locations/{region}", sign_in)


def _params(inputs: Inputs) -> dict[str, object]:
    name = values.text(inputs, "customModelName") or values.text(inputs, "modelName", "gemini-2.0-flash")
    params = {
        "model": name if "/" in name else f"google/{name}",
        "temperature": values.number(inputs, "temperature"),
        "max_tokens": values.integer(inputs, "maxOutputTokens"),
        "top_p": values.number(inputs, "topP"),
    }
    return {key: value for key, value in params.items() if value is not None}


NODES = (NodeType(CHAT, cached(run_chat)), NodeType(EMBEDDINGS, run_embeddings))
