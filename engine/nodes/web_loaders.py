"""Loaders that fetch: the pages of a site, and what an API answers."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import orjson
from yarl import URL

from engine.context import NodeContext
from engine.errors import NodeError, NodeInputError
from engine.http import Answer
from engine.nodes import values
from engine.nodes.loading import loaded, loader_spec
from engine.pages import site_links, sitemap_links
from engine.providers.base import Document
from engine.providers.refusals import refusal
from engine.readers import page_html, page_text
from engine.spec import Inputs, NodeResult, NodeRun, NodeType, Param

MOST_PAGES = 200
MOST_TRIES = 3  # requests for a page that is read: others are gone, or no text
CRAWL, SITEMAP = "webCrawl", "scrapeXMLSitemap"
TEXTS = ("text/", "json", "xml")

LINKS = (
    Param("url", "string", "URL", help="The page to begin with."),
    Param(
        "relativeLinksMethod",
        "options",
        "Get Relative Links Method",
        default=CRAWL,
        optional=True,
        options=(CRAWL, SITEMAP),
        help="How more pages of the site are found, if the limit asks for them.",
    ),
    Param(
        "limit",
        "number",
        "Get Relative Links Limit",
        optional=True,
        help=f"How many pages; one unless given, 0 for all, up to {MOST_PAGES}.",
    ),
)
SCRAPER = loader_spec(
    "cheerioWebScraper",
    "Cheerio Web Scraper",
    2,
    "The text of web pages.",
    *LINKS,
    Param("selector", "string", "Selector (CSS)", optional=True, help="Which part of a page is taken."),
    Param("excludeSelector", "string", "Excluded Selectors (CSS)", optional=True, help="Which part of it is left out."),
    Param(
        "outputFormat",
        "options",
        "Output Format (Pre-Split)",
        default="text",
        optional=True,
        options=("text", "html"),
        help="HTML is for a splitter that makes Markdown of it.",
    ),
)
NO_SCRIPTS = "The text of web pages, as their server sends it: no script of theirs is run."
SELECTOR = Param("cssSelector", "string", "CSS Selector", optional=True, help="Which part of a page is taken.")
PLAYWRIGHT = loader_spec("playwrightWebScraper", "Playwright Web Scraper", 2, NO_SCRIPTS, *LINKS, SELECTOR)
PUPPETEER = loader_spec("puppeteerWebScraper", "Puppeteer Web Scraper", 2, NO_SCRIPTS, *LINKS, SELECTOR)
API = loader_spec(
    "apiLoader",
    "API Loader",
    2.1,
    "What an API answers, as one document.",
    Param("method", "options", "Method", default="GET", options=("GET", "POST"), help="How it is called."),
    Param("url", "string", "URL", help="What is called."),
    Param("headers", "json", "Headers", optional=True, help='Such as {"Accept": "application/json"}.'),
    Param("body", "json", "Body", optional=True, help="What is sent with a POST."),
    Param("caFile", "file", "SSL Certificate", optional=True, help="Not taken: certificates that all trust will do."),
)


@dataclass(frozen=True, slots=True)
class Pick:
    """What is taken of a page."""

    selector: str = ""
    excluded: str = ""
    as_html: bool = False


def run_scraper(selector: str) -> NodeRun:
    """The run function of a scraper whose input `selector` says what is taken."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """A document a page. Raises NodeInputError for a URL that is none, or a limit below 0."""
        start = _url(values.text(inputs, "url"))
        limit = _limit(inputs)
        as_html = values.text(inputs, "outputFormat") == "html"
        pick = Pick(values.text(inputs, selector), values.text(inputs, "excludeSelector"), as_html)
        chosen = inputs.get("selectedLinks")  # what people ticked in the editor
        links = [_url(str(link)) for link in chosen] if isinstance(chosen, list) else []
        by_sitemap = values.text(inputs, "relativeLinksMethod") == SITEMAP

        async def read() -> list[Document]:
            if links:
                return await _read_all(ctx, links[: limit if limit > 1 else MOST_PAGES], pick)
            if by_sitemap and limit > 1:
                return await _read_all(ctx, (await _sitemap(ctx, start))[:limit], pick)
            return await _crawl(ctx, start, limit, pick)

        return await loaded(ctx, inputs, read)

    return run


async def run_api(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """What was answered, indented if it is JSON. Raises NodeInputError for a URL, a method or headers that are none."""
    url = _url(values.text(inputs, "url"))
    method = values.text(inputs, "method", "GET").upper()
    if method not in ("GET", "POST"):
        raise NodeInputError(f"apiLoader calls with GET or POST, not with {method}.")
    if values.text(inputs, "caFile"):
        raise NodeInputError("apiLoader takes no certificate of your own: clear caFile.")
    headers = values.headers(values.mapping(inputs, "headers"))
    body = values.mapping(inputs, "body") if method == "POST" else None

    async def read() -> list[Document]:
        answer = await ctx.world.http.request(method, url, headers=headers, json=body)
        if not 200 <= answer.status < 300:
            secrets = tuple(headers.values())
            raise refusal(url.host or "", answer.status, answer.body, headers=answer.headers, secrets=secrets)
        return [Document(_indented(answer), {"url": str(url)})]

    return await loaded(ctx, inputs, read)


def _limit(inputs: Inputs) -> int:
    """How many pages are read. Flows whose method was cleared want the first one alone, whatever limit they carry."""
    given = values.integer(inputs, "limit")
    if given is not None and given < 0:
        raise NodeInputError(f"limit must be 0, for all pages, or more, not {given}.")
    if given is None or inputs.get("relativeLinksMethod") == "":
        return 1
    return min(given or MOST_PAGES, MOST_PAGES)


def _url(text: str) -> URL:
    try:
        url = URL(text.strip()).with_fragment(None)
    except ValueError as exc:
        raise NodeInputError(f"This is no URL: {text!r}.") from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise NodeInputError("url must begin with http:// or https:// and name a host.")
    return url


async def _crawl(ctx: NodeContext, start: URL, limit: int, pick: Pick) -> list[Document]:
    """The page, then those of the same site that it leads to, nearest first. Only the first one must be there."""
    documents: list[Document] = []
    queue, known = deque([start]), {start}
    # A site may lead to any number of pages that are not there.
    for _ in range(limit * MOST_TRIES):
        if not queue or len(documents) == limit:
            break
        url = queue.popleft()
        answer = await (_fetched(ctx, url) if url == start else _found(ctx, url))
        if answer is None:
            continue
        documents.append(await asyncio.to_thread(_page, url, answer, pick))
        if limit > 1:
            new = [link for link in await asyncio.to_thread(site_links, url, answer.text) if link not in known]
            queue.extend(new)
            known.update(new)
    return documents


async def _sitemap(ctx: NodeContext, url: URL) -> list[URL]:
    links = await asyncio.to_thread(sitemap_links, url, (await _fetched(ctx, url)).text)
    if not links:
        raise NodeError(f"{_shown(url)} names no page of its own site: it is no sitemap.")
    return links


async def _read_all(ctx: NodeContext, links: Iterable[URL], pick: Pick) -> list[Document]:
    """Those of the pages that are there."""
    answers = [(link, await _found(ctx, link)) for link in links]
    return [await asyncio.to_thread(_page, link, answer, pick) for link, answer in answers if answer]


async def _found(ctx: NodeContext, url: URL) -> Answer | None:
    try:
        return await _fetched(ctx, url)
    except NodeError:
        return None  # one page among many: the others are what was asked for


async def _fetched(ctx: NodeContext, url: URL) -> Answer:
    answer = await ctx.world.http.request("GET", url)
    if answer.status != 200:
        raise NodeError(f"{_shown(url)} answered {answer.status}: there is no page to read.")
    kind = answer.headers.get("content-type", "text/html")
    if not any(text in kind for text in TEXTS):
        raise NodeError(f"{_shown(url)} is no page but {kind}.")
    return answer


def _shown(url: URL) -> URL:
    """Without what may be a secret."""
    return url.with_query(None).with_user(None)


def _page(url: URL, answer: Answer, pick: Pick) -> Document:
    if "html" not in answer.headers.get("content-type", "html"):
        return Document(answer.text, {"source": str(url)})
    read = page_html if pick.as_html else page_text
    text, title = read(answer.text, pick.selector, excluded=pick.excluded)
    return Document(text, {"source": str(url), **({"title": title} if title else {})})


def _indented(answer: Answer) -> str:
    try:
        return json.dumps(answer.json(), indent=2, ensure_ascii=False)
    except orjson.JSONDecodeError:
        return answer.text


NODES = (
    NodeType(SCRAPER, run_scraper("selector")),
    NodeType(PLAYWRIGHT, run_scraper("cssSelector")),
    NodeType(PUPPETEER, run_scraper("cssSelector")),
    NodeType(API, run_api),
)
