"""A stored key goes to its own hosts, whatever a flow's base URL says."""

from __future__ import annotations

from typing import Any

import pytest

from engine.credentials import Secret, check_destination
from engine.egress import Egress
from engine.errors import NodeInputError
from engine.http import HttpClient
from engine.nodes.anthropic import CHAT
from engine.nodes.models import AZURE
from engine.registry import load_registry
from engine.spec import NodeSpec
from tests.engine.node_world import MemoryCredentials, NodeWorld

KEYS = {"openAIApiKey": "sk-secret", "anthropicApiKey": "sk-secret", "azureOpenAIApiKey": "sk-secret"}
AZURE_KEYS = {**KEYS, "azureOpenAIApiInstanceName": "ours", "azureOpenAIApiDeploymentName": "gpt"}
VERTEX_KEYS = {"googleApplicationCredential": "{}", "projectID": "our-project"}
COLLECTOR = "https://collector.test/v1"


async def build(spec_name: str, inputs: dict[str, Any], secret: Secret, *, allow: str = "") -> Any:
    """The model that a node of this type makes with the credential connected."""
    async with HttpClient(Egress([allow] if allow else [])) as http:
        nodes = NodeWorld(http, credentials=MemoryCredentials({"c1": secret}))
        node_type = load_registry().get(spec_name)
        assert node_type is not None
        return (await node_type.run(nodes.context(credential="c1"), {"modelName": "gpt-4o", **inputs})).value


@pytest.mark.parametrize(
    ("name", "param"),
    [("chatOpenAI", "basepath"), ("chatOpenAICustom", "basepath"), ("azureChatOpenAI", "basepath")],
)
async def test_a_base_url_does_not_redirect_a_stored_key(name: str, param: str) -> None:
    with pytest.raises(NodeInputError, match=r"may not be sent to collector\.test.*add collector\.test to"):
        await build(name, {param: COLLECTOR}, Secret(AZURE_KEYS))


async def test_nor_does_that_of_a_package_with_a_client_of_its_own() -> None:
    pytest.importorskip("langchain_anthropic")

    with pytest.raises(NodeInputError, match=r"may not be sent to 8\.8\.8\.8, only to api\.anthropic\.com"):
        await build(CHAT.name, {"baseUrl": "https://8.8.8.8"}, Secret(KEYS))


@pytest.mark.parametrize("url", ["https://api.openai.com/v1", "https://api.openai.com:443/v1/", ""])
async def test_a_key_goes_to_its_vendor(url: str) -> None:
    model = await build("chatOpenAI", {"basepath": url}, Secret(KEYS))

    assert model.endpoint.headers["Authorization"] == "Bearer sk-secret"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.openai.com/v1",  # could be read on its way
        "https://api.openai.com:444/v1",
        "https://api.openai.com.collector.test/v1",
        "https://api.openai.com@collector.test/v1",
        "https://eu.api.openai.com/v1",
    ],
)
async def test_what_only_resembles_the_vendor_gets_no_key(url: str) -> None:
    with pytest.raises(NodeInputError, match="may not be sent to"):
        await build("chatOpenAI", {"basepath": url}, Secret(KEYS))


@pytest.mark.parametrize("host", ["collector.test", "collector.test:443"])
async def test_a_key_goes_to_the_hosts_that_its_credential_allows(host: str) -> None:
    model = await build("chatOpenAI", {"basepath": COLLECTOR}, Secret(KEYS, [host]))

    assert model.endpoint.url == f"{COLLECTOR}/chat/completions"


async def test_an_allowed_host_with_a_port_is_that_port_alone() -> None:
    with pytest.raises(NodeInputError, match="may not be sent to"):
        await build("chatOpenAI", {"basepath": COLLECTOR}, Secret(KEYS, ["collector.test:8443"]))


async def test_a_key_goes_to_what_the_administrator_allows() -> None:
    model = await build("chatOpenAI", {"basepath": "http://models.internal/v1"}, Secret(KEYS), allow="models.internal")

    assert model.endpoint.headers["Authorization"] == "Bearer sk-secret"


async def test_without_a_credential_any_base_url_will_do() -> None:
    model = await build("chatOpenAI", {"basepath": COLLECTOR}, Secret({}))

    assert "Authorization" not in model.endpoint.headers


async def test_an_azure_key_goes_to_its_own_instance() -> None:
    model = await build(AZURE.name, {}, Secret(AZURE_KEYS))

    assert model.endpoint.url.startswith("https://ours.openai.azure.com/openai/deployments/gpt/")


def test_a_secret_does_not_show_its_values() -> None:
    assert "sk-secret" not in repr(Secret(KEYS, ["collector.test"]))


def addresses(spec: NodeSpec) -> list[str]:
    return [param.name for param in spec.params if param.label in ("Base URL", "BasePath")]


def chat_models() -> list[NodeSpec]:
    """Those whose author may choose an address."""
    models = [node_type.spec for node_type in load_registry() if node_type.spec.category == "Chat Models"]
    return [spec for spec in models if addresses(spec)]


def test_nearly_every_chat_model_takes_an_address() -> None:
    assert len(chat_models()) > 20


@pytest.mark.parametrize("spec", chat_models(), ids=lambda spec: spec.name)
async def test_no_chat_model_sends_its_key_to_a_stranger(spec: NodeSpec) -> None:
    urls = dict.fromkeys(addresses(spec), COLLECTOR)

    with pytest.raises(NodeInputError, match="may not be sent to collector"):
        await build(spec.name, urls, Secret({**AZURE_KEYS, **VERTEX_KEYS}))


def test_a_credential_is_not_sent_to_what_is_no_url() -> None:
    with pytest.raises(NodeInputError, match="no URL"):
        check_destination({"key": "secret"}, "http://[bad", own_url="", egress=Egress())
