"""Chat and embedding models at AWS Bedrock. They need the extra `bedrock`; everything else works without it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.caching import cached
from engine.context import NodeContext
from engine.errors import NodeError, NodeInputError
from engine.nodes import values
from engine.nodes.model_vendors import IMAGES, STREAMING
from engine.providers.base import ChatModel
from engine.providers.retrying import Retrying
from engine.spec import Extra, Inputs, NodeResult, NodeSpec, NodeType, Param

REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d\Z")  # it becomes a part of a host's name
MODEL = "anthropic.claude-3-haiku-20240307-v1:0"
EMBEDDING_MODEL = "amazon.titan-embed-text-v1"
TIMEOUT_S = 300.0
EXTRA = Extra("bedrock", "langchain_aws")

REGION_PARAM = Param(
    "region", "asyncOptions", "Region", default="us-east-1", help="Where it runs, such as eu-central-1."
)
CUSTOM_MODEL = Param("customModel", "string", "Custom Model Name", optional=True, help="Overrides the model's name.")

CHAT = NodeSpec(
    name="awsChatBedrock",
    label="AWS ChatBedrock",
    version=6.1,
    category="Chat Models",
    base_classes=("AWSChatBedrock", "BaseChatModel", "BaseLanguageModel", "Runnable"),
    help="Chat models at AWS Bedrock.",
    params=(
        Param("credential", "credential", "AWS Credential"),
        Param("cache", "BaseCache", "Cache", optional=True),
        REGION_PARAM,
        Param("model", "asyncOptions", "Model Name", default=MODEL, help="AWS's name for it."),
        CUSTOM_MODEL,
        STREAMING,
        Param("temperature", "number", "Temperature", default=0.7, optional=True, help="0: always the likeliest word."),
        Param("max_tokens_to_sample", "number", "Max Tokens to Sample", default=200, optional=True, help="In tokens."),
        IMAGES[0],
    ),
    credentials=("awsApi",),
    role="component",
    extra=EXTRA,
)
EMBEDDINGS = NodeSpec(
    name="AWSBedrockEmbeddings",
    label="AWS Bedrock Embeddings",
    version=2,
    category="Embeddings",
    base_classes=("AWSBedrockEmbeddings", "Embeddings"),
    help="Makes vectors of texts at AWS Bedrock.",
    params=(
        Param("credential", "credential", "AWS Credential"),
        REGION_PARAM,
        Param("model", "asyncOptions", "Model Name", default=EMBEDDING_MODEL, help="AWS's name for it."),
        CUSTOM_MODEL,
    ),
    credentials=("awsApi",),
    role="component",
    extra=EXTRA,
)


async def run_chat(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Configure the model; nothing is called yet.

    Raises NodeInputError without a credential (the server's own must not serve flows) or for a region that is none,
    NodeError if the extra is not installed.
    """
    account = await _account(ctx, inputs, CHAT)
    name = values.text(inputs, "customModel") or values.text(inputs, "model", MODEL)
    params = {
        **account.params,
        "model": name,
        "temperature": values.number(inputs, "temperature"),
        "max_tokens": values.integer(inputs, "max_tokens_to_sample"),
    }
    model = await _vendors_model(CHAT, "ChatBedrockConverse", params)
    return NodeResult(value=_adapted(ctx, inputs, model, name, account))


async def run_embeddings(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Configure the model; nothing is called yet. Raises like `run_chat`."""
    account = await _account(ctx, inputs, EMBEDDINGS)
    name = values.text(inputs, "customModel") or values.text(inputs, "model", EMBEDDING_MODEL)
    model = await _vendors_model(EMBEDDINGS, "BedrockEmbeddings", {**account.params, "model_id": name})
    from engine.providers.langchain_embeddings import LangChainEmbedder

    retrying = Retrying(ctx.world.clock, ctx.world.random)
    return NodeResult(
        value=LangChainEmbedder(
            model, model_name=name, host=account.host, retrying=retrying, secrets=tuple(account.fields.values())
        )
    )


@dataclass(frozen=True, slots=True)
class Account:
    """Whose models, and where they run."""

    fields: Mapping[str, str]
    region: str

    @property
    def host(self) -> str:
        return f"bedrock-runtime.{self.region}.amazonaws.com"

    @property
    def params(self) -> dict[str, Any]:
        return {
            "region_name": self.region,
            "aws_access_key_id": self.fields["awsKey"],
            "aws_secret_access_key": self.fields["awsSecret"],
            "aws_session_token": self.fields.get("awsSession") or None,
        }


async def _account(ctx: NodeContext, inputs: Inputs, spec: NodeSpec) -> Account:
    fields = await values.credential(ctx, inputs)
    if not fields.get("awsKey") or not fields.get("awsSecret"):
        raise NodeInputError(f"{spec.label} needs a credential: connect one of kind 'awsApi'.")
    region = values.text(inputs, "region", "us-east-1")
    if not REGION.match(region):
        raise NodeInputError(f"{region!r} is no region of AWS: choose one such as us-east-1.")
    return Account(fields, region)


async def _vendors_model(spec: NodeSpec, kind: str, params: Mapping[str, Any]) -> Any:
    given = {key: value for key, value in params.items() if value is not None}

    def load() -> Any:
        import langchain_aws
        from botocore.config import Config

        # Retries are ours: its own would go on after the caller has left.
        return getattr(langchain_aws, kind)(**given, config=Config(retries={"max_attempts": 1}, read_timeout=TIMEOUT_S))

    try:
        # In a thread: the first import takes seconds, in which no other run would move.
        return await asyncio.to_thread(load)
    except ImportError as exc:
        raise NodeError(f"{spec.label} is not installed on this server: pip install 'forjinn[bedrock]'") from exc


def _adapted(ctx: NodeContext, inputs: Inputs, model: Any, name: str, account: Account) -> ChatModel:
    from engine.providers.langchain import LangChainChatModel

    return LangChainChatModel(
        model,
        model_name=name,
        host=account.host,
        retrying=Retrying(ctx.world.clock, ctx.world.random),
        streaming=values.flag(inputs, "streaming", default=True),
        sees_images=values.flag(inputs, "allowImageUploads"),
        secrets=tuple(account.fields.values()),
    )


NODES = (NodeType(CHAT, cached(run_chat)), NodeType(EMBEDDINGS, run_embeddings))
