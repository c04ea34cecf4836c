"""Retrievers that have a vendor's model put what another one found in order: one row a vendor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeInputError, ProviderError
from engine.nodes import values
from engine.nodes.finding import BASE, OUTPUTS, QUERY, at_output
from engine.providers.base import Document, Retriever
from engine.providers.rest import RestDatabase
from engine.providers.retrying import Retrying
from engine.spec import Inputs, NodeResult, NodeRun, NodeSpec, NodeType, Param

TOP_K = 4
MOST_TOP_K = 1000
Write = Callable[[Inputs], Mapping[str, Any]]


def _cohere_extras(inputs: Inputs) -> Mapping[str, Any]:
    return {"max_chunks_per_doc": values.integer(inputs, "maxChunksPerDoc") or 10}


@dataclass(frozen=True, slots=True)
class RerankVendor:
    """A vendor, by the names that exported flows use for it. All of them are asked alike."""

    name: str
    label: str
    version: float
    url: str
    credential: str
    key_field: str
    model: str
    top_param: str = "topK"  # what the flow calls the number of documents that are kept
    top_field: str = "top_n"  # what the vendor calls it
    results: str = "results"  # where the order stands in the answer
    params: tuple[Param, ...] = ()
    extras: Write = lambda inputs: {}

    @property
    def spec(self) -> NodeSpec:
        return NodeSpec(
            name=self.name,
            label=self.label,
            version=self.version,
            category="Retrievers",
            base_classes=(self.label.replace(" ", ""), "BaseRetriever"),
            help="Puts what another retriever finds in the order in which it answers the question.",
            params=(
                Param("credential", "credential", "Connect Credential"),
                BASE,
                Param(
                    "model", "asyncOptions", "Model Name", default=self.model, optional=True, help="Which one ranks."
                ),
                QUERY,
                Param(
                    self.top_param, "number", "Top K", optional=True, help=f"How many are kept; {TOP_K} unless given."
                ),
                *self.params,
            ),
            outputs=OUTPUTS,
            credentials=(self.credential,),
            role="component",
        )


@dataclass(frozen=True, slots=True)
class RerankedRetriever:
    """Has a vendor order what another retriever finds; implements `Retriever`. `asked` goes along with each call."""

    retriever: Retriever
    vendor: RerankVendor
    server: RestDatabase
    asked: Mapping[str, Any]

    async def retrieve(self, query: str) -> list[Document]:
        """See `Retriever.retrieve`. Each document's metadata has its `relevance_score`, from 0 to 1."""
        documents = await self.retriever.retrieve(query)
        if not documents:
            return []
        texts = [document.text for document in documents]
        answer = await self.server.call("POST", "", {**self.asked, "query": query, "documents": texts})
        try:
            return [_scored(documents, result) for result in answer[self.vendor.results]]
        except (KeyError, TypeError, IndexError, ValueError) as exc:
            raise ProviderError(f"{self.vendor.label}: the answer holds no order.", retryable=False) from exc


def _scored(documents: Sequence[Document], result: Mapping[str, Any]) -> Document:
    document = documents[int(result["index"])]
    return replace(document, metadata={**document.metadata, "relevance_score": float(result["relevance_score"])})


def run_reranker(vendor: RerankVendor, url: str = "") -> NodeRun:
    """The run function of one row of the table, for the vendor's server or one at `url`."""
    place = url or vendor.url

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """Nothing is asked until something is looked for. Raises NodeInputError without a key or a retriever."""
        return await at_output(ctx, inputs, await _reranked(ctx, inputs, vendor, place))

    return run


async def _reranked(ctx: NodeContext, inputs: Inputs, vendor: RerankVendor, url: str) -> RerankedRetriever:
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    base = values.connected(inputs, "baseRetriever", Retriever, "A retriever needs another one")  # type: ignore[type-abstract]
    fields = await values.credential(ctx, inputs)
    key = fields.get(vendor.key_field, "")
    if not key:
        raise NodeInputError(f"{vendor.label} needs a credential of kind {vendor.credential!r}: connect one.")
    check_destination(fields, url, own_url=url, egress=ctx.world.http.egress)
    top_k = values.integer(inputs, vendor.top_param) or TOP_K
    if not 0 < top_k <= MOST_TOP_K:
        raise NodeInputError(f"{vendor.top_param} must be from 1 to {MOST_TOP_K}, not {top_k}.")
    world = ctx.world
    server = RestDatabase(
        url,
        http=world.http,
        retrying=Retrying(world.clock, world.random),
        headers={"Authorization": f"Bearer {key}"},
        secrets=(key,),
    )
    model = values.text(inputs, "model", vendor.model)
    return RerankedRetriever(base, vendor, server, {"model": model, vendor.top_field: top_k, **vendor.extras(inputs)})


VENDORS = (
    RerankVendor(
        "cohereRerankRetriever",
        "Cohere Rerank Retriever",
        1,
        "https://api.cohere.com/v1/rerank",
        credential="cohereApi",
        key_field="cohereApiKey",
        model="rerank-v3.5",
        params=(
            Param(
                "maxChunksPerDoc",
                "number",
                "Max Chunks Per Doc",
                optional=True,
                help="Of a long text; 10 unless given.",
            ),
        ),
        extras=_cohere_extras,
    ),
    RerankVendor(
        "JinaRerankRetriever",
        "Jina AI Rerank Retriever",
        1,
        "https://api.jina.ai/v1/rerank",
        credential="jinaAIApi",
        key_field="jinaAIAPIKey",
        model="jina-reranker-v2-base-multilingual",
        top_param="topN",
    ),
    RerankVendor(
        "voyageAIRerankRetriever",
        "Voyage AI Rerank Retriever",
        1,
        "https://api.voyageai.com/v1/rerank",
        credential="voyageAIApi",
        key_field="apiKey",
        model="rerank-lite-1",
        top_field="top_k",
        results="data",
    ),
)

NODES = tuple(NodeType(vendor.spec, run_reranker(vendor)) for vendor in VENDORS)
