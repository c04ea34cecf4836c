"""Loaders of wikis: Notion's pages and databases, Confluence's spaces."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.credentials import Secret
from engine.documents import Source
from engine.egress import Egress
from engine.errors import NodeError, NodeInputError, ProviderError
from engine.http import HttpClient
from engine.nodes import confluence, notion
from engine.providers import notion as notion_api
from engine.providers.base import Document
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.engine.web_server import WebServer, web_server

PAGE_ID = "b34ca03f-219c-4420-a604-6fc4bdfdf7b4"
OTHER_ID = "c34ca03f-219c-4420-a604-6fc4bdfdf7b4"
TOKEN = "secret_of_notion"


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    async with web_server() as running:
        yield running


def says(server: WebServer, *answers: Any) -> None:
    server.answers.extend((200, json.dumps(answer)) for answer in answers)


def words(text: str, **annotations: bool) -> dict[str, Any]:
    return {"plain_text": text, "annotations": annotations}


def block(kind: str, text: str = "", **more: Any) -> dict[str, Any]:
    said = {"rich_text": [words(text)], **more.pop("said", {})}
    return {"id": f"block-{kind}", "type": kind, kind: said, **more}


def page(page_id: str, title: str, **properties: Any) -> dict[str, Any]:
    named = {"Name": {"type": "title", "title": [words(title)]}, **properties}
    return {"id": page_id, "url": f"https://www.notion.so/{page_id}", "properties": named}


def listed(*results: Any, cursor: str = "") -> dict[str, Any]:
    return {"results": list(results), "has_more": bool(cursor), "next_cursor": cursor or None}


async def read_notion(nodes: NodeWorld, server: WebServer, *, is_database: bool = False, given: str = PAGE_ID) -> Any:
    nodes.credentials = MemoryCredentials({"c1": {"notionIntegrationToken": TOKEN}})
    spec, param = (notion.DATABASE, "databaseId") if is_database else (notion.PAGE, "pageId")
    run = notion.run_loader(spec, param, server.url)
    source = (await run(nodes.context(credential="c1"), {param: given})).value
    assert isinstance(source, Source)
    return await source.load()


async def test_a_notion_page_is_its_blocks_as_markdown(nodes: NodeWorld, server: WebServer) -> None:
    says(
        server,
        page(PAGE_ID, "Winter"),
        listed(
            block("heading_1", "Snow"),
            block("paragraph", said={"rich_text": [words("It is "), words("very ", bold=True), words("white.")]}),
            block("bulleted_list_item", "cold", has_children=True),
            cursor="more",
        ),
        listed(block("paragraph", "below zero")),
        listed(
            block("to_do", "shovel", said={"checked": True}),
            block("code", "melt()", said={"language": "python"}),
            block("image", said={"type": "external", "external": {"url": "https://example.org/a.png"}}),
            {"id": "t", "type": "table", "table": {}, "has_children": True},
            block("unsupported"),
        ),
        listed(
            {"id": "r1", "type": "table_row", "table_row": {"cells": [[words("month")], [words("days")]]}},
            {"id": "r2", "type": "table_row", "table_row": {"cells": [[words("May")], [words("0")]]}},
        ),
    )

    documents = await read_notion(nodes, server)

    assert documents[0].text.split("\n\n") == [
        "# Snow",
        "It is **very** white.",
        "- cold",
        "    below zero",
        "- [x] shovel",
        "```python\nmelt()\n```",
        "[https://example.org/a.png](https://example.org/a.png)",
        "| month | days |\n| --- | --- |\n| May | 0 |",
    ]
    assert (documents[0].metadata["notionId"], documents[0].metadata["title"]) == (PAGE_ID, "Winter")
    asked = server.received[0]
    assert (asked.path, asked.headers["authorization"]) == (f"/pages/{PAGE_ID}", f"Bearer {TOKEN}")
    assert asked.headers["notion-version"] == "2022-06-28"
    assert server.received[3].query == {"page_size": "100", "start_cursor": "more"}


async def test_pages_below_a_notion_page_are_documents_once(nodes: NodeWorld, server: WebServer) -> None:
    child = {"id": OTHER_ID, "type": "child_page", "child_page": {"title": "Ice"}}
    back = {"id": PAGE_ID, "type": "child_page", "child_page": {"title": "Snow"}}
    says(
        server,
        page(PAGE_ID, "Snow"),
        listed(block("paragraph", "White."), child, child),
        page(OTHER_ID, "Ice"),
        listed(block("paragraph", "Clear."), back),
    )

    documents = await read_notion(nodes, server)

    assert [(d.text, d.metadata["title"]) for d in documents] == [("White.", "Snow"), ("Clear.", "Ice")]


async def test_the_rows_of_a_notion_database_are_headed_by_their_properties(
    nodes: NodeWorld, server: WebServer
) -> None:
    row = page(
        OTHER_ID,
        "May",
        Days={"type": "number", "number": 0},
        Tags={"type": "multi_select", "multi_select": [{"name": "warm"}, {"name": "dry"}]},
        Done={"type": "checkbox", "checkbox": False},
        When={"type": "date", "date": {"start": "2026-05-01", "end": "2026-05-31"}},
        Sum={"type": "formula", "formula": {"type": "number", "number": 3}},
        Nothing={"type": "select", "select": None},
    )
    says(server, listed(cursor="next"), listed(row), listed(block("paragraph", "No snow.")))

    (document,) = await read_notion(nodes, server, is_database=True)

    head = "Name: May\nDays: 0\nTags: warm, dry\nDone: false\nWhen: 2026-05-01 – 2026-05-31\nSum: 3\nNothing: "  # noqa: RUF001
    assert document.text == f"---\n{head}\n---\n\nNo snow."
    assert document.metadata["properties"]["Tags"] == "warm, dry"
    assert server.received[1].path == f"/databases/{PAGE_ID}/query"
    assert server.received[1].body == {"page_size": 100, "start_cursor": "next"}


@pytest.mark.parametrize(
    "given",
    [
        "b34ca03f219c4420a6046fc4bdfdf7b4",
        PAGE_ID.upper(),
        "https://www.notion.so/team/deadbeef-b34ca03f219c4420a6046fc4bdfdf7b4?v=c34ca03f219c4420a6046fc4bdfdf7b4",
    ],
)
async def test_the_address_of_a_notion_page_will_do(nodes: NodeWorld, server: WebServer, given: str) -> None:
    says(server, page(PAGE_ID, "Snow"), listed())

    await read_notion(nodes, server, given=given)

    assert server.received[0].path == f"/pages/{PAGE_ID}"


@pytest.mark.parametrize("given", ["", "snow", "../users/me", "https://www.notion.so/Snow-b34ca03f"])
async def test_what_is_no_id_of_notions_is_refused(nodes: NodeWorld, server: WebServer, given: str) -> None:
    with pytest.raises(NodeInputError, match="pageId must be an id of Notion's"):
        await read_notion(nodes, server, given=given)


async def test_notion_needs_a_token(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="needs a credential of kind 'notionApi'"):
        await notion.run_loader(notion.PAGE, "pageId")(nodes.context(), {"pageId": PAGE_ID})


async def test_a_refusal_of_notions_is_told_without_the_token(nodes: NodeWorld, server: WebServer) -> None:
    server.answers.append((404, json.dumps({"message": f"Could not find page; {TOKEN} may not see it."})))

    with pytest.raises(ProviderError, match="answered 404: Could not find page") as refused:
        await read_notion(nodes, server)

    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("answer", ["[]", '{"results": 1}', '{"results": ["x"]}'])
async def test_an_answer_that_is_not_notions_is_an_error(nodes: NodeWorld, server: WebServer, answer: str) -> None:
    says(server, page(PAGE_ID, "Snow"))
    server.answers.append((200, answer))

    with pytest.raises(ProviderError, match="Notion sent an answer that is no"):
        await read_notion(nodes, server)


async def test_notion_is_not_read_without_end(
    nodes: NodeWorld, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notion_api, "MOST_CALLS", 4)
    says(server, page(PAGE_ID, "Snow"), *(listed(block("paragraph", "x"), cursor="again") for _ in range(9)))

    with pytest.raises(NodeError, match="more than 4 times"):
        await read_notion(nodes, server)

    assert len(server.received) == 4


CLOUD = {"username": "me@example.org", "accessToken": "token-of-cloud"}


def space_page(number: int, html: str) -> dict[str, Any]:
    version = {"number": 3, "by": {"displayName": "Ada"}, "when": "2026-01-01"}
    return {"id": str(number), "title": f"Page {number}", "body": {"storage": {"value": html}}, "version": version}


async def read_space(nodes: NodeWorld, fields: dict[str, str], **inputs: Any) -> list[Document]:
    nodes.credentials = MemoryCredentials({"c1": Secret(fields)})
    source = (await confluence.run_space(nodes.context(credential="c1"), inputs)).value
    assert isinstance(source, Source)
    return await source.load()


async def test_a_space_is_read_page_by_page(nodes: NodeWorld, server: WebServer) -> None:
    macro = (
        '<ac:structured-macro ac:name="code"><ac:parameter ac:name="language">python</ac:parameter>'
        "<ac:plain-text-body><![CDATA[melt(1 < 2)]]></ac:plain-text-body></ac:structured-macro>"
    )
    says(
        server,
        {"results": [space_page(1, f"<p>Snow.</p>{macro}"), space_page(2, "<p>Ice.</p>")], "_links": {"next": "/x"}},
        {"results": [space_page(3, "")], "_links": {}},
    )

    documents = await read_space(nodes, CLOUD, baseUrl=f"{server.url}/wiki/", spaceKey="~me&x", limit="2")

    assert [d.text for d in documents] == ["Snow.\nmelt(1 < 2)", "Ice.", ""]
    assert documents[0].metadata == {
        "id": "1",
        "title": "Page 1",
        "url": f"{server.url}/wiki/spaces/~me&x/pages/1",
        "version": 3,
        "updated_by": "Ada",
        "updated_at": "2026-01-01",
    }
    first, second = server.received
    assert first.path == "/wiki/rest/api/content"
    assert first.query == {"spaceKey": "~me&x", "limit": "2", "start": "0", "expand": "body.storage,version"}
    assert (second.query["start"], len(server.received)) == ("2", 2)
    assert first.headers["authorization"] == "Basic bWVAZXhhbXBsZS5vcmc6dG9rZW4tb2YtY2xvdWQ="


async def test_a_server_of_ones_own_takes_a_personal_token(nodes: NodeWorld, server: WebServer) -> None:
    says(server, {"results": []})

    fields = {"personalAccessToken": "pat-1", "baseURL": server.url}
    documents = await read_space(nodes, fields, spaceKey="S")

    assert documents == []
    assert server.received[0].headers["authorization"] == "Bearer pat-1"
    assert server.received[0].query["limit"] == "25"


async def test_a_credential_of_confluence_goes_nowhere_else(nodes: NodeWorld, server: WebServer) -> None:
    async with HttpClient(Egress()) as nodes.http:
        with pytest.raises(NodeInputError, match=r"may not be sent to 127\.0\.0\.1, only to example\.org"):
            await read_space(nodes, {**CLOUD, "baseURL": "https://example.org"}, baseUrl=server.url, spaceKey="S")

    assert server.received == []


@pytest.mark.parametrize("inputs", [{"spaceKey": "S"}, {"baseUrl": "https://example.org"}])
async def test_confluence_needs_an_address_and_a_space(nodes: NodeWorld, inputs: dict[str, str]) -> None:
    with pytest.raises(NodeInputError, match="needs a baseUrl"):
        await confluence.run_space(nodes.context(), inputs)


async def test_a_space_without_end_is_refused(
    nodes: NodeWorld, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confluence, "MOST_PAGES", 3)
    says(server, *({"results": [space_page(1, ""), space_page(2, "")], "_links": {"next": "/x"}} for _ in range(9)))

    with pytest.raises(NodeError, match="more than 3 pages"):
        await read_space(nodes, CLOUD, baseUrl=server.url, spaceKey="S")

    assert len(server.received) == 2


async def test_a_reading_can_be_cancelled(nodes: NodeWorld) -> None:
    arrived = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()  # until the caller hangs up
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        reading = asyncio.create_task(read_space(nodes, CLOUD, baseUrl=f"http://127.0.0.1:{port}", spaceKey="S"))
        await arrived.wait()
        reading.cancel()

        with pytest.raises(asyncio.CancelledError):
            await reading
