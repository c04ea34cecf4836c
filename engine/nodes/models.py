"""Chat models behind OpenAI-compatible endpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.caching import cached
from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeInputError
from engine.http import Patience
from engine.nodes import values
from engine.nodes.model_variants import VARIANTS
from engine.nodes.model_vendors import FULL, STREAMING, TEMPERATURE, TOP_P, VENDORS, Vendor
from engine.providers.openai import OpenAIChatModel
from engine.providers.openai_text import OpenAITextModel
from engine.providers.openai_wire import Endpoint
from engine.spec import Inputs, NodeResult, NodeRun, NodeSpec, NodeType, Param

# They think before they answer: they take no temperature, and count their thoughts against the limit of tokens.
REASONING_MODEL = re.compile(r"(.*/)?(o\d|gpt-5(?!-chat))")
AZURE_NAME = re.compile(r"[A-Za-z0-9-]+\Z")
AZURE_VERSION = "2024-10-21"

AZURE = NodeSpec(
    name="azureChatOpenAI",
    label="Azure ChatOpenAI",
    version=7.1,
    category="Chat Models",
    base_classes=("AzureChatOpenAI", "BaseChatModel", "BaseLanguageModel", "Runnable"),
    help="OpenAI's chat models as deployed on Azure.",
    params=(
        Param("credential", "credential", "Connect Credential"),
        Param("cache", "BaseCache", "Cache", optional=True),
        Param("modelName", "asyncOptions", "Model Name", help="Tells reasoning models from others."),
        TEMPERATURE,
        STREAMING,
        Param("maxTokens", "number", "Max Tokens", optional=True, help="Longest answer, in tokens."),
        TOP_P,
        Param("basepath", "string", "BasePath", optional=True, help="Instead of the instance's own address."),
        *FULL,
    ),
    credentials=("azureOpenAIApi",),
    role="component",
)


AZURE_LLAMA_INDEX = replace(
    AZURE,
    name="azureChatOpenAI_LlamaIndex",
    version=2,
    base_classes=("AzureChatOpenAI", "BaseChatModel_LlamaIndex"),
)


def run_vendor(vendor: Vendor) -> NodeRun:
    """The run function of one row of the table."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """Configure the model; nothing is called yet. Raises NodeInputError if the vendor needs a key and has none."""
        base_url = _base_url(vendor, inputs)
        fields = await values.credential(ctx, inputs)
        check_destination(fields, base_url, own_url=vendor.base_url, egress=ctx.world.http.egress)
        key = fields.get(vendor.key_field, "")
        if not key and vendor.needs_key and base_url == vendor.base_url:
            raise NodeInputError(
                f"{vendor.label} needs a credential: connect one of kind {vendor.credential!r}, or set "
                f"{vendor.url_param!r} to a server that needs none."
            )
        endpoint = _endpoint(
            f"{base_url}/{'completions' if vendor.is_text else 'chat/completions'}",
            {"Authorization": f"Bearer {key}"} if key else {},
            _params(inputs, vendor.model_param, max_tokens=vendor.max_tokens_param, default_model=vendor.model),
            inputs,
            vendor,
        )
        if vendor.is_text:
            world = ctx.world
            model = OpenAITextModel(endpoint, http=world.http, clock=world.clock, random=world.random)
            return NodeResult(value=model)
        return _built(ctx, inputs, endpoint)

    return run


async def run_azure(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Configure the model; nothing is called yet. The credential says which instance and deployment."""
    fields = await values.credential(ctx, inputs)
    key = fields.get("azureOpenAIApiKey", "")
    base_url = values.text(inputs, "basepath").rstrip("/")
    instance = fields.get("azureOpenAIApiInstanceName", "")
    own_url = f"https://{instance}.openai.azure.com" if AZURE_NAME.match(instance) else ""
    if base_url:
        check_destination(fields, base_url, own_url=own_url, egress=ctx.world.http.egress)
    else:
        if not key or not own_url:
            raise NodeInputError(
                "Azure ChatOpenAI needs a credential of kind 'azureOpenAIApi' with a key and an instance name, or a "
                "'basepath' to a server that needs none."
            )
        base_url = f"{own_url}/openai/deployments"
    deployment = fields.get("azureOpenAIApiDeploymentName") or values.text(inputs, "modelName")
    version = fields.get("azureOpenAIApiVersion") or AZURE_VERSION
    endpoint = _endpoint(
        f"{base_url}/{deployment}/chat/completions?api-version={version}",
        {"api-key": key} if key else {},
        _params(inputs, max_tokens="maxTokens"),
        inputs,
    )
    return _built(ctx, inputs, endpoint)


