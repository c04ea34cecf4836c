"""Tools that call APIs and read pages: OpenAPI toolkits, the web scraper, Gmail."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Mapping
from email import message_from_bytes
from typing import Any

import orjson
import pytest
import yaml

from engine.errors import NodeError, NodeInputError, ProviderError
from engine.nodes.gmail_tools import run_gmail
from engine.nodes.openapi_tools import run_toolkit
from engine.nodes.web_tools import run_scraper
from engine.openapi import read_api
from engine.providers.base import Tool
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.engine.web_server import web_server

KEY = "secret-key-123456"


def dump(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False)


def api(url: str) -> dict[str, Any]:
    return {
        "openapi": "3.0.1",
        "servers": [{"url": f"{url}/{{version}}", "variables": {"version": {"default": "v1"}}}],
        "paths": {
            "/pets/{id}": {
                "parameters": [{"name": "id", "in": "path", "schema": {"type": "integer"}}],
                "get": {"operationId": "get pet", "summary": "One pet."},
                "put": {
                    "operationId": "change_pet",
                    "parameters": [
                        {"$ref": "#/components/parameters/Dry"},
                        {"name": "X-Trace", "in": "header", "description": "Any text."},
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}},
                    },
                },
            },
            "/pets": {"get": {}, "post": {"operationId": "get_pet"}},
        },
        "components": {
            "parameters": {"Dry": {"name": "dry", "in": "query", "required": True, "schema": {"type": "boolean"}}},
            "schemas": {
                "Pet": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "parent": {"$ref": "#/components/schemas/Pet"}},
                    "required": ["name"],
                }
            },
        },
    }


def file(text: str) -> str:
    return f"data:application/yaml;base64,{b64encode(text.encode()).decode()},filename:api.yaml"


async def toolkit(nodes: NodeWorld, document: Mapping[str, Any] | str, **inputs: Any) -> dict[str, Tool]:
    text = document if isinstance(document, str) else dump(document)
    built = await run_toolkit(
        nodes.context(credential="c1" if "c1" in nodes.credentials.kept else ""), {"yamlFile": file(text), **inputs}
    )
    return {tool.spec.name: tool for tool in built.value}


@pytest.mark.parametrize("written", [json.dumps, dump])
async def test_each_operation_is_a_tool(nodes: NodeWorld, written: Any) -> None:
    tools = await toolkit(nodes, written(api("http://127.0.0.1:1")))

    assert list(tools) == ["get_pet", "change_pet", "get__pets", "get_pet_2"]
    assert tools["get_pet"].spec.description == "One pet."
    schema = tools["change_pet"].spec.parameters
    assert schema["required"] == ["PathParameters", "QueryParameters", "RequestBody"]
    assert schema["properties"]["PathParameters"]["properties"] == {"id": {"type": "integer"}}
    assert schema["properties"]["HeaderParameters"]["properties"] == {
        "X-Trace": {"type": "string", "description": "Any text."}
    }
    assert schema["properties"]["RequestBody"]["required"] == ["name"]
    assert len(orjson.dumps(schema)) < 5000  # a schema that holds itself ends


async def test_a_call_goes_where_the_document_says(nodes: NodeWorld) -> None:
    async with web_server((200, "done")) as server:
        tools = await toolkit(nodes, api(server.url), headers='{"X-App": "a"}', removeNulls=True)

        said = await tools["change_pet"].call(
            {
                "PathParameters": {"id": 7},
                "QueryParameters": {"dry": True},
                "HeaderParameters": {"X-Trace": None},
                "RequestBody": {"name": "Rex", "parent": None},
            }
        )

    (received,) = server.received
    assert said == "done"
    assert (received.method, received.path, received.query) == ("PUT", "/v1/pets/7", {"dry": "true"})
    assert received.body == {"name": "Rex"}
    assert received.headers["x-app"] == "a"
    assert "x-trace" not in received.headers


async def test_a_credential_is_sent_as_a_bearer_token(nodes: NodeWorld) -> None:
    nodes.credentials = MemoryCredentials({"c1": {"openAPIToken": KEY}})
    async with web_server((200, "[]")) as server:
        tools = await toolkit(nodes, api(server.url))

        await tools["get__pets"].call({})

    assert server.received[0].headers["authorization"] == f"Bearer {KEY}"


async def test_a_refused_call_is_an_error_for_the_model(nodes: NodeWorld) -> None:
    async with web_server((404, "no such pet")) as server:
        tools = await toolkit(nodes, api(server.url))

        with pytest.raises(NodeError, match="The server answered 404: no such pet"):
            await tools["get_pet"].call({"PathParameters": {"id": 1}})


async def test_a_call_without_its_path_is_refused(nodes: NodeWorld) -> None:
    tools = await toolkit(nodes, api("http://127.0.0.1:1"))

    with pytest.raises(NodeInputError, match="get_pet needs 'id'"):
        await tools["get_pet"].call({})


@pytest.mark.parametrize("step", [".", "..", ""])
async def test_a_call_cannot_leave_its_path(nodes: NodeWorld, step: str) -> None:
    tools = await toolkit(nodes, api("http://127.0.0.1:1"))

    with pytest.raises(NodeInputError, match="would call another path"):
        await tools["get_pet"].call({"PathParameters": {"id": step}})


def test_what_yaml_writes_and_json_cannot_is_text() -> None:
    document = """
        openapi: 3.0.0
        servers: [{url: 'http://x.y'}]
        paths:
          /days:
            get:
              parameters: [{name: day, in: query, schema: {type: string, default: 2020-01-31}}]
              requestBody: {content: {json: {schema: {properties: {1: {type: string}}, required: 1}}}}
    """

    (operation,) = read_api(document).operations

    properties = operation.schema["properties"]
    assert properties["QueryParameters"]["properties"]["day"]["default"] == "2020-01-31"
    assert properties["RequestBody"] == {"properties": {"1": {"type": "string"}}, "required": []}


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nopenapi: 3.0.0\n"


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{", "neither JSON nor YAML"),
        ("[]", "holds no object"),
        ("swagger: '2.0'", "no OpenAPI 3 document"),
        ("openapi: 3.0.0", "does not say where its API is"),
        ("openapi: 3.0.0\nservers: [{url: /v1}]", "does not say where its API is"),
        ("openapi: 3.0.0\nservers: [{url: 'http://x.y'}]", "offers no operation"),
        (BOMB, "uses YAML aliases"),
        ("[" * 5000, "neither JSON nor YAML"),
        ("a: 2001-99-99", "neither JSON nor YAML"),
    ],
)
async def test_a_document_that_cannot_be_read_is_refused(nodes: NodeWorld, document: str, told: str) -> None:
    with pytest.raises(NodeInputError, match=told):
        await toolkit(nodes, document)


async def test_a_toolkit_without_its_file_asks_for_it(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="exported flows leave files out, so add it again"):
        await run_toolkit(nodes.context(), {"yamlFile": ""})


async def test_code_of_the_authors_own_is_refused_rather_than_ignored(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="customCode of an OpenAPI Toolkit is not run"):
        await toolkit(nodes, api("http://127.0.0.1:1"), customCode="return 'hacked'")


def page(title: str, *links: str) -> str:
    anchors = "".join(f'<a href="{link}">x</a>' for link in links)
    return f"<html><head><title>{title}</title></head><body><p>Text of {title}</p>{anchors}</body></html>"


async def scraper(nodes: NodeWorld, **inputs: Any) -> Tool:
    built: Tool = (await run_scraper(nodes.context(), inputs)).value
    return built


async def test_a_page_and_those_that_it_leads_to_are_read(nodes: NodeWorld) -> None:
    async with web_server(
        (200, page("A", "/b", "https://elsewhere.example/", "/b#part", "mailto:x@y.z")), (200, page("B", "/c"))
    ) as server:
        tool = await scraper(nodes)

        pages = orjson.loads(await tool.call({"url": f"{server.url}/"}))

    assert [(found["title"], found["body_text"].splitlines()[0]) for found in pages] == [
        ("A", "Text of A"),
        ("B", "Text of B"),
    ]
    assert [received.path for received in server.received] == ["/", "/b"]


@pytest.mark.parametrize(("inputs", "count"), [({"maxPages": 2}, 2), ({"maxDepth": 0}, 1), ({"maxDepth": 2}, 4)])
async def test_reading_is_bounded(nodes: NodeWorld, inputs: dict[str, Any], count: int) -> None:
    async with web_server(
        (200, page("A", "/b", "/c")), (200, page("B", "/d")), (200, page("C")), (200, page("D", "/e"))
    ) as server:
        tool = await scraper(nodes, **inputs)

        pages = orjson.loads(await tool.call({"url": server.url}))

    assert len(pages) == len(server.received) == count


async def test_a_page_that_cannot_be_read_does_not_spoil_the_others(nodes: NodeWorld) -> None:
    async with web_server((200, page("A", "/b", "/c")), (500, ""), (200, page("C"))) as server:
        tool = await scraper(nodes)

        pages = orjson.loads(await tool.call({"url": server.url}))

    assert ["error" in found for found in pages] == [False, True, False]


async def test_a_sitemap_can_be_followed(nodes: NodeWorld) -> None:
    async with web_server() as server:
        urls = "".join(f"<url><loc>{server.url}/{name}</loc></url>" for name in "abc")
        server.answers.extend([(200, f"<urlset>{urls}</urlset>"), (200, page("A")), (200, page("B"))])
        tool = await scraper(nodes, scrapeMode="sitemap", maxPages="2")

        pages = orjson.loads(await tool.call({"url": f"{server.url}/sitemap.xml"}))

    assert [found["title"] for found in pages] == ["A", "B"]


@pytest.mark.parametrize("url", ["", "no url", "file:///etc/passwd", "http://["])
async def test_what_is_no_page_is_refused(nodes: NodeWorld, url: str) -> None:
    with pytest.raises(NodeInputError):
        await (await scraper(nodes)).call({"url": url})


async def test_a_first_page_that_is_not_there_is_an_error(nodes: NodeWorld) -> None:
    async with web_server((404, "")) as server:
        tool = await scraper(nodes)

        with pytest.raises(NodeError, match="answered 404"):
            await tool.call({"url": server.url})


async def test_a_mode_that_does_not_exist_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="no scraping mode 'psychic'"):
        await scraper(nodes, scrapeMode="psychic")


async def gmail(nodes: NodeWorld, url: str, **inputs: Any) -> dict[str, Tool]:
    nodes.credentials = MemoryCredentials({"c1": {"access_token": KEY}})
    built = await run_gmail(url)(nodes.context(credential="c1"), inputs)
    return {tool.spec.name: tool for tool in built.value}


async def test_a_mail_is_sent(nodes: NodeWorld) -> None:
    async with web_server((200, '{"id": "m1"}')) as server:
        tools = await gmail(nodes, server.url, gmailType="messages", messageActions='["sendMessage"]')

        said = await tools["send_message"].call({"to": "ann@x.y", "subject": "Grüße", "body": "Hello\nAnn"})

    (received,) = server.received
    assert list(tools) == ["send_message"]
    assert said == '{"id": "m1"}'
    assert (received.path, received.headers["authorization"]) == ("/messages/send", f"Bearer {KEY}")
    mail = message_from_bytes(urlsafe_b64decode(received.body["raw"]))
    assert mail["To"] == "ann@x.y"
    assert mail.get_payload(decode=True) == b"Hello\nAnn\n"


async def test_mails_are_found_and_read(nodes: NodeWorld) -> None:
    async with web_server() as server:
        tools = await gmail(nodes, server.url)

        await tools["list_messages"].call({"query": "is:unread", "maxResults": 500})
        await tools["get_message"].call({"id": "m1"})
        await tools["create_draft"].call({"to": "ann@x.y"})

    assert [received.path for received in server.received] == ["/messages", "/messages/m1", "/drafts"]
    assert server.received[0].query == {"q": "is:unread", "maxResults": "50"}


@pytest.mark.parametrize("mail", [{}, {"to": "a@b.c\nBcc: x@y.z"}, {"to": "a@b.c", "subject": "x\r\nY: z"}])
async def test_a_mail_that_makes_no_sense_is_not_sent(nodes: NodeWorld, mail: dict[str, str]) -> None:
    async with web_server() as server:
        tools = await gmail(nodes, server.url)

        with pytest.raises(NodeInputError):
            await tools["send_message"].call(mail)

    assert server.received == []


async def test_gmail_without_an_account_says_so_when_it_is_used(nodes: NodeWorld) -> None:
    tools = {tool.spec.name: tool for tool in (await run_gmail("http://127.0.0.1:1")(nodes.context(), {})).value}

    with pytest.raises(NodeInputError, match="credential of kind 'gmailOAuth2'"):
        await tools["send_message"].call({"to": "ann@x.y"})


async def test_a_refusal_does_not_repeat_the_token(nodes: NodeWorld) -> None:
    async with web_server((403, f'{{"error": {{"message": "bad {KEY}"}}}}')) as server:
        tools = await gmail(nodes, server.url)

        with pytest.raises(ProviderError) as refused:
            await tools["list_messages"].call({})

    assert KEY not in refused.value.message


async def test_an_action_that_is_not_there_is_named(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="Gmail cannot trashMessage here; it can listMessages"):
        await gmail(nodes, "http://127.0.0.1:1", messageActions=["trashMessage"])
