"""The loader of Confluence's spaces."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from bs4 import BeautifulSoup

from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeError, NodeInputError, ProviderError
from engine.nodes import values
from engine.nodes.loading import loaded, loader_spec
from engine.providers.base import Document
from engine.providers.rest import RestDatabase, basic_auth
from engine.providers.retrying import Retrying
from engine.readers import page_text
from engine.spec import Inputs, NodeResult, NodeType, Param

CREDENTIALS = ("confluenceCloudApi", "confluenceServerDCApi")
ANSWER_SIZE = 25  # pages in one answer
MOST_IN_ANSWER = 100  # Confluence gives no more with their texts
MOST_PAGES = 5000
NO_PROSE = ("ac:parameter", "ri:attachment")  # settings of macros

SPACE = loader_spec(
    "confluence",
    "Confluence",
    1,
    "The pages of a space in Confluence, each of them a document.",
    Param("baseUrl", "string", "Base URL", optional=True, help="Such as https://example.atlassian.net/wiki."),
    Param("spaceKey", "string", "Space Key", help="It stands in the address of the space, behind /spaces/."),
    # Under this name flows carry the size of an answer: a bound of ours on the pages would make their stores shorter.
    Param("limit", "number", "Limit", default=0, optional=True, help=f"Pages a request; {ANSWER_SIZE} unless given."),
    credentials=CREDENTIALS,
)


async def run_space(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing is read until the documents are asked for. Raises NodeInputError without an address or a space.

    Without a credential it reads what everybody may see.
    """
    fields = await values.credential(ctx, inputs)
    own_url = fields.get("baseURL", "").rstrip("/")
    url = values.text(inputs, "baseUrl", own_url).strip().rstrip("/")
    space = values.text(inputs, "spaceKey").strip()
    if not url or not space:
        raise NodeInputError("Confluence needs a baseUrl such as https://example.atlassian.net/wiki, and a spaceKey.")
    check_destination(fields, url, own_url=own_url, egress=ctx.world.http.egress)
    world = ctx.world
    api = RestDatabase(
        url,
        http=world.http,
        retrying=Retrying(world.clock, world.random),
        headers={"Accept": "application/json", **_headers(fields)},
        secrets=tuple(fields.values()),
    )
    size = min(max(values.integer(inputs, "limit") or ANSWER_SIZE, 1), MOST_IN_ANSWER)

    async def read() -> list[Document]:
        return await _pages(api, space, size)

    return await loaded(ctx, inputs, read)


def _headers(fields: Mapping[str, str]) -> dict[str, str]:
    """The cloud takes a user's token, a server of one's own a personal one."""
    if token := fields.get("accessToken"):
        return basic_auth(fields.get("username", ""), token)
    if token := fields.get("personalAccessToken"):
        return {"Authorization": f"Bearer {token}"}
    return {}


async def _pages(api: RestDatabase, space: str, size: int) -> list[Document]:
    documents: list[Document] = []
    while True:
        asked = {"spaceKey": space, "limit": size, "start": len(documents), "expand": "body.storage,version"}
        answer = await api.call("GET", f"/rest/api/content?{urlencode(asked)}")
        pages = answer.get("results") if isinstance(answer, Mapping) else None
        if not isinstance(pages, list) or not all(isinstance(page, Mapping) for page in pages):
            raise ProviderError("Confluence sent an answer that is no list of pages.", retryable=False)
        documents += [await asyncio.to_thread(_document, api.url, space, page) for page in pages]
        if not pages or not (answer.get("_links") or {}).get("next"):
            return documents
        if len(documents) >= MOST_PAGES:
            raise NodeError(f"The space {space} in Confluence has more than {MOST_PAGES} pages: choose a smaller one.")


def _document(url: str, space: str, page: Mapping[str, Any]) -> Document:
    version = page.get("version") or {}
    about = {
        "id": page.get("id"),
        "status": page.get("status"),
        "title": page.get("title"),
        "type": page.get("type"),
        "url": f"{url}/spaces/{space}/pages/{page.get('id')}",
        "version": version.get("number"),
        "updated_by": (version.get("by") or {}).get("displayName"),
        "updated_at": version.get("when"),
    }
    storage = (page.get("body") or {}).get("storage") or {}
    text = _prose(str(storage.get("value") or ""))
    return Document(text, {name: value for name, value in about.items() if value is not None})


def _prose(storage: str) -> str:
    page = BeautifulSoup(storage, "html.parser")
    for setting in page(NO_PROSE):
        setting.decompose()
    return page_text(str(page))[0]


NODES = (NodeType(SPACE, run_space),)
