import json
from typing import Any

import pytest

from engine.errors import NodeError, NodeInputError, ProviderError
from engine.jsonpath import follow
from engine.nodes.lookup_tools import WIKIPEDIA_URL, run_arxiv, run_json_path, run_wikipedia, run_wolfram
from engine.providers.base import Tool
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.engine.web_server import WebServer, web_server

FEED = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Results</title>
<entry><id>http://arxiv.org/abs/1</id><published>2024-05-06T07:08:09Z</published><title>On
  Snow</title><summary> It is white &amp; cold. </summary>
<author><name>A. Flake</name></author><author><name>B. Drift</name></author>
<link href="http://arxiv.org/pdf/1" rel="related"/></entry></feed>"""
THINGS = {"items": [{"name": "hat", "size": 7}, {"name": "cap"}], "a.b": 1, "none": None}


async def wolfram(nodes: NodeWorld, server: WebServer, **fields: str) -> Tool:
    nodes.credentials = MemoryCredentials({"c1": fields})
    tool: Tool = (await run_wolfram(server.url)(nodes.context(credential="c1"), {})).value
    return tool


async def test_wolfram_alpha_is_asked(nodes: NodeWorld) -> None:
    async with web_server((200, "x = 2"), (501, "Did you mean x?")) as server:
        tool = await wolfram(nodes, server, wolframAlphaAppId="app-id-12345")

        said = [await tool.call({"input": "solve x+1=3"}), await tool.call({"input": "???"})]

    assert said == ["x = 2", "Did you mean x?"]
    assert server.received[0].query == {"input": "solve x+1=3", "appid": "app-id-12345"}


async def test_a_refusal_does_not_repeat_the_app_id(nodes: NodeWorld) -> None:
    async with web_server((403, "Invalid appid app-id-12345")) as server:
        tool = await wolfram(nodes, server, wolframAlphaAppId="app-id-12345")

        with pytest.raises(ProviderError, match="answered 403") as refused:
            await tool.call({"input": "x"})

    assert "app-id" not in refused.value.message


async def test_without_an_app_id_the_tool_says_what_is_missing(nodes: NodeWorld) -> None:
    async with web_server() as server:
        tool = await wolfram(nodes, server)

        with pytest.raises(NodeInputError, match="wolframAlphaAppId"):
            await tool.call({"input": "x"})


async def test_papers_are_found_with_their_abstracts(nodes: NodeWorld) -> None:
    async with web_server((200, FEED)) as server:
        inputs = {"topKResults": "2", "maxQueryLength": 4, "arxivName": "papers"}
        tool = (await run_arxiv(server.url)(nodes.context(), inputs)).value

        said = await tool.call({"input": "snowflakes"})

    assert said == (
        "Title: On Snow\nPublished: 2024-05-06\nAuthors: A. Flake, B. Drift\nLink: http://arxiv.org/abs/1\n"
        "Summary: It is white & cold."
    )
    assert tool.spec.name == "papers"
    assert server.received[0].query == {"search_query": "all:snow", "max_results": "2"}


async def test_lengths_below_1_are_the_usual_ones(nodes: NodeWorld) -> None:
    async with web_server((200, FEED)) as server:
        inputs = {"maxQueryLength": -4, "docContentCharsMax": "-1"}
        tool = (await run_arxiv(server.url)(nodes.context(), inputs)).value

        assert (await tool.call({"input": "snowflakes"})).endswith("white & cold.")

    assert server.received[0].query["search_query"] == "all:snowflakes"


ARTICLES = json.dumps(
    {"query": {"pages": [{"title": "Ice", "index": 2}, {"title": "Snow", "index": 1, "extract": "It is white."}]}}
)


async def test_articles_are_found_with_their_introductions(nodes: NodeWorld) -> None:
    async with web_server((200, ARTICLES), (200, "{}")) as server:
        run = run_wikipedia(f"{server.url}/{{language}}/w/api.php")
        tool = (await run(nodes.context(), {"topKResults": "2", "language": "zh-yue"})).value

        said = [await tool.call({"input": "snow"}), await tool.call({"input": "xyzzy"})]

    assert said == ["Page: Snow\nSummary: It is white.\n\nPage: Ice\nSummary: ", "No articles were found."]
    asked = server.received[0]
    assert (asked.path, asked.query["gsrsearch"], asked.query["gsrlimit"]) == ("/zh-yue/w/api.php", "snow", "2")
    assert asked.headers["user-agent"] == "forjinn"


async def test_a_language_cannot_become_another_host(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="is no language of Wikipedia's"):
        await run_wikipedia(WIKIPEDIA_URL)(nodes.context(), {"language": "evil.example/"})


@pytest.mark.parametrize("answer", ["oops", "[]", '{"query": {"pages": ["x"]}}', '{"query": {"pages": [{}]}}'])
async def test_what_is_no_list_of_articles_is_an_error(nodes: NodeWorld, answer: str) -> None:
    async with web_server((200, answer)) as server:
        tool = (await run_wikipedia(server.url)(nodes.context(), {})).value

        with pytest.raises(ProviderError, match="no list of articles"):
            await tool.call({"input": "snow"})


async def test_no_papers_are_said_to_be_none(nodes: NodeWorld) -> None:
    async with web_server((200, "<feed></feed>")) as server:
        tool = (await run_arxiv(server.url)(nodes.context(), {})).value

        assert await tool.call({"input": "x"}) == "No papers were found."


FOUND: list[tuple[str, Any]] = [
    ("items[0].name", "hat"),
    ("$.items[-1].name", "cap"),
    ("items.1.name", "cap"),
    ("items[*].name", ["hat", "cap"]),
    ("['a.b']", 1),
    ("none", None),
    ("$", THINGS),
]


@pytest.mark.parametrize(("path", "value"), FOUND, ids=[path for path, _ in FOUND])
def test_a_path_leads_into_json(path: str, value: Any) -> None:
    assert follow(THINGS, path) == value


@pytest.mark.parametrize("path", ["gone", "items[9]", "items.name", "items[*].size", "items[0].name.first", "none[*]"])
def test_a_path_to_nowhere_is_an_error(path: str) -> None:
    with pytest.raises(LookupError):
        follow(THINGS, path)


async def extractor(nodes: NodeWorld, **inputs: Any) -> Tool:
    tool: Tool = (await run_json_path(nodes.context(), inputs)).value
    return tool


@pytest.mark.parametrize(("given", "said"), [('{"a": {"b": [1, 2]}}', "[1,2]"), ({"a": {"b": "text"}}, "text")])
async def test_a_value_is_taken_out_of_json(nodes: NodeWorld, given: Any, said: str) -> None:
    tool = await extractor(nodes, path="a.b")

    assert await tool.call({"json": given}) == said


@pytest.mark.parametrize(("given", "told"), [("no json", "is no JSON"), ("{}", "nothing at 'a'"), (None, "nothing at")])
async def test_what_is_not_there_is_an_error_unless_null_will_do(nodes: NodeWorld, given: Any, told: str) -> None:
    strict, lenient = await extractor(nodes, path="a"), await extractor(nodes, path="a", returnNullOnError="true")

    with pytest.raises(NodeError, match=told):
        await strict.call({"json": given})
    assert await lenient.call({"json": given}) == "null"


async def test_an_extractor_needs_a_path(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="needs a path"):
        await extractor(nodes, path=" ")
