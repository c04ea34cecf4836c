"""Tools that search the web: one row a vendor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from yarl import URL

from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeInputError, ProviderError
from engine.nodes import values
from engine.providers.refusals import refusal
from engine.spec import Inputs, NodeResult, NodeRun, NodeSpec, NodeType, Param
from engine.tools import text_tool

MAX_HITS = 10


@dataclass(frozen=True, slots=True)
class Ask:
    """What is sent for one search. A `json` makes it a POST."""

    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """A vendor of web searches, by the names that exported flows use for it."""

    name: str
    label: str
    kind: str
    tool: str  # its name for the model
    ask: Callable[[str, Mapping[str, str]], Ask]  # of the query and the credential's fields
    hits: tuple[str, ...]  # where the list of hits stands in the answer
    columns: tuple[str, str, str]  # what title, link and snippet are called there
    url: str = ""  # empty: the node says where
    credential: str = ""
    secrets: tuple[str, ...] = ()  # fields of the credential without which nothing works

    @property
    def spec(self) -> NodeSpec:
        credential = Param("credential", "credential", "Connect Credential", optional=not self.secrets)
        connect = (credential,) if self.credential else ()
        where = () if self.url else (Param("apiBase", "string", "Base URL", help="Address of the instance."),)
        return NodeSpec(
            name=self.name,
            label=self.label,
            version=1,
            category="Tools",
            base_classes=(self.kind, "Tool", "StructuredTool", "Runnable"),
            help="Searches the web.",
            params=(*connect, *where),
            credentials=(self.credential,) if self.credential else (),
            role="component",
        )


def run_search(search: Search) -> NodeRun:
    """The run function of one row of the table."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """Configure the tool; nothing is called yet, and without a credential it says so when it is used."""
        fields = await values.credential(ctx, inputs)
        url = search.url or f"{values.text(inputs, 'apiBase').rstrip('/')}/search"
        check_destination(fields, url, own_url=search.url, egress=ctx.world.http.egress)

        async def find(query: str) -> str:
            if missing := [name for name in search.secrets if not fields.get(name)]:
                raise NodeInputError(
                    f"{search.label} cannot be used: its node needs a credential of kind {search.credential!r} with "
                    f"{', '.join(missing)}."
                )
            asked = search.ask(query, fields)
            answer = await ctx.world.http.request(
                "POST" if asked.json else "GET", url, params=asked.params, headers=asked.headers, json=asked.json
            )
            if answer.status != 200:
                secrets = [fields[name] for name in search.secrets]
                raise refusal(URL(url).host or url, answer.status, answer.body, headers=answer.headers, secrets=secrets)
            return _hits(search, answer.body)

        description = (
            "Searches the web; useful for questions about current events. The input is a search query, the output a "
            "JSON array of results."
        )
        return NodeResult(value=text_tool(search.tool, description, find))

    return run


def _hits(search: Search, body: bytes) -> str:
    try:
        found = orjson.loads(body)
        for step in search.hits:
            found = found.get(step) or []
        title, link, snippet = search.columns
        hits = [
            {"title": hit.get(title), "link": hit.get(link), "snippet": hit.get(snippet)} for hit in found[:MAX_HITS]
        ]
    except (ValueError, AttributeError, TypeError) as exc:
        raise ProviderError(f"{search.label} sent an answer that is no list of results.", retryable=True) from exc
    return orjson.dumps(hits).decode()


SEARCHES = (
    Search(
        "googleCustomSearch",
        "Google Custom Search",
        "GoogleCustomSearchAPI",
        tool="google-custom-search",
        url="https://www.googleapis.com/customsearch/v1",
        credential="googleCustomSearchApi",
        secrets=("googleCustomSearchApiKey", "googleCustomSearchApiId"),
        ask=lambda query, its: Ask(
            {"q": query, "key": its["googleCustomSearchApiKey"], "cx": its["googleCustomSearchApiId"]}
        ),
        hits=("items",),
        columns=("title", "link", "snippet"),
    ),
    Search(
        "serpAPI",
        "Serp API",
        "SerpAPI",
        tool="search",
        url="https://serpapi.com/search.json",
        credential="serpApi",
        secrets=("serpApiKey",),
        ask=lambda query, its: Ask({"q": query, "engine": "google", "api_key": its["serpApiKey"]}),
        hits=("organic_results",),
        columns=("title", "link", "snippet"),
    ),
    Search(
        "serper",
        "Serper",
        "Serper",
        tool="serper",
        url="https://google.serper.dev/search",
        credential="serperApi",
        secrets=("serperApiKey",),
        ask=lambda query, its: Ask(headers={"X-API-KEY": its["serperApiKey"]}, json={"q": query}),
        hits=("organic",),
        columns=("title", "link", "snippet"),
    ),
    Search(
        "braveSearchAPI",
        "BraveSearch API",
        "BraveSearchAPI",
        tool="brave-search",
        url="https://api.search.brave.com/res/v1/web/search",
        credential="braveSearchApi",
        secrets=("braveApiKey",),
        ask=lambda query, its: Ask({"q": query}, {"X-Subscription-Token": its["braveApiKey"]}),
        hits=("web", "results"),
        columns=("title", "url", "description"),
    ),
    Search(
        "tavilyAPI",
        "Tavily API",
        "TavilyAPI",
        tool="tavily_search_results_json",
        url="https://api.tavily.com/search",
        credential="tavilyApi",
        secrets=("tavilyApiKey",),
        ask=lambda query, its: Ask(
            headers={"Authorization": f"Bearer {its['tavilyApiKey']}"}, json={"query": query, "max_results": MAX_HITS}
        ),
        hits=("results",),
        columns=("title", "url", "content"),
    ),
    Search(
        "exaSearch",
        "Exa Search",
        "ExaSearch",
        tool="exa_search",
        url="https://api.exa.ai/search",
        credential="exaSearchApi",
        secrets=("exaSearchApiKey",),
        ask=lambda query, its: Ask(
            headers={"x-api-key": its["exaSearchApiKey"]},
            json={"query": query, "numResults": MAX_HITS, "contents": {"text": {"maxCharacters": 1000}}},
        ),
        hits=("results",),
        columns=("title", "url", "text"),
    ),
    Search(
        "searchAPI",
        "SearchApi",
        "SearchAPI",
        tool="search",
        url="https://www.searchapi.io/api/v1/search",
        credential="searchApi",
        secrets=("searchApiKey",),
        ask=lambda query, its: Ask(
            {"q": query, "engine": "google"}, {"Authorization": f"Bearer {its['searchApiKey']}"}
        ),
        hits=("organic_results",),
        columns=("title", "link", "snippet"),
    ),
    Search(
        "searXNG",
        "SearXNG",
        "SearXNG",
        tool="searxng-search",
        ask=lambda query, _: Ask({"q": query, "format": "json"}),
        hits=("results",),
        columns=("title", "url", "content"),
    ),
)

NODES = tuple(NodeType(search.spec, run_search(search)) for search in SEARCHES)
