import json
from typing import Any

import pytest

from engine.errors import NodeInputError, ProviderError
from engine.nodes.rerankers import VENDORS, RerankVendor, run_reranker
from engine.providers.base import Document, Retriever
from engine.spec import NodeResult
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.engine.web_server import web_server

KEY = "key-of-the-vendor"
FOUND = [Document("Coal.", {"source": "a"}), Document("Snow."), Document("Ice.")]
every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


class Fixed:
    """Finds the same, whatever is looked for."""

    def __init__(self, *documents: Document) -> None:
        self.documents = list(documents)

    async def retrieve(self, query: str) -> list[Document]:
        return self.documents


async def ran(
    nodes: NodeWorld, vendor: RerankVendor, url: str, base: Any = None, *, output: str = "", **inputs: Any
) -> NodeResult:
    nodes.credentials = MemoryCredentials({"c1": {vendor.key_field: KEY}})
    ctx = nodes.context("winter", credential="c1", output=output)
    return await run_reranker(vendor, url)(ctx, {"baseRetriever": base or Fixed(*FOUND), **inputs})


def order(vendor: RerankVendor, *scored: tuple[int, float]) -> tuple[int, str]:
    return 200, json.dumps({vendor.results: [{"index": at, "relevance_score": score} for at, score in scored]})


@every_vendor
async def test_documents_come_in_the_vendors_order(nodes: NodeWorld, vendor: RerankVendor) -> None:
    async with web_server(order(vendor, (1, 0.9), (0, 0.2))) as server:
        retriever = (await ran(nodes, vendor, server.url, model="m-1", **{vendor.top_param: "2"})).value
        documents = await retriever.retrieve("snow?")

    assert documents == [
        Document("Snow.", {"relevance_score": 0.9}),
        Document("Coal.", {"source": "a", "relevance_score": 0.2}),
    ]
    assert isinstance(retriever, Retriever)
    [asked] = server.received
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body["documents"] == ["Coal.", "Snow.", "Ice."]
    assert (asked.body["model"], asked.body["query"], asked.body[vendor.top_field]) == ("m-1", "snow?", 2)


@every_vendor
async def test_nothing_found_is_no_call(nodes: NodeWorld, vendor: RerankVendor) -> None:
    async with web_server() as server:
        retriever = (await ran(nodes, vendor, server.url, Fixed())).value

        assert await retriever.retrieve("snow?") == []

    assert server.received == []


@pytest.mark.parametrize(("output", "query", "asked"), [("text", "", "winter"), ("document", "ice?", "ice?")])
async def test_another_output_is_what_it_finds_now(nodes: NodeWorld, output: str, query: str, asked: str) -> None:
    async with web_server(order(VENDORS[0], (2, 0.5))) as server:
        result = await ran(nodes, VENDORS[0], server.url, output=output, query=query)

    shown = {"pageContent": "Ice.", "metadata": {"relevance_score": 0.5}}
    assert result.value == ("Ice." if output == "text" else [shown])
    assert server.received[0].body["query"] == asked


@pytest.mark.parametrize("answer", ["[]", "{}", '{"results": [{"index": 9, "relevance_score": 1}]}'])
async def test_an_answer_without_an_order_is_an_error(nodes: NodeWorld, answer: str) -> None:
    async with web_server((200, answer)) as server:
        retriever = (await ran(nodes, VENDORS[0], server.url)).value

        with pytest.raises(ProviderError, match="holds no order"):
            await retriever.retrieve("snow?")


async def test_a_refusal_is_told_without_the_key(nodes: NodeWorld) -> None:
    async with web_server((403, f"{KEY} may not rank")) as server:
        retriever = (await ran(nodes, VENDORS[0], server.url)).value

        with pytest.raises(ProviderError, match=r"answered 403: \[key\] may not rank"):
            await retriever.retrieve("snow?")


@every_vendor
async def test_a_vendor_without_a_key_names_the_credential(nodes: NodeWorld, vendor: RerankVendor) -> None:
    with pytest.raises(NodeInputError, match=f"needs a credential of kind '{vendor.credential}'"):
        await run_reranker(vendor)(nodes.context(), {"baseRetriever": Fixed()})


@every_vendor
async def test_a_number_that_makes_no_sense_is_refused(nodes: NodeWorld, vendor: RerankVendor) -> None:
    with pytest.raises(NodeInputError, match=f"{vendor.top_param} must be from 1 to 1000, not -1"):
        await ran(nodes, vendor, "https://example.org", None, **{vendor.top_param: "-1"})
