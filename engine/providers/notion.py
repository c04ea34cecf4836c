"""Notion: pages and databases over its REST API, with what is below them, as Markdown."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import NodeError, ProviderError
from engine.providers.base import Document
from engine.providers.notion_markdown import block_text, properties_text, property_text, table_text
from engine.providers.rest import RestDatabase

API = "https://api.notion.com/v1"
VERSION = {"Notion-Version": "2022-06-28"}
ANSWER_SIZE = 100  # things in one answer: the most that Notion gives
MOST_PAGES = 1000
MOST_CALLS = 5000  # for one source; at Notion's three a second that is half an hour
MOST_DEPTH = 12  # blocks within blocks; pages within pages count anew

INDENTED = frozenset({"bulleted_list_item", "numbered_list_item", "to_do", "toggle"})
BELOW = frozenset({"child_page", "child_database"})


@dataclass(frozen=True, slots=True)
class _Place:
    """A page or a database that is still to be read; a database's rows come with what is known of the page."""

    id: str
    is_database: bool = False
    page: Mapping[str, Any] | None = None


class NotionReader:
    """Reads one page or database and all that is below it, each page once. Made for one reading."""

    def __init__(self, api: RestDatabase) -> None:
        self._api = api
        self._calls = 0

    async def page(self, page_id: str) -> list[Document]:
        """The page, then the pages below it, nearest first.

        Raises ProviderError if Notion refuses, NodeError if there is more than may be read at once.
        """
        return await self._read(_Place(page_id), with_header=False)

    async def database(self, database_id: str) -> list[Document]:
        """A document a row, headed by its properties, then the pages below the rows. Raises like `page`."""
        return await self._read(_Place(database_id, is_database=True), with_header=True)

    async def _read(self, first: _Place, *, with_header: bool) -> list[Document]:
        documents: list[Document] = []
        queue, known = deque([first]), {first.id}
        while queue:
            place = queue.popleft()
            below = await self._rows(place) if place.is_database else []
            if not place.is_database:
                page = place.page or await self._call("GET", f"/pages/{place.id}")
                text, below = await self._text(place.id)
                documents.append(_document(page, text, with_header=with_header))
            # Linked views show the same page in several places.
            new = {found.id: found for found in below if found.id not in known}
            known.update(new)
            queue.extend(new.values())
            if len(known) > MOST_PAGES:
                raise NodeError(
                    f"There are more than {MOST_PAGES} pages below this one in Notion: choose one further down."
                )
        return documents

    async def _rows(self, place: _Place) -> list[_Place]:
        return [_Place(row["id"], page=row) async for row in self._listed("POST", f"/databases/{place.id}/query")]

    async def _text(self, page_id: str) -> tuple[str, list[_Place]]:
        below: list[_Place] = []
        return "\n\n".join(await self._blocks(page_id, below)), below

    async def _blocks(self, parent: str, below: list[_Place], depth: int = 0) -> list[str]:
        texts: list[str] = []
        async for block in self._listed("GET", f"/blocks/{parent}/children"):
            kind = str(block.get("type"))
            if kind in BELOW:
                below.append(_Place(block["id"], is_database=kind == "child_database"))
                continue
            if text := block_text(block):
                texts.append(text)
            if block.get("has_children") and depth < MOST_DEPTH:
                inner = await self._blocks(block["id"], below, depth + 1)
                texts += _placed(kind, inner)
        return texts

    async def _listed(self, method: str, path: str) -> AsyncIterator[Mapping[str, Any]]:
        """What a list holds, answer by answer."""
        cursor: str | None = None
        while True:
            params = {"page_size": ANSWER_SIZE, **({"start_cursor": cursor} if cursor else {})}
            if method == "GET":
                answer = await self._call(method, f"{path}?{'&'.join(f'{k}={v}' for k, v in params.items())}")
            else:
                answer = await self._call(method, path, params)
            results = answer.get("results")
            if not isinstance(results, list) or not all(isinstance(r, Mapping) and "id" in r for r in results):
                raise ProviderError("Notion sent an answer that is no list.", retryable=False)
            for result in results:
                yield result
            cursor = answer.get("next_cursor") if answer.get("has_more") else None
            if not cursor:
                return

    async def _call(self, method: str, path: str, json: Any = None) -> Mapping[str, Any]:
        self._calls += 1
        if self._calls > MOST_CALLS:
            raise NodeError(f"Notion would have to be asked more than {MOST_CALLS} times: choose a page further down.")
        answer = await self._api.call(method, path, json)
        if not isinstance(answer, Mapping):
            raise ProviderError("Notion sent an answer that is no object.", retryable=False)
        return answer


def _placed(kind: str, inner: list[str]) -> list[str]:
    """What stands inside a block, as it stands in Markdown."""
    if kind == "table":
        return [table_text(inner)]
    if kind in INDENTED:
        return ["\n".join(f"    {line}" for line in text.splitlines()) for text in inner]
    return inner


def _document(page: Mapping[str, Any], text: str, *, with_header: bool) -> Document:
    properties = page.get("properties") or {}
    shown = {name: property_text(value) for name, value in properties.items()}
    title = next((shown[name] for name, value in properties.items() if value.get("type") == "title"), "")
    about = {name: page[name] for name in ("url", "created_time", "last_edited_time") if name in page}
    metadata = {"notionId": page.get("id"), "title": title, **about, "properties": shown}
    return Document(f"{properties_text(shown)}{text}" if with_header else text, metadata)
