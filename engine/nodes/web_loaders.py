"""Loaders that fetch: web pages, and the files of GitHub repositories."""

from __future__ import annotations

import asyncio
import io
import json
import re
import tarfile
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import PurePosixPath
from xml.etree import ElementTree

from bs4 import BeautifulSoup
from yarl import URL

from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeError, NodeInputError
from engine.http import Answer
from engine.nodes import values
from engine.nodes.loading import loaded, loader_spec
from engine.providers.base import Document
from engine.providers.refusals import refusal
from engine.readers import page_text
from engine.spec import Inputs, NodeResult, NodeType, Param

MOST_PAGES = 200
MOST_BYTES = 128 * 1024 * 1024  # of a repository's archive
MOST_UNPACKED = 1024 * 1024 * 1024
MOST_FILE = 1024 * 1024  # bytes; a longer file in a repository is no text that somebody wrote
TIMEOUT_S = 120.0
REPOSITORY = re.compile(r"https?://[^/]+/(?P<owner>[\w.-]+)/(?P<name>[\w.-]+?)(?:\.git)?/?$")
GITHUB_API = "https://api.github.com"

SCRAPER = loader_spec(
    "cheerioWebScraper",
    "Cheerio Web Scraper",
    2,
    "The text of web pages.",
    Param("url", "string", "URL", help="The page to begin with."),
    Param(
        "relativeLinksMethod",
        "options",
        "Get Relative Links Method",
        default="webCrawl",
        optional=True,
        options=("webCrawl", "scrapeXMLSitemap"),
        help="How more pages of the site are found, if the limit asks for them.",
    ),
    Param("limit", "number", "Get Relative Links Limit", optional=True, help="How many pages; one unless given."),
    Param("selector", "string", "Selector (CSS)", optional=True, help="Which part of a page is taken."),
)
GITHUB = loader_spec(
    "github",
    "Github",
    3,
    "The text files of a GitHub repository.",
    Param("repoLink", "string", "Repo Link", help="Such as https://github.com/owner/name."),
    Param("branch", "string", "Branch", default="main", help="Or a tag, or a commit."),
    Param("recursive", "boolean", "Recursive", optional=True, help="Take what is in folders, too."),
    Param("githubInstanceApi", "string", "Github Instance API", optional=True, help="Of GitHub Enterprise."),
    Param("ignorePath", "string", "Ignore Paths", optional=True, help='Paths that are left out: ["*.svg", "docs/**"].'),
    credentials=("githubApi",),
)


