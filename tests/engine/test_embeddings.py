from typing import Any

import pytest

from engine.errors import NodeInputError, ProviderError
from engine.nodes.embedding_vendors import VENDORS, EmbeddingVendor
from engine.nodes.embeddings import run_azure, run_vendor
from engine.providers.base import Embedder
from engine.providers.fake import words_vector
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.engine.web_server import web_server
from tests.model_server import ScriptedModel

BY_NAME = {vendor.name: vendor for vendor in VENDORS}
OPENAI = BY_NAME["openAIEmbeddings"]
ALIKE = [vendor for vendor in VENDORS if vendor.path == "/embeddings"]


async def embedder(nodes: NodeWorld, url: str, vendor: EmbeddingVendor = OPENAI, **inputs: Any) -> Embedder:
    given = {"modelName": "m-1", vendor.url_param: url, **inputs}
    built: Embedder = (await run_vendor(vendor)(nodes.context(), given)).value
    return built


@pytest.mark.parametrize("vendor", ALIKE, ids=lambda vendor: vendor.name)
async def test_vendors_of_openais_format_are_asked_in_it(
    nodes: NodeWorld, model: ScriptedModel, vendor: EmbeddingVendor
) -> None:
    nodes.credentials = MemoryCredentials({"c1": {vendor.key_field: "key-of-theirs"}})
    url = model.root if vendor.url_suffix else model.url

    [vector] = await (await embedder(nodes, url, vendor, FLOWISE_CREDENTIAL_ID="c1")).embed(["snow"])

    assert vector == words_vector("snow")
    [asked] = model.embedded
    assert (asked.path, asked.body) == ("/v1/embeddings", {"model": "m-1", "input": ["snow"]})
    assert asked.headers.get("authorization") == ("Bearer key-of-theirs" if vendor.credential else None)


@pytest.mark.parametrize("vendor", [v for v in VENDORS if v.needs_key], ids=lambda vendor: vendor.name)
async def test_a_vendor_without_a_key_names_the_credential(nodes: NodeWorld, vendor: EmbeddingVendor) -> None:
    with pytest.raises(NodeInputError, match=f"connect one of kind '{vendor.credential}'"):
        await run_vendor(vendor)(nodes.context(), {"modelName": "m-1"})


async def test_many_texts_go_in_batches_and_come_back_in_order(nodes: NodeWorld, model: ScriptedModel) -> None:
    texts = [f"word{number}" for number in range(7)]

    vectors = await (await embedder(nodes, model.url, batchSize="3")).embed(texts)

    assert vectors == [words_vector(text) for text in texts]
    assert sorted(len(call.body["input"]) for call in model.embedded) == [1, 3, 3]


async def test_no_texts_are_no_call(nodes: NodeWorld, model: ScriptedModel) -> None:
    assert await (await embedder(nodes, model.url)).embed([]) == []
    assert model.embedded == []


async def test_line_breaks_can_be_left_out(nodes: NodeWorld, model: ScriptedModel) -> None:
    await (await embedder(nodes, model.url, stripNewLines="true", dimensions="8")).embed(["one\ntwo"])

    assert model.embedded[0].body == {"model": "m-1", "input": ["one two"], "dimensions": 8}


async def test_a_passing_refusal_is_tried_again(nodes: NodeWorld, model: ScriptedModel) -> None:
    model.embedding_refusals.append(429)

    await (await embedder(nodes, model.url)).embed(["snow"])

    assert len(model.embedded) == 2


async def test_a_lasting_refusal_of_one_batch_is_the_error(nodes: NodeWorld, model: ScriptedModel) -> None:
    model.embedding_refusals.extend([400, 400])

    with pytest.raises(ProviderError, match="answered 400: not now"):
        await (await embedder(nodes, model.url, batchSize=1)).embed(["snow", "coal"])


@pytest.mark.parametrize("answer", ["[]", '{"data": [{"embedding": ["x"]}]}', '{"data": []}', "oops"])
async def test_an_answer_without_the_vectors_is_an_error(nodes: NodeWorld, answer: str) -> None:
    async with web_server((200, answer)) as server:
        with pytest.raises(ProviderError, match=r"sent (no|0) embeddings"):
            await (await embedder(nodes, server.url)).embed(["snow"])


async def test_cohere_is_asked_in_its_own_format(nodes: NodeWorld) -> None:
    async with web_server((200, '{"embeddings": {"float": [[1, 2]]}}')) as server:
        vectors = await (await embedder(nodes, server.url, BY_NAME["cohereEmbeddings"], inputType="clustering")).embed(
            ["a"]
        )

    assert vectors == [(1.0, 2.0)]
    assert server.received[0].path == "/v2/embed"
    assert server.received[0].body == {
        "model": "m-1",
        "texts": ["a"],
        "embedding_types": ["float"],
        "input_type": "clustering",
    }


async def test_hugging_face_is_asked_at_its_models_address(nodes: NodeWorld) -> None:
    vendor = BY_NAME["huggingFaceInferenceEmbeddings"]
    async with web_server((200, "[[1, 2], [3, 4]]")) as server:
        vectors = await (await embedder(nodes, server.url, vendor, modelName="owner/m")).embed(["a", "b"])

    assert vectors == [(1.0, 2.0), (3.0, 4.0)]
    assert server.received[0].path == "/models/owner/m/pipeline/feature-extraction"
    assert server.received[0].body == {"inputs": ["a", "b"]}


async def test_azure_is_asked_at_its_deployment(nodes: NodeWorld, model: ScriptedModel) -> None:
    fields = {"azureOpenAIApiKey": "azure-key", "azureOpenAIApiEmbeddingsDeploymentName": "d-1"}
    nodes.credentials = MemoryCredentials({"c1": fields})

    built = await run_azure(nodes.context(credential="c1"), {"basepath": model.url})
    await built.value.embed(["snow"])

    [asked] = model.embedded
    assert (asked.path, asked.headers["api-key"]) == ("/v1/d-1/embeddings", "azure-key")


async def test_azure_needs_an_instance(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="an instance name"):
        await run_azure(nodes.context(), {})
