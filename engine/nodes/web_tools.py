"""Tools that read web pages."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from yarl import URL

from engine.context import NodeContext
from engine.errors import NodeError, NodeInputError
from engine.http import HttpClient
from engine.nodes import values
from engine.pages import site_links, sitemap_links
from engine.providers.base import ToolSpec
from engine.readers import page_text
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.tools import FunctionTool

RECURSIVE, SITEMAP = "recursive", "sitemap"
MOST_PAGES = 50
MOST_DEPTH = 5
LONGEST_S = 300.0
MAX_PAGE = 4 * 1024 * 1024  # bytes
MAX_TEXT = 20_000  # characters of a page that a model is shown
DESCRIPTION = (
    "Reads the text of web pages, beginning with the given URL. Returns a JSON array of pages with their url, title "
    "and body_text."
)
PARAMETERS = {
    "type": "object",
    "properties": {"url": {"type": "string", "description": "The URL of the page, or of a sitemap."}},
    "required": ["url"],
}

SCRAPER = NodeSpec(
    name="webScraperTool",
    label="Web Scraper Tool",
    version=1.1,
    category="Tools",
    base_classes=("WebScraperTool", "Tool", "StructuredTool", "Runnable"),
    help="Lets a model read web pages.",
    params=(
        Param(
            "scrapeMode",
            "options",
            "Scraping Mode",
            default=RECURSIVE,
            optional=True,
            options=(RECURSIVE, SITEMAP),
            help="Follow links on the same host, or the site's sitemap.",
        ),
        Param("maxDepth", "number", "Max Depth", default=1, optional=True, help="Links to follow from the first page."),
        Param("maxPages", "number", "Max Pages", default=10, optional=True, help=f"At most {MOST_PAGES}."),
        Param("timeoutS", "number", "Timeout (s)", default=60, optional=True, help="For all pages together."),
        Param("description", "string", "Tool Description", optional=True, help="When the model is to use it."),
    ),
    role="component",
)


@dataclass(frozen=True, slots=True)
class Scraper:
    """Reads pages of one host, nearest first, within its bounds."""

    http: HttpClient
    by_sitemap: bool
    max_depth: int
    max_pages: int
    timeout_s: float

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """The pages as JSON. What was read until the time was over is given. Raises NodeError if not even one was."""
        start = _url(arguments)
        pages: list[dict[str, str]] = []
        try:
            async with asyncio.timeout(self.timeout_s):
                if self.by_sitemap:
                    await self._read_all(await self._sitemap(start), pages)
                else:
                    await self._crawl(start, pages)
        except TimeoutError as exc:
            if not pages:
                raise NodeError(f"{start.host} did not answer within {self.timeout_s:g} seconds.") from exc
        return orjson.dumps(pages).decode()

    async def _crawl(self, start: URL, pages: list[dict[str, str]]) -> None:
        queue = deque([(start, 0)])
        known = {start}
        while queue and len(pages) < self.max_pages:
            url, depth = queue.popleft()
            page, links = await self._read(url, leads_on=depth < self.max_depth)
            if url == start and "error" in page:
                raise NodeError(page["error"])
            pages.append(page)
            new = [link for link in links if link not in known]
            known.update(new)
            queue += [(link, depth + 1) for link in new]

    async def _sitemap(self, url: URL) -> list[URL]:
        answer = await self.http.request("GET", url, timeout_s=self.timeout_s, limit=MAX_PAGE)
        links = sitemap_links(url, answer.text) if answer.status == 200 else []
        if not links:
            raise NodeError(f"{url.with_query(None)} answered {answer.status} and names no page: it is no sitemap.")
        return links[: self.max_pages]

    async def _read_all(self, links: Iterable[URL], pages: list[dict[str, str]]) -> None:
        for link in links:
            page, _ = await self._read(link, leads_on=False)
            pages.append(page)

    async def _read(self, url: URL, *, leads_on: bool) -> tuple[dict[str, str], list[URL]]:
        """A page that cannot be read says why: others may do."""
        try:
            answer = await self.http.request("GET", url, timeout_s=self.timeout_s, limit=MAX_PAGE)
        except NodeError as exc:
            return {"url": str(url), "error": exc.message}, []
        if answer.status != 200:
            return {"url": str(url), "error": f"{url.with_query(None)} answered {answer.status}."}, []
        if "html" not in answer.headers.get("content-type", "html"):
            return {"url": str(url), "title": "", "body_text": answer.text[:MAX_TEXT]}, []
        text, title = await asyncio.to_thread(page_text, answer.text)
        links = await asyncio.to_thread(site_links, url, answer.text) if leads_on else []
        return {"url": str(url), "title": title, "body_text": text[:MAX_TEXT]}, links


async def run_scraper(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Configure the tool; nothing is read yet. Raises NodeInputError for a mode that it does not have."""
    mode = values.text(inputs, "scrapeMode", RECURSIVE)
    if mode not in (RECURSIVE, SITEMAP):
        raise NodeInputError(f"There is no scraping mode {mode!r}; known: {RECURSIVE}, {SITEMAP}.")
    depth, pages = values.integer(inputs, "maxDepth"), values.integer(inputs, "maxPages")
    timeout_s = values.number(inputs, "timeoutS")
    scraper = Scraper(
        ctx.world.http,
        mode == SITEMAP,
        max_depth=min(max(1 if depth is None else depth, 0), MOST_DEPTH),
        max_pages=min(max(10 if pages is None else pages, 1), MOST_PAGES),
        timeout_s=min(max(60.0 if timeout_s is None else timeout_s, 1.0), LONGEST_S),
    )
    spec = ToolSpec("web_scraper_tool", values.text(inputs, "description", DESCRIPTION), PARAMETERS)
    return NodeResult(value=FunctionTool(spec, scraper.call))


def _url(arguments: Mapping[str, Any]) -> URL:
    given = str(arguments.get("url") or arguments.get("input") or "").strip()
    try:
        url = URL(given)
    except ValueError as exc:
        raise NodeInputError(f"This is no URL: {given!r}.") from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise NodeInputError("url must begin with http:// or https:// and name a host.")
    return url


NODES = (NodeType(SCRAPER, run_scraper),)