async def run_scraper(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A document a page. Raises NodeInputError for a URL that is none."""
    start = _url(values.text(inputs, "url"))
    limit = min(max(values.integer(inputs, "limit") or 1, 1), MOST_PAGES)
    selector = values.text(inputs, "selector")
    by_sitemap = values.text(inputs, "relativeLinksMethod") == "scrapeXMLSitemap"

    async def read() -> list[Document]:
        if by_sitemap and limit > 1:
            return await _sitemap(ctx, start, limit, selector)
        return await _crawl(ctx, start, limit, selector)

    return await loaded(ctx, inputs, read)


async def run_github(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A document a file. The repository comes in one piece, so that nobody's hourly allowance is used up.

    Raises NodeInputError for a link that leads to no repository.
    """
    link = REPOSITORY.match(values.text(inputs, "repoLink").strip())
    if link is None:
        raise NodeInputError("repoLink must be like https://github.com/owner/name.")
    fields = await values.credential(ctx, inputs)
    token = fields.get("accessToken", "")
    api = values.text(inputs, "githubInstanceApi", GITHUB_API).rstrip("/")
    check_destination(fields, api, own_url=GITHUB_API, egress=ctx.world.http.egress)
    branch = values.text(inputs, "branch", "main")
    url = f"{api}/repos/{link['owner']}/{link['name']}/tarball/{branch}"
    recursive = values.flag(inputs, "recursive")
    ignored = _ignored(values.text(inputs, "ignorePath"))

    async def read() -> list[Document]:
        headers = {"Accept": "application/vnd.github+json", "User-Agent": "forjinn"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        answer = await ctx.world.http.request("GET", url, headers=headers, timeout_s=TIMEOUT_S, limit=MOST_BYTES)
        if answer.status != 200:
            raise refusal(URL(api).host or api, answer.status, answer.body, headers=answer.headers, secrets=(token,))
        about = {"repository": link[0].rstrip("/"), "branch": branch}
        return await asyncio.to_thread(_unpacked, answer.body, about, recursive, ignored)

    return await loaded(ctx, inputs, read)


def _url(text: str) -> URL:
    try:
        url = URL(text.strip())
    except ValueError as exc:
        raise NodeInputError(f"This is no URL: {text!r}.") from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise NodeInputError("url must begin with http:// or https:// and name a host.")
    return url


async def _crawl(ctx: NodeContext, start: URL, limit: int, selector: str) -> list[Document]:
    """The page, then those of the same site that it leads to, nearest first. Only the first one must be there."""
    documents: list[Document] = []
    queue, known = [start], {start}
    while queue and len(documents) < limit:
        url = queue.pop(0)
        answer = await ctx.world.http.request("GET", url)
        if answer.status != 200:
            if url == start:
                raise _no_page(url, answer)
            continue
        documents.append(_page(url, answer, selector))
        if limit > 1:
            new = [link for link in await asyncio.to_thread(_links, url, answer.text) if link not in known]
            queue += dict.fromkeys(new)
            known.update(new)
    return documents


async def _sitemap(ctx: NodeContext, url: URL, limit: int, selector: str) -> list[Document]:
    answer = await ctx.world.http.request("GET", url)
    if answer.status != 200:
        raise _no_page(url, answer)
    if "<!" in answer.text:
        raise NodeError(f"{url} is no sitemap that can be read: it declares entities.")
    try:
        found = ElementTree.fromstring(answer.body).iter()  # noqa: S314 -- entities were refused above
    except ElementTree.ParseError as exc:
        raise NodeError(f"{url} is no sitemap: {exc}.") from exc
    pages = [_url(item.text) for item in found if item.tag.endswith("loc") and item.text]
    documents = []
    for page in pages[:limit]:
        answer = await ctx.world.http.request("GET", page)
        if answer.status == 200:
            documents.append(_page(page, answer, selector))
    return documents


def _no_page(url: URL, answer: Answer) -> NodeError:
    return NodeError(f"{url.with_query(None)} answered {answer.status}: there is no page to read.")


def _page(url: URL, answer: Answer, selector: str) -> Document:
    if "html" not in answer.headers.get("content-type", "html"):
        return Document(answer.text, {"source": str(url)})
    text, title = page_text(answer.text, selector)
    return Document(text, {"source": str(url), **({"title": title} if title else {})})


def _links(url: URL, html: str) -> list[URL]:
    found = []
    for tag in BeautifulSoup(html, "html.parser").find_all("a", href=True):
        try:
            link = url.join(URL(str(tag["href"]))).with_fragment(None)
        except ValueError:
            continue
        if link.scheme in ("http", "https") and link.host == url.host and link.port == url.port:
            found.append(link)
    return found


def _ignored(text: str) -> list[str]:
    if not text.strip():
        return []
    try:
        patterns = json.loads(text)
    except ValueError:
        patterns = text.split(",")
    if not isinstance(patterns, list):
        raise NodeInputError('ignorePath must be a JSON list of paths, such as ["*.svg", "docs/**"].')
    return [str(pattern).strip() for pattern in patterns]


def _unpacked(archive: bytes, about: Mapping[str, str], recursive: bool, ignored: list[str]) -> list[Document]:
    documents = []
    unpacked = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
            for member in files:
                unpacked += member.size
                if unpacked > MOST_UNPACKED:
                    raise NodeError(f"{about['repository']} is too big to be read.")
                path = PurePosixPath(*PurePosixPath(member.name).parts[1:])  # the archive has a folder around all
                held = files.extractfile(member) if member.isfile() and member.size <= MOST_FILE else None
                if held is None or not _is_wanted(path, recursive, ignored):
                    continue
                text = _text(held.read())
                if text:
                    documents.append(Document(text, {"source": str(path), **about}))
    except (tarfile.TarError, EOFError, OSError) as exc:
        raise NodeError(f"The archive of {about['repository']} cannot be read: {exc}.") from exc
    return documents


def _is_wanted(path: PurePosixPath, recursive: bool, ignored: list[str]) -> bool:
    if not recursive and len(path.parts) > 1:
        return False
    return not any(fnmatch(str(path), pattern) or fnmatch(path.name, pattern) for pattern in ignored)


def _text(content: bytes) -> str:
    """Empty for what is no text."""
    try:
        return "" if b"\0" in content else content.decode("utf-8")
    except UnicodeDecodeError:
        return ""


NODES = (NodeType(SCRAPER, run_scraper), NodeType(GITHUB, run_github))
