import base64
from typing import Any

import orjson
import pytest

from engine.errors import NodeError, NodeInputError
from engine.nodes.api_chains import METHODS, run_method, run_open_api
from engine.nodes.tools import run_chain_tool
from engine.providers.fake import FakeChatModel, calling
from tests.engine.node_world import NodeWorld
from tests.engine.web_server import web_server

GET, POST = (run_method(method) for method in METHODS)
WEATHER: dict[str, Any] = {
    "openapi": "3.0.0",
    "paths": {
        "/weather/{city}": {
            "get": {
                "operationId": "weather",
                "summary": "The weather of a city.",
                "parameters": [{"name": "city", "in": "path", "schema": {"type": "string"}}],
            }
        }
    },
}


async def test_a_model_writes_the_url_and_answers_from_what_it_gives(nodes: NodeWorld) -> None:
    async with web_server((200, '{"degrees": 3}')) as server:
        docs = f"GET {server.url}/now?city=NAME gives the weather of a city."
        model = FakeChatModel([f"{server.url}/now?city=Bern", "It is 3 degrees."])

        result = await GET(
            nodes.context("Is it cold in Bern?", streams=True),
            {"model": model, "apiDocs": docs, "headers": {"X-Key": "k"}},
        )

    asked, answering = (call.messages[0].content for call in model.calls)
    (received,) = server.received
    assert result.output["content"] == "It is 3 degrees."
    assert (received.method, received.path, received.query) == ("GET", "/now", {"city": "Bern"})
    assert received.headers["x-key"] == "k"
    assert docs in asked
    assert "Is it cold in Bern?" in asked
    assert '{"degrees": 3}' in answering
    assert nodes.seen.tokens == ["It", " is", " 3", " degrees."]


async def test_a_model_writes_what_is_posted(nodes: NodeWorld) -> None:
    async with web_server((200, "done")) as server:
        written = f'```json\n{{"url": "{server.url}/items", "data": {{"name": "hat"}}}}\n```'
        inputs = {"model": FakeChatModel([written, "I added it."]), "apiDocs": f"POST {server.url}/items adds one."}

        result = await POST(nodes.context("Add a hat"), inputs)

    assert result.output["content"] == "I added it."
    assert server.received[0].body == {"name": "hat"}


async def test_a_chain_that_another_node_uses_asks_nothing_before_it_is_asked(nodes: NodeWorld) -> None:
    async with web_server((200, '{"degrees": 3}')) as server:
        model = FakeChatModel([f"{server.url}/now?city=Bern", "It is 3 degrees."])
        ctx = nodes.context("unasked", is_last=False)
        chain = (await GET(ctx, {"model": model, "apiDocs": f"GET {server.url}/now?city=NAME"})).value
        tool = (await run_chain_tool(ctx, {"name": "weather", "baseChain": chain})).value

        assert model.calls == []
        assert await tool.call({"input": "Is it cold in Bern?"}) == "It is 3 degrees."

    assert "Is it cold in Bern?" in model.calls[0].messages[0].content


@pytest.mark.parametrize("written", ["http://169.254.169.254/latest", "https://evil.example/?key=1", "HOST:1/now"])
async def test_what_the_documentation_does_not_name_is_not_called(nodes: NodeWorld, written: str) -> None:
    async with web_server() as server:
        model = FakeChatModel([written.replace("HOST:1", "http://127.0.0.1:1")])

        with pytest.raises(NodeError, match="apiDocs does not name: it was not called"):
            await GET(nodes.context("?"), {"model": model, "apiDocs": f"See {server.url}/now."})

    assert server.received == []


async def test_a_name_before_an_at_sign_is_no_host(nodes: NodeWorld) -> None:
    async with web_server() as server:
        model = FakeChatModel([f"{server.url}@evil.example/now"])

        with pytest.raises(NodeError, match=r"call evil\.example"):
            await GET(nodes.context("?"), {"model": model, "apiDocs": f"See {server.url}/now."})