def _built(ctx: NodeContext, inputs: Inputs, endpoint: Endpoint) -> NodeResult:
    world = ctx.world
    streaming = values.flag(inputs, "streaming", default=True)
    return NodeResult(
        value=OpenAIChatModel(endpoint, http=world.http, clock=world.clock, random=world.random, streaming=streaming)
    )


def _base_url(vendor: Vendor, inputs: Inputs) -> str:
    url = values.text(inputs, vendor.url_param, vendor.base_url).rstrip("/").removesuffix("/chat/completions")
    if not url:
        raise NodeInputError(f"{vendor.label} needs {vendor.url_param!r}: the address of its server.")
    return url + vendor.url_suffix if vendor.url_suffix and not url.endswith(vendor.url_suffix) else url


def _endpoint(
    url: str, auth: Mapping[str, str], params: Mapping[str, Any], inputs: Inputs, vendor: Vendor | None = None
) -> Endpoint:
    patience_s = values.patience_s(inputs, "timeout")
    resolution = values.text(inputs, "imageResolution", "auto")
    return Endpoint(
        url=url,
        params=params,
        headers={**_extra_headers(inputs), **auth},
        image_detail=resolution if values.flag(inputs, "allowImageUploads") else "",
        is_openai=vendor.is_openai if vendor else True,
        counts_usage=vendor.counts_usage if vendor else True,
        patience=Patience(patience_s, patience_s) if patience_s else Patience(),
    )


def _extra_headers(inputs: Inputs) -> dict[str, str]:
    """`baseOptions` holds headers: by themselves, or under "headers" as older exports have it."""
    options = values.mapping(inputs, "baseOptions")
    headers = options.get("headers", options)
    if not isinstance(headers, Mapping):
        raise NodeInputError("The headers in baseOptions must be a JSON object.")
    return {str(name): str(value) for name, value in headers.items() if isinstance(value, str | int | float)}


def _stops(inputs: Inputs) -> str:
    return values.text(inputs, "stopSequence") or values.text(inputs, "stop")


def _params(
    inputs: Inputs, model_param: str = "modelName", *, max_tokens: str, default_model: str = ""
) -> dict[str, Any]:
    model = values.text(inputs, "customModelName") or values.text(inputs, model_param, default_model)
    if not model:
        raise NodeInputError(f"The model has no name: choose one under {model_param!r}.")
    is_reasoning = REASONING_MODEL.match(model) is not None or values.flag(inputs, "reasoning")
    params = {
        "model": model,
        "temperature": None if is_reasoning else values.number(inputs, "temperature"),
        "max_completion_tokens" if is_reasoning else "max_tokens": values.integer(inputs, max_tokens),
        "top_p": values.number(inputs, "topP"),
        "frequency_penalty": values.number(inputs, "frequencyPenalty"),
        "presence_penalty": values.number(inputs, "presencePenalty"),
        "reasoning_effort": values.text(inputs, "reasoningEffort") if is_reasoning else None,
        "stop": [part.strip() for part in _stops(inputs).split(",") if part.strip()],
    }
    return {name: value for name, value in params.items() if value is not None and value != "" and value != []}


NODES = (
    *(NodeType(vendor.spec, cached(run_vendor(vendor))) for vendor in (*VENDORS, *VARIANTS)),
    NodeType(AZURE, cached(run_azure)),
    NodeType(AZURE_LLAMA_INDEX, cached(run_azure)),
)
