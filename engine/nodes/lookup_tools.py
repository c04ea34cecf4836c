"""Tools that look one thing up: papers, articles, facts, and a value inside JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from bs4 import BeautifulSoup
from yarl import URL

from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeError, NodeInputError, ProviderError
from engine.jsonpath import follow
from engine.nodes import values
from engine.providers.base import ToolSpec
from engine.providers.refusals import refusal
from engine.spec import Inputs, NodeResult, NodeRun, NodeSpec, NodeType, Param
from engine.tools import FunctionTool, text_tool, tool_name

BASE_CLASSES = ("Tool", "StructuredTool", "Runnable")
WOLFRAM_URL = "https://www.wolframalpha.com/api/v1/llm-api"
ARXIV_URL = "https://export.arxiv.org/api/query"
NOT_UNDERSTOOD = 501  # what Wolfram Alpha answers to what it cannot make sense of, with suggestions as text
MOST_PAPERS = 20
LONGEST_QUERY = 300
LONGEST_PAPERS = 10_000  # characters
WIKIPEDIA_URL = "https://{language}.wikipedia.org/w/api.php"
LANGUAGE = re.compile(r"[a-z]+(-[a-z]+)*\Z")  # it becomes a part of a host's name
MOST_ARTICLES = 20
LONGEST_ARTICLES = 4000  # characters

WOLFRAM = NodeSpec(
    name="wolframAlpha",
    label="WolframAlpha",
    version=1,
    category="Tools",
    base_classes=("WolframAlpha", *BASE_CLASSES),
    help="Asks Wolfram Alpha for facts and calculations.",
    params=(Param("credential", "credential", "Connect Credential"),),
    credentials=("wolframAlphaAppId",),
    role="component",
)
ARXIV = NodeSpec(
    name="arxiv",
    label="Arxiv",
    version=1,
    category="Tools",
    base_classes=("Arxiv", *BASE_CLASSES),
    help="Searches arXiv for papers, and reads their abstracts.",
    params=(
        Param("arxivName", "string", "Name", default="arxiv_search", optional=True, help="Its name for the model."),
        Param("arxivDescription", "string", "Description", optional=True, help="When the model is to use it."),
        Param("topKResults", "number", "Top K Results", default=3, optional=True, help=f"At most {MOST_PAPERS}."),
        Param("maxQueryLength", "number", "Max Query Length", default=LONGEST_QUERY, optional=True, help="Characters."),
        Param("docContentCharsMax", "number", "Max Content Length", optional=True, help="Characters of an answer."),
        Param(
            "loadFullContent", "boolean", "Load Full Content", optional=True, help="Not done: abstracts are read alone."
        ),
    ),
    role="component",
)
WIKIPEDIA = NodeSpec(
    name="wikipedia",
    label="Wikipedia",
    version=1,
    category="Tools",
    base_classes=("Wikipedia", *BASE_CLASSES),
    help="Searches Wikipedia for articles, and reads their introductions.",
    params=(
        Param("topKResults", "number", "Top K Results", default=3, optional=True, help=f"At most {MOST_ARTICLES}."),
        Param("maxDocContentLength", "number", "Max Content Length", optional=True, help="Characters of an answer."),
        Param("language", "string", "Language", default="en", optional=True, help="Of the articles, such as de."),
    ),
    role="component",
)
JSON_PATH = NodeSpec(
    name="jsonPathExtractor",
    label="JSON Path Extractor",
    version=1,
    category="Tools",
    base_classes=("JSONPathExtractor", *BASE_CLASSES),
    help="Takes one value out of a JSON text.",
    params=(
        Param("path", "string", "JSON Path", variables=True, help="Where it stands, such as items[0].name."),
        Param(
            "returnNullOnError", "boolean", "Return Null on Error", optional=True, help="Say null if nothing is there."
        ),
    ),
    role="component",
)


def run_wolfram(url: str) -> NodeRun:
    """The run function for a server at `url`."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """Configure the tool; without a credential it says so when it is used."""
        fields = await values.credential(ctx, inputs)
        check_destination(fields, url, own_url=url, egress=ctx.world.http.egress)
        app_id = fields.get("wolframAlphaAppId", "")

        async def put(query: str) -> str:
            if not app_id:
                raise NodeInputError("WolframAlpha needs a credential of kind 'wolframAlphaAppId': connect one.")
            answer = await ctx.world.http.request("GET", url, params={"input": query, "appid": app_id})
            if answer.status not in (200, NOT_UNDERSTOOD):
                host = URL(url).host or url
                raise refusal(host, answer.status, answer.body, headers=answer.headers, secrets=[app_id])
            return answer.text

        description = (
            "Useful for questions about mathematics, science, technology, culture, society and everyday life. The "
            "input is a question."
        )
        return NodeResult(value=text_tool("wolfram_alpha", description, put))

    return run


def run_arxiv(url: str) -> NodeRun:
    """The run function for a server at `url`."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """Configure the tool; nothing is called yet. Raises NodeInputError for numbers that are none."""
        count = max(1, min(values.integer(inputs, "topKResults") or 3, MOST_PAPERS))
        longest_query = _length(inputs, "maxQueryLength", LONGEST_QUERY)
        longest = _length(inputs, "docContentCharsMax", LONGEST_PAPERS)

        async def find(query: str) -> str:
            params = {"search_query": f"all:{query[:longest_query]}", "max_results": str(count)}
            answer = await ctx.world.http.request("GET", url, params=params)
            if answer.status != 200:
                raise refusal(URL(url).host or url, answer.status, answer.body, headers=answer.headers)
            return (_papers(answer.text) or "No papers were found.")[:longest]

        description = values.text(
            inputs, "arxivDescription", "Searches arXiv for papers. The input is a search query; use it for science."
        )
        name = tool_name(values.text(inputs, "arxivName", "arxiv_search"))
        return NodeResult(value=text_tool(name, description, find))

    return run


def _papers(feed: str) -> str:
    """The papers of an Atom feed. Read as HTML: its parser follows no entities and fetches nothing."""
    page = BeautifulSoup(feed[max(feed.find("<feed"), 0) :], "html.parser")
    return "\n\n".join(
        "\n".join(
            (
                f"Title: {_said(entry, 'title')}",
                f"Published: {_said(entry, 'published')[:10]}",
                f"Authors: {', '.join(author.get_text(strip=True) for author in entry.find_all('name'))}",
                f"Link: {_said(entry, 'id')}",
                f"Summary: {_said(entry, 'summary')}",
            )
        )
        for entry in page.find_all("entry")
    )


def _said(entry: Any, name: str) -> str:
    found = entry.find(name)
    return " ".join(found.get_text().split()) if found else ""


def run_wikipedia(url: str) -> NodeRun:
    """The run function for a server at `url`, which may hold {language}."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """Configure the tool; nothing is called yet. Raises NodeInputError for numbers or a language that are none."""
        count = max(1, min(values.integer(inputs, "topKResults") or 3, MOST_ARTICLES))
        longest = _length(inputs, "maxDocContentLength", LONGEST_ARTICLES)
        language = values.text(inputs, "language", "en")
        if not LANGUAGE.match(language):
            raise NodeInputError(f"{language!r} is no language of Wikipedia's: write its letters, such as en.")
        place = url.format(language=language)
        known = {"action": "query", "format": "json", "formatversion": "2", "generator": "search"}
        wanted = {"prop": "extracts", "exintro": "1", "explaintext": "1", "exlimit": "max", "gsrlimit": str(count)}

        async def find(query: str) -> str:
            params = {**known, **wanted, "gsrsearch": query[:LONGEST_QUERY]}
            # Wikipedia refuses whoever does not say who asks.
            answer = await ctx.world.http.request("GET", place, params=params, headers={"User-Agent": "forjinn"})
            if answer.status != 200:
                raise refusal(URL(place).host or place, answer.status, answer.body, headers=answer.headers)
            return (_articles(answer.body) or "No articles were found.")[:longest]

        description = "Searches Wikipedia for people, places, things and events. The input is a search query."
        return NodeResult(value=text_tool("wikipedia", description, find))

    return run


def _articles(body: bytes) -> str:
    try:
        pages = (orjson.loads(body).get("query") or {}).get("pages") or []
        ranked = sorted(pages, key=lambda page: page.get("index", 0))
        return "\n\n".join(f"Page: {page['title']}\nSummary: {page.get('extract') or ''}" for page in ranked)
    except (ValueError, TypeError, AttributeError, KeyError) as exc:
        raise ProviderError("Wikipedia sent an answer that is no list of articles.", retryable=True) from exc


def _length(inputs: Inputs, name: str, usual: int) -> int:
    """Characters; a number below 1 makes no sense, and would cut at the other end."""
    given = values.integer(inputs, name)
    return usual if given is None or given < 1 else given


async def run_json_path(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Configure the tool. Raises NodeInputError without a path."""
    path = values.text(inputs, "path").strip()
    if not path:
        raise NodeInputError("A JSON Path Extractor needs a path, such as items[0].name.")
    or_null = values.flag(inputs, "returnNullOnError")

    async def extract(arguments: Mapping[str, Any]) -> str:
        try:
            return _extracted(arguments.get("json"), path)
        except NodeError:
            if not or_null:
                raise
            return "null"

    schema = {
        "type": "object",
        "properties": {"json": {"type": "string", "description": "The JSON text."}},
        "required": ["json"],
    }
    description = f"Takes the value at {path} out of a JSON text."
    return NodeResult(value=FunctionTool(ToolSpec("json_path_extractor", description, schema), extract))


def _extracted(given: Any, path: str) -> str:
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except ValueError as exc:
            raise NodeInputError("The text is no JSON.") from exc
    try:
        found = follow(given, path)
    except LookupError as exc:
        raise NodeInputError(f"There is nothing at {path!r}.") from exc
    return found if isinstance(found, str) else orjson.dumps(found).decode()


NODES = (
    NodeType(WOLFRAM, run_wolfram(WOLFRAM_URL)),
    NodeType(ARXIV, run_arxiv(ARXIV_URL)),
    NodeType(WIKIPEDIA, run_wikipedia(WIKIPEDIA_URL)),
    NodeType(JSON_PATH, run_json_path),
)
