from dataclasses import replace
from typing import Any

import orjson
import pytest

from engine.errors import NodeError, NodeInputError, ProviderError
from engine.nodes.search_tools import SEARCHES, Search, run_search
from engine.providers.base import Tool
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.engine.web_server import WebServer, web_server

KEY = "secret-key-123456"
BY_NAME = {search.name: search for search in SEARCHES}


async def built(nodes: NodeWorld, search: Search, server: WebServer) -> Tool:
    """The tool of a vendor that is served by `server`."""
    nodes.credentials = MemoryCredentials({"c1": dict.fromkeys(search.secrets, KEY)})
    ctx = nodes.context(credential="c1" if search.secrets else "")
    moved = replace(search, url=f"{server.url}/there") if search.url else search
    tool: Tool = (await run_search(moved)(ctx, {"apiBase": server.url})).value
    return tool


def answer(search: Search, count: int = 1) -> str:
    title, link, snippet = search.columns
    hits: Any = [{title: "Bern", link: "http://x.y", snippet: "A city", "more": 1}] * count
    for step in reversed(search.hits):
        hits = {step: hits}
    return orjson.dumps(hits).decode()


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.name)
async def test_every_vendor_is_asked_and_its_hits_are_read(nodes: NodeWorld, search: Search) -> None:
    async with web_server((200, answer(search, 30))) as server:
        tool = await built(nodes, search, server)

        hits = orjson.loads(await tool.call({"input": "capital of Switzerland"}))

    (received,) = server.received
    sent = {**received.query, **(received.body or {})}
    assert hits == [{"title": "Bern", "link": "http://x.y", "snippet": "A city"}] * 10
    assert "capital of Switzerland" in sent.values()
    if search.secrets:
        assert KEY in " ".join([*received.query.values(), *received.headers.values()])


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.name)
async def test_a_vendors_refusal_does_not_repeat_the_key(nodes: NodeWorld, search: Search) -> None:
    async with web_server((403, f'{{"error": {{"message": "bad key {KEY}"}}}}')) as server:
        tool = await built(nodes, search, server)

        with pytest.raises(ProviderError, match="answered 403: bad key") as refused:
            await tool.call({"input": "x"})

    assert search.secrets == () or KEY not in refused.value.message


@pytest.mark.parametrize("body", ["no json", "[]", '{"items": 7}', '{"items": ["text"]}'])
async def test_an_answer_of_another_shape_is_an_error(nodes: NodeWorld, body: str) -> None:
    async with web_server((200, body)) as server:
        tool = await built(nodes, BY_NAME["googleCustomSearch"], server)

        with pytest.raises(ProviderError, match="no list of results"):
            await tool.call({"input": "x"})


async def test_nothing_found_is_an_empty_list(nodes: NodeWorld) -> None:
    async with web_server((200, "{}")) as server:
        tool = await built(nodes, BY_NAME["googleCustomSearch"], server)

        assert await tool.call({"input": "x"}) == "[]"


@pytest.mark.parametrize("search", [s for s in SEARCHES if s.secrets], ids=lambda search: search.name)
async def test_without_a_credential_the_tool_is_there_and_says_what_is_missing(
    nodes: NodeWorld, search: Search
) -> None:
    tool = (await run_search(search)(nodes.context(), {})).value

    with pytest.raises(NodeInputError, match=f"needs a credential of kind '{search.credential}'"):
        await tool.call({"input": "x"})


async def test_a_credential_of_another_workspace_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeError, match="no credential"):
        await run_search(SEARCHES[0])(nodes.context(credential="theirs"), {})
