"""Anthropic's chat models. They need the extra `anthropic`; everything else works without it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from yarl import URL

from engine.caching import cached
from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeError, NodeInputError
from engine.http import HttpClient, Patience
from engine.nodes import values
from engine.nodes.model_vendors import STREAMING, TEMPERATURE, TOP_P
from engine.providers.base import ChatModel
from engine.providers.retrying import Retrying
from engine.spec import Extra, Inputs, NodeResult, NodeSpec, NodeType, Param

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

BASE_URL = "https://api.anthropic.com"
MODEL = "claude-haiku-4-5"
BUDGET = 1024  # tokens to think with
ROOM = 4096  # tokens to answer with after thinking, unless the author says otherwise
TIMEOUT_S = 300.0

CHAT = NodeSpec(
    name="chatAnthropic",
    label="ChatAnthropic",
    version=8,
    category="Chat Models",
    base_classes=("ChatAnthropic", "ChatAnthropicMessages", "BaseChatModel", "BaseLanguageModel", "Runnable"),
    help="Anthropic's chat models.",
    params=(
        Param("credential", "credential", "Connect Credential"),
        Param("cache", "BaseCache", "Cache", optional=True),
        Param("modelName", "asyncOptions", "Model Name", default=MODEL, help="Anthropic's name for it."),
        TEMPERATURE,
        STREAMING,
        Param("maxTokensToSample", "number", "Max Tokens", optional=True, help="Longest answer, in tokens."),
        TOP_P,
        Param("topK", "number", "Top K", optional=True, help="Keep to this many of the likeliest words."),
        Param("extendedThinking", "boolean", "Extended Thinking", optional=True, help="It thinks before it answers."),
        Param("budgetTokens", "number", "Budget Tokens", default=BUDGET, optional=True, help="How long it may think."),
        Param(
            "allowImageUploads", "boolean", "Allow Image Uploads", default=False, optional=True, help="Show it images."
        ),
        Param("baseUrl", "string", "Base URL", default=BASE_URL, optional=True, help="Another server of this format."),
    ),
    credentials=("anthropicApi",),
    role="component",
    extra=Extra("anthropic", "langchain_anthropic"),
)
LLAMA_INDEX = replace(
    CHAT, name="chatAnthropic_LlamaIndex", version=3, base_classes=("ChatAnthropic", "BaseChatModel_LlamaIndex")
)


async def run_chat(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Configure the model; nothing is called yet.

    Raises NodeInputError if it needs a key and has none, NodeError if the extra is not installed.
    """
    base_url = values.text(inputs, "baseUrl", BASE_URL).rstrip("/")
    fields = await values.credential(ctx, inputs)
    check_destination(fields, base_url, own_url=BASE_URL, egress=ctx.world.http.egress)
    key = fields.get("anthropicApiKey", "")
    if not key and base_url == BASE_URL:
        raise NodeInputError(
            "ChatAnthropic needs a credential: connect one of kind 'anthropicApi', or set 'baseUrl' to a server that "
            "needs none."
        )
    model = await _vendors_model({**_params(inputs), "base_url": base_url, "api_key": key or "none"}, ctx.world.http)
    return NodeResult(value=_adapted(ctx, inputs, model, host=URL(base_url).host or base_url, key=key))


def _params(inputs: Inputs) -> dict[str, Any]:
    thinks = values.flag(inputs, "extendedThinking")
    budget = values.integer(inputs, "budgetTokens") or BUDGET
    max_tokens = values.integer(inputs, "maxTokensToSample") or values.integer(inputs, "maxTokens")
    params = {
        "model": values.text(inputs, "modelName", MODEL),
        "max_tokens": max_tokens or (budget + ROOM if thinks else None),
        # A model that thinks takes neither of the three.
        "temperature": None if thinks else values.number(inputs, "temperature"),
        "top_p": None if thinks else values.number(inputs, "topP"),
        "top_k": None if thinks else values.integer(inputs, "topK"),
        "thinking": {"type": "enabled", "budget_tokens": budget} if thinks else None,
    }
    return {name: value for name, value in params.items() if value is not None}


async def _vendors_model(params: Mapping[str, Any], http: HttpClient) -> BaseChatModel:
    def load() -> Any:
        from anthropic import AsyncClient
        from langchain_anthropic import ChatAnthropic

        from engine.providers.httpx_way import httpx_client

        # Retries are ours: its own would go on after the caller has left.
        model = ChatAnthropic(**params, max_retries=0, timeout=TIMEOUT_S)
        way_out = httpx_client(http, Patience(first_s=TIMEOUT_S))
        # The package takes no client of others. Its own would look names up anew, with nobody to judge what they mean.
        vars(model)["_async_client"] = AsyncClient(**model._client_params, http_client=way_out)
        return model

    try:
        # In a thread: the first import takes a second, in which no other run would move.
        return await asyncio.to_thread(load)
    except ImportError as exc:
        raise NodeError("ChatAnthropic is not installed on this server: pip install forjinn[anthropic]") from exc


def _adapted(ctx: NodeContext, inputs: Inputs, model: BaseChatModel, *, host: str, key: str) -> ChatModel:
    from engine.providers.langchain import LangChainChatModel

    return LangChainChatModel(
        model,
        model_name=values.text(inputs, "modelName", MODEL),
        host=host,
        retrying=Retrying(ctx.world.clock, ctx.world.random),
        streaming=values.flag(inputs, "streaming", default=True),
        sees_images=values.flag(inputs, "allowImageUploads"),
        takes_forced_tools=not values.flag(inputs, "extendedThinking"),
        secrets=(key,),
    )


NODES = tuple(NodeType(spec, cached(run_chat)) for spec in (CHAT, LLAMA_INDEX))
