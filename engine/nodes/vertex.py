"""Chat models at Google Vertex AI. They need the extra `vertex`; everything else works without it."""

from __future__ import annotations

import re

from engine.caching import cached
from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeInputError
from engine.nodes import values
from engine.nodes.model_vendors import IMAGES, STREAMING, TEMPERATURE, TOP_P
from engine.providers.openai_wire import Endpoint
from engine.providers.vertex import TOKEN_URL, ServiceAccount, VertexChatModel
from engine.spec import Extra, Inputs, NodeResult, NodeSpec, NodeType, Param

REGION = re.compile(r"[a-z]+(-[a-z]+\d+)?\Z")  # it becomes a part of a host's name
PROJECT = re.compile(r"[a-z0-9:.-]+\Z")

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
        Param("region", "asyncOptions", "Region", default="us-central1", optional=True, help="Where it runs."),
        Param("modelName", "asyncOptions", "Model Name", default="gemini-2.0-flash", help="Google's name for it."),
        Param("customModelName", "string", "Custom Model Name", optional=True, help="Overrides the model's name."),
        TEMPERATURE,
        IMAGES[0],
        STREAMING,
        Param("maxOutputTokens", "number", "Max Output Tokens", optional=True, help="Longest answer, in tokens."),
        TOP_P,
        Param("baseUrl", "string", "Base URL", optional=True, help="Another server of this format."),
        Param("tokenUrl", "string", "Token URL", default=TOKEN_URL, optional=True, help="Where it signs in."),
    ),
    credentials=("googleVertexAuth",),
    role="component",
    extra=Extra("vertex", "google.auth"),
)


async def run_chat(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Configure the model; it signs in when it is first asked.

    Raises NodeInputError without a key file and a project, or for a region that is none.
    """
    fields = await values.credential(ctx, inputs)
    key_file, project = fields.get("googleApplicationCredential", ""), fields.get("projectID", "")
    if not key_file or not PROJECT.match(project):
        raise NodeInputError(
            "ChatGoogleVertexAI needs a credential of kind 'googleVertexAuth' with a service account's key file and "
            "the id of its project."
        )
    region = values.text(inputs, "region", "us-central1")
    if not REGION.match(region):
        raise NodeInputError(f"{region!r} is no region of Google Cloud: choose one such as us-central1.")
    host = "aiplatform.googleapis.com" if region == "global" else f"{region}-aiplatform.googleapis.com"
    own_url, token_url = f"https://{host}", values.text(inputs, "tokenUrl", TOKEN_URL)
    base_url = values.text(inputs, "baseUrl", own_url).rstrip("/")
    for url, own in ((base_url, own_url), (token_url, TOKEN_URL)):
        check_destination(fields, url, own_url=own, egress=ctx.world.http.egress)
    endpoint = Endpoint(
        url=f"{base_url}/v1/projects/{project}/locations/{region}/endpoints/openapi/chat/completions",
        params=_params(inputs),
        image_detail="auto" if values.flag(inputs, "allowImageUploads") else "",
    )
    world = ctx.world
    streaming = values.flag(inputs, "streaming", default=True)
    account = ServiceAccount(key_file, token_url)
    return NodeResult(
        value=VertexChatModel(
            endpoint, account, http=world.http, clock=world.clock, random=world.random, streaming=streaming
        )
    )


def _params(inputs: Inputs) -> dict[str, object]:
    name = values.text(inputs, "customModelName") or values.text(inputs, "modelName", "gemini-2.0-flash")
    params = {
        "model": name if "/" in name else f"google/{name}",
        "temperature": values.number(inputs, "temperature"),
        "max_tokens": values.integer(inputs, "maxOutputTokens"),
        "top_p": values.number(inputs, "topP"),
    }
    return {key: value for key, value in params.items() if value is not None}


NODES = (NodeType(CHAT, cached(run_chat)),)
