from typing import Any

import pytest

from engine.errors import NodeInputError
from engine.nodes.model_variants import VARIANTS
from engine.nodes.model_vendors import VENDORS, Vendor
from engine.nodes.models import run_azure, run_vendor
from engine.providers.base import Message
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.model_server import Request, ScriptedModel

HELLO = [Message("user", "hello")]
ALL = (*VENDORS, *(vendor for vendor in VARIANTS if not vendor.is_text))
BY_NAME = {vendor.name: vendor for vendor in ALL}
OPENAI = BY_NAME["chatOpenAI"]


async def ask(nodes: NodeWorld, model: ScriptedModel, vendor: Vendor = OPENAI, **inputs: Any) -> Request:
    """What the scripted server was sent by a model with these inputs."""
    base = model.root if vendor.url_suffix else model.url
    built = await run_vendor(vendor)(nodes.context(), {vendor.model_param: "m-1", vendor.url_param: base, **inputs})
    await built.value.complete(HELLO)
    return model.requests[-1]


@pytest.mark.parametrize("vendor", ALL, ids=lambda vendor: vendor.name)
async def test_every_vendor_is_asked_in_openais_format(nodes: NodeWorld, model: ScriptedModel, vendor: Vendor) -> None:
    key = "key-of-" + vendor.name
    nodes.credentials = MemoryCredentials({"c1": {vendor.key_field: key}})

    request = await ask(nodes, model, vendor, FLOWISE_CREDENTIAL_ID="c1", **{vendor.max_tokens_param: "7"})

    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {key}"
    assert (request.body["model"], request.body["max_tokens"]) == ("m-1", 7)


@pytest.mark.parametrize("vendor", [v for v in ALL if v.needs_key and v.base_url], ids=lambda vendor: vendor.name)
async def test_a_vendor_without_a_key_names_the_credential(nodes: NodeWorld, vendor: Vendor) -> None:
    with pytest.raises(NodeInputError, match=f"connect one of kind '{vendor.credential}'"):
        await run_vendor(vendor)(nodes.context(), {vendor.model_param: "m-1"})


async def test_loose_values_become_what_the_format_wants(nodes: NodeWorld, model: ScriptedModel) -> None:
    request = await ask(
        nodes,
        model,
        temperature="0",
        topP="0.5",
        frequencyPenalty="",
        stopSequence="END, STOP",
        baseOptions='{"headers": {"X-Team": 7}}',
        maxTokens="",
    )

    assert {name: value for name, value in request.body.items() if name != "messages"} == {
        "model": "m-1",
        "temperature": 0.0,
        "top_p": 0.5,
        "stop": ["END", "STOP"],
    }
    assert request.headers["x-team"] == "7"
    assert "authorization" not in request.headers


@pytest.mark.parametrize(("name", "reasons"), [("o3-mini", True), ("gpt-5", True), ("gpt-5-chat-latest", False)])
async def test_reasoning_models_take_other_parameters(
    nodes: NodeWorld, model: ScriptedModel, name: str, reasons: bool
) -> None:
    request = await ask(nodes, model, modelName=name, temperature=0.5, maxTokens=9, reasoningEffort="low")

    sent = {"max_completion_tokens": 9, "reasoning_effort": "low"} if reasons else {"max_tokens": 9, "temperature": 0.5}
    assert {key: request.body.get(key) for key in sent} == sent
    assert ("temperature" in request.body) is not reasons


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"temperature": "hot"}, "temperature must be a number"),
        ({"maxTokens": "1e300"}, "maxTokens must be a whole number"),
        ({"timeout": -1}, "timeout must be milliseconds to wait, not -1"),
        ({"baseOptions": "[]"}, "baseOptions must be a JSON object"),
        ({"baseOptions": {"headers": 7}}, "headers in baseOptions must be"),
        ({"FLOWISE_CREDENTIAL_ID": "theirs"}, "no credential 'theirs'"),
    ],
)
async def test_values_that_make_no_sense_are_refused(nodes: NodeWorld, inputs: dict[str, Any], told: str) -> None:
    with pytest.raises(NodeInputError, match=told):
        await run_vendor(OPENAI)(nodes.context(), {"basepath": "http://127.0.0.1:1/v1", **inputs})


async def test_a_server_without_an_address_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="needs 'basePath'"):
        await run_vendor(BY_NAME["chatLocalAI"])(nodes.context(), {"modelName": "m-1"})


async def test_a_model_without_a_name_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="The model has no name"):
        await run_vendor(BY_NAME["chatLocalAI"])(nodes.context(), {"basePath": "http://127.0.0.1:1/v1"})


async def test_azure_is_asked_at_its_deployment(nodes: NodeWorld, model: ScriptedModel) -> None:
    nodes.credentials = MemoryCredentials(
        {"c1": {"azureOpenAIApiKey": "azure-key", "azureOpenAIApiDeploymentName": "d-1", "azureOpenAIApiVersion": "v9"}}
    )
    ctx = nodes.context(credential="c1")

    await (await run_azure(ctx, {"modelName": "gpt-4o", "basepath": model.url})).value.complete(HELLO)

    request = model.requests[0]
    assert (request.path, request.query) == ("/v1/d-1/chat/completions", {"api-version": "v9"})
    assert request.headers["api-key"] == "azure-key"


@pytest.mark.parametrize("instance", ["", "evil.example/x?"])
async def test_azure_needs_an_instance(nodes: NodeWorld, instance: str) -> None:
    nodes.credentials = MemoryCredentials(
        {"c1": {"azureOpenAIApiKey": "azure-key", "azureOpenAIApiInstanceName": instance}}
    )

    with pytest.raises(NodeInputError, match="an instance name") as refused:
        await run_azure(nodes.context(credential="c1"), {"modelName": "gpt-4o"})

    assert "azure-key" not in refused.value.message