async def test_a_redirect_is_not_followed(nodes: NodeWorld) -> None:
    async with web_server((302, "http://127.0.0.1:1/elsewhere")) as server:
        inputs = {"model": FakeChatModel([f"{server.url}/now"]), "apiDocs": server.url}

        with pytest.raises(NodeError, match="answered 302, a redirect"):
            await GET(nodes.context("?"), inputs)


async def test_an_apis_refusal_is_told(nodes: NodeWorld) -> None:
    async with web_server((404, "no such city")) as server:
        inputs = {"model": FakeChatModel([f"{server.url}/now"]), "apiDocs": server.url}

        with pytest.raises(NodeError, match="answered 404: no such city"):
            await GET(nodes.context("?"), inputs)


async def test_documentation_must_say_where_the_api_is(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="apiDocs names no address"):
        await GET(nodes.context("?"), {"model": FakeChatModel(), "apiDocs": "GET /now"})


@pytest.mark.parametrize("said", ["I cannot.", "[1]", '{"url": 7}'])
async def test_a_model_that_writes_no_request_is_an_error(nodes: NodeWorld, said: str) -> None:
    inputs = {"model": FakeChatModel([said]), "apiDocs": "https://api.example.org"}

    with pytest.raises(NodeError, match=r"wrote no (request|URL)"):
        await POST(nodes.context("?"), inputs)


def file_of(server_url: str) -> str:
    text = orjson.dumps({**WEATHER, "servers": [{"url": server_url}]})
    return f"data:application/json;base64,{base64.b64encode(text).decode()},filename:weather.json"


async def test_a_described_call_is_made_and_its_answer_is_the_answer(nodes: NodeWorld) -> None:
    async with web_server((200, "3 degrees")) as server:
        model = FakeChatModel([calling("weather", {"PathParameters": {"city": "Bern"}})])

        result = await run_open_api(
            nodes.context("Is it cold?", streams=True), {"model": model, "yamlFile": file_of(server.url)}
        )

    assert result.output == {"content": "3 degrees"}
    assert server.received[0].path == "/weather/Bern"
    assert [tool.name for tool in model.calls[0].tools] == ["weather"]
    assert nodes.seen.tokens == ["3 degrees"]


async def test_a_described_call_is_made_as_a_tool(nodes: NodeWorld) -> None:
    async with web_server((200, "3 degrees")) as server:
        model = FakeChatModel([calling("weather", {"PathParameters": {"city": "Bern"}})])
        ctx = nodes.context(is_last=False)
        chain = (await run_open_api(ctx, {"model": model, "yamlFile": file_of(server.url)})).value
        tool = (await run_chain_tool(ctx, {"name": "weather", "baseChain": chain})).value

        assert await tool.call({"input": "Is it cold?"}) == "3 degrees"


async def test_a_model_may_answer_without_a_call(nodes: NodeWorld) -> None:
    inputs = {"model": FakeChatModel(["Hello."]), "yamlFile": file_of("http://127.0.0.1:1")}

    assert (await run_open_api(nodes.context("Hi"), inputs)).output == {"content": "Hello."}


async def test_a_document_is_fetched_from_its_link(nodes: NodeWorld) -> None:
    document = orjson.dumps({**WEATHER, "servers": [{"url": "http://127.0.0.1:1"}]}).decode()
    async with web_server((200, document)) as server:
        model = FakeChatModel(["Hello."])

        await run_open_api(nodes.context("Hi"), {"model": model, "yamlLink": f"{server.url}/api.json"})

    assert [tool.name for tool in model.calls[0].tools] == ["weather"]


async def test_a_call_that_the_api_does_not_offer_is_an_error(nodes: NodeWorld) -> None:
    inputs = {"model": FakeChatModel([calling("drop", {})]), "yamlFile": file_of("http://127.0.0.1:1")}

    with pytest.raises(NodeError, match="'drop', which the API does not offer"):
        await run_open_api(nodes.context("Hi"), inputs)


async def test_a_chain_without_a_document_says_so(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="needs a document"):
        await run_open_api(nodes.context("Hi"), {"model": FakeChatModel()})
