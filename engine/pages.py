"""Web pages that lead to each other."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from bs4 import BeautifulSoup
from yarl import URL

LOCATION = re.compile(r"<loc>\s*([^<\s]+)\s*</loc>")


def site_links(url: URL, page: str) -> list[URL]:
    """Where a page leads to on its own site, each once, without fragments. May take long: use a thread."""
    tags = BeautifulSoup(page, "html.parser").find_all("a", href=True)
    return _on_site(url, (str(tag["href"]) for tag in tags))


def sitemap_links(url: URL, sitemap: str) -> list[URL]:
    """The pages that a sitemap names, those of its own site."""
    return _on_site(url, (html.unescape(found) for found in LOCATION.findall(sitemap)))


def _on_site(url: URL, links: Iterable[str]) -> list[URL]:
    found: dict[URL, None] = {}
    for text in links:
        try:
            link = url.join(URL(text)).with_fragment(None)
        except ValueError:
            continue
        if link.scheme in ("http", "https") and _site(link) == _site(url):
            found[link] = None
    return list(found)


def _site(url: URL) -> tuple[str, int | None]:
    """Its host and port. Sites name themselves with and without www, and by HTTPS where people typed HTTP."""
    return (url.host or "").removeprefix("www."), None if url.is_default_port() else url.port
