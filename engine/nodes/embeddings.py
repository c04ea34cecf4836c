"""Embeddings nodes: models that make vectors of texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeInputError
from engine.nodes import values
from engine.nodes.embedding_vendors import BATCH_SIZE, CONNECT, TIMEOUT, VENDORS, EmbeddingVendor
from engine.providers.base import Embedder
from engine.providers.embeddings import BATCH, TIMEOUT_S, EmbeddingEndpoint, HttpEmbedder
from engine.providers.retrying import Retrying
from engine.spec import Inputs, NodeResult, NodeRun, NodeSpec, NodeType, Param

AZURE_NAME = re.compile(r"[A-Za-z0-9-]+\Z")
AZURE_VERSION = "2024-10-21"


def _azure_spec(name: str, label: str, version: float, base_class: str) -> NodeSpec:
    return NodeSpec(
        name=name,
        label=label,
        version=version,
        category="Embeddings",
        base_classes=(label, base_class),
        help="OpenAI's embedding models as deployed on Azure.",
        params=(
            replace(CONNECT, optional=False),
            BATCH_SIZE,
            TIMEOUT,
            Param("basepath", "string", "BasePath", optional=True, help="Instead of the instance's own address."),
        ),
        credentials=("azureOpenAIApi",),
        role="component",
    )


AZURE = _azure_spec("azureOpenAIEmbeddings", "Azure OpenAI Embeddings", 2, "Embeddings")
AZURE_LLAMA_INDEX = _azure_spec(
    "azureOpenAIEmbeddingsLlamaIndex", "Azure OpenAI Embeddings (LlamaIndex)", 1, "BaseEmbedding_LlamaIndex"
)


class OneLine:
    """An embedding model that is shown texts without their line breaks; implements `Embedder`."""

    def __init__(self, embedder: Embedder) -> None:
        self.model_name = embedder.model_name
        self._embedder = embedder

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """See `Embedder.embed`."""
        return await self._embedder.embed([text.replace("\n", " ") for text in texts])


def run_vendor(vendor: EmbeddingVendor) -> NodeRun:
    """The run function of one row of the table."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """Configure the model; nothing is called yet. Raises NodeInputError if the vendor needs a key and has none."""
        base_url = values.text(inputs, vendor.url_param, vendor.base_url).rstrip("/").removesuffix("/embeddings")
        if not base_url:
            raise NodeInputError(f"{vendor.label} needs {vendor.url_param!r}: the address of its server.")
        fields = await values.credential(ctx, inputs) if vendor.credential else {}
        check_destination(fields, base_url, own_url=vendor.base_url, egress=ctx.world.http.egress)
        key = fields.get(vendor.key_field, "")
        if not key and vendor.needs_key and base_url == vendor.base_url:
            raise NodeInputError(
                f"{vendor.label} needs a credential: connect one of kind {vendor.credential!r}, or set "
                f"{vendor.url_param!r} to a server that needs none."
            )
        model = values.text(inputs, "modelName", vendor.model)
        if not model:
            raise NodeInputError(f"{vendor.label} needs the name of a model under 'modelName'.")
        endpoint = EmbeddingEndpoint(
            url=_url(vendor, base_url, model),
            model=model,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            params=_params(vendor, inputs),
            batch=_batch(inputs, vendor.batch),
            timeout_s=values.patience_s(inputs, "timeout") or TIMEOUT_S,
            write=vendor.write,
            read=vendor.read,
        )
        return _built(ctx, inputs, endpoint)

    return run


async def run_azure(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Configure the model; nothing is called yet. The credential says which instance and deployment."""
    fields = await values.credential(ctx, inputs)
    key = fields.get("azureOpenAIApiKey", "")
    base_url = values.text(inputs, "basepath").rstrip("/")
    deployment = fields.get("azureOpenAIApiEmbeddingsDeploymentName") or fields.get("azureOpenAIApiDeploymentName", "")
    instance = fields.get("azureOpenAIApiInstanceName", "")
    own_url = f"https://{instance}.openai.azure.com" if AZURE_NAME.match(instance) else ""
    if base_url:
        check_destination(fields, base_url, own_url=own_url, egress=ctx.world.http.egress)
    else:
        if not key or not deployment or not own_url:
            raise NodeInputError(
                f"{ctx.node.label} needs a credential of kind 'azureOpenAIApi' with a key, an instance name and a "
                "deployment name, or a 'basepath' to a server that needs none."
            )
        base_url = f"{own_url}/openai/deployments"
    version = fields.get("azureOpenAIApiVersion") or AZURE_VERSION
    endpoint = EmbeddingEndpoint(
        url=f"{base_url}/{deployment}/embeddings?api-version={version}",
        model=deployment,
        headers={"api-key": key} if key else {},
        batch=_batch(inputs, BATCH),
        timeout_s=values.patience_s(inputs, "timeout") or TIMEOUT_S,
    )
    return _built(ctx, inputs, endpoint)


def _built(ctx: NodeContext, inputs: Inputs, endpoint: EmbeddingEndpoint) -> NodeResult:
    world = ctx.world
    embedder: Embedder = HttpEmbedder(endpoint, http=world.http, retrying=Retrying(world.clock, world.random))
    return NodeResult(value=OneLine(embedder) if values.flag(inputs, "stripNewLines") else embedder)


def _url(vendor: EmbeddingVendor, base_url: str, model: str) -> str:
    suffix = vendor.url_suffix if vendor.url_suffix and not base_url.endswith(vendor.url_suffix) else ""
    return f"{base_url}{suffix}{vendor.path.format(model=model)}"


def _params(vendor: EmbeddingVendor, inputs: Inputs) -> dict[str, int | str]:
    known = {param.name: param for param in vendor.extra}
    sent: dict[str, int | str] = {}
    for name, vendors_name in vendor.sent:
        if name in known:
            value = values.integer(inputs, name) if known[name].kind == "number" else values.text(inputs, name)
            if value:
                sent[vendors_name] = value
    return sent


def _batch(inputs: Inputs, most: int) -> int:
    asked = values.integer(inputs, "batchSize")
    return most if asked is None or asked < 1 else min(asked, 2048)


NODES = (
    *(NodeType(vendor.spec, run_vendor(vendor)) for vendor in VENDORS),
    NodeType(AZURE, run_azure),
    NodeType(AZURE_LLAMA_INDEX, run_azure),
)
