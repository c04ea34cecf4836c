"""Document stores at work: read, upserted, asked and emptied over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test import RequestFactory

from forjinn.core.permissions import PUBLIC
from predictions.documents import to_its_end
from predictions.upserts import UpsertFailed
from predictions.views.api import api_view
from tests.model_server import ScriptedModel
from tests.predictions import stores
from tests.predictions.calls import Caller

QUERY = "/document-store/vectorstore/query"
BLACK, WHITE = "Coal is black.", "Snow is white."


@pytest.fixture
def papers(holder: Caller, model: ScriptedModel) -> str:
    return stores.filled_store(holder, model.url)


def loader_of(holder: Caller, store_id: str) -> dict[str, Any]:
    [loader] = holder.http.get(f"/document-store/store/{store_id}").json()["loaders"]
    return dict(loader)


def test_one_call_reads_cuts_embeds_and_stores(holder: Caller, model: ScriptedModel) -> None:
    store_id = stores.new_store(holder)

    counts = stores.upsert(holder, store_id, **stores.place(model.url))

    store = holder.http.get(f"/document-store/store/{store_id}").json()
    assert (counts["numAdded"], counts["numSkipped"]) == (2, 0)
    assert (store["status"], store["totalChunks"], store["totalChars"]) == ("UPSERTED", 2, 28)
    assert store["loaders"][0]["id"] == counts["docId"]
    assert stores.find(holder, store_id, "What is black?") == [BLACK]


def test_a_store_goes_step_by_step_as_an_editor_takes_it(holder: Caller, model: ScriptedModel) -> None:
    store_id = stores.new_store(holder)
    seen = [stores.status(holder, store_id)]
    body: dict[str, Any] = {
        "storeId": store_id,
        "loaderId": "plainText",
        "loaderName": "Plain Text",
        "loaderConfig": {"text": stores.TEXT},
        "splitterId": stores.SPLITTER["name"],
        "splitterConfig": stores.SPLITTER["config"],
    }
    loader = holder.http.post("/document-store/loader/save", json=body).json()
    seen.append(stores.status(holder, store_id))
    page = holder.http.post(f"/document-store/loader/process/{loader['id']}", json={**body, "id": loader["id"]}).json()
    seen.append(stores.status(holder, store_id))
    stores.choose(holder, store_id, model.url)

    stored = holder.http.post("/document-store/vectorstore/insert", json={"storeId": store_id})

    seen.append(stores.status(holder, store_id))
    assert seen == ["EMPTY", "NEW", "SYNC", "UPSERTED"]
    assert [chunk["pageContent"] for chunk in page["chunks"]] == [WHITE, BLACK]
    assert (page["count"], page["characters"], page["file"]["status"]) == (2, 28, "SYNC")
    assert stored.json()["numAdded"] == 2


def test_a_preview_reads_and_keeps_nothing(holder: Caller) -> None:
    store_id = stores.new_store(holder)
    body = {"storeId": store_id, "loaderId": "plainText", "loaderConfig": {"text": "One.\nTwo."}}

    seen = holder.http.post("/document-store/loader/preview", json=body).json()

    assert seen == {
        "chunks": [{"pageContent": "One.\nTwo.", "metadata": {}}],
        "totalChunks": 1,
        "previewChunkCount": 1,
    }
    assert stores.status(holder, store_id) == "EMPTY"


def test_files_are_kept_by_the_loader_that_read_them(holder: Caller, model: ScriptedModel) -> None:
    store_id = stores.new_store(holder)
    parts = {name: json.dumps(part) for name, part in stores.place(model.url).items()}
    files = [
        ("files", ("a.txt", b"Grass is green.", "text/plain")),
        ("files", ("b.txt", b"Sky is blue.", "text/plain")),
    ]

    stored = holder.http.post(
        f"/document-store/upsert/{store_id}", files=files, data={**parts, "metadata": '{"shelf": "a"}'}
    )
    again = holder.http.post(f"/document-store/refresh/{store_id}")

    loader = loader_of(holder, store_id)
    assert [document["metadata"] for document in stored.json()["addedDocs"]] == [
        {"source": name, "shelf": "a", "docId": loader["id"]} for name in ("a.txt", "b.txt")
    ]
    assert loader["loaderConfig"]["file"] == "FILE-STORAGE::a.txt, b.txt"
    assert [(file["name"], file["size"]) for file in loader["files"]] == [("a.txt", 15), ("b.txt", 12)]
    assert [(one["numAdded"], one["numSkipped"]) for one in again.json()] == [(0, 2)]


def test_a_file_goes_to_the_loader_that_is_named(holder: Caller, model: ScriptedModel) -> None:
    store_id = stores.new_store(holder)
    stores.choose(holder, store_id, model.url)
    files = [("files", ("a.csv", b"name,age\nAda,36\nBob,7\n", "text/csv"))]

    stored = holder.http.post(
        f"/document-store/upsert/{store_id}", files=files, data={"loader": '{"name": "csvFile", "config": {}}'}
    )
    refused = holder.http.post(
        f"/document-store/upsert/{store_id}", files=files, data={"loader": '{"name": "plainText"}'}
    )

    assert [document["pageContent"] for document in stored.json()["addedDocs"]] == [
        "name: Ada\nage: 36",
        "name: Bob\nage: 7",
    ]
    assert (refused.status_code, refused.json()["code"]) == (422, "store_invalid")
    assert refused.json()["message"].startswith("files: the loader 'plainText' takes none")


def test_what_a_loader_no_longer_brings_is_no_longer_found(holder: Caller, papers: str) -> None:
    other = stores.upsert(holder, papers, "Roses are red.")["docId"]
    first = next(
        loader["id"]
        for loader in holder.http.get(f"/document-store/store/{papers}").json()["loaders"]
        if loader["id"] != other
    )

    changed = stores.upsert(holder, papers, WHITE, docId=first, replaceExisting=True)

    assert (changed["docId"], changed["numAdded"], changed["numSkipped"], changed["numDeleted"]) == (first, 0, 1, 1)
    assert sorted(stores.find(holder, papers, "black", topK=9)) == ["Roses are red.", WHITE]


def test_a_loader_is_the_pattern_for_a_new_one_unless_it_is_to_be_replaced(holder: Caller, papers: str) -> None:
    first = loader_of(holder, papers)["id"]

    added = stores.upsert(holder, papers, "Roses are red.", docId=first)

    assert added["docId"] != first
    assert len(holder.http.get(f"/document-store/store/{papers}").json()["loaders"]) == 2


def test_an_edited_chunk_is_found_once_the_store_is_upserted_again(holder: Caller, papers: str) -> None:
    page = holder.http.get(f"/document-store/chunks/{papers}/all/1").json()
    chunk = page["chunks"][1]
    address = f"/document-store/chunks/{papers}/{chunk['docId']}/{chunk['id']}"

    edited = holder.http.put(address, json={"pageContent": "Coal is dark.", "metadata": {"page": 3}}).json()
    before = (stores.status(holder, papers), stores.find(holder, papers, "coal"))
    holder.http.post("/document-store/vectorstore/insert", json={"storeId": papers}).raise_for_status()

    assert [json.loads(chunk["metadata"]) for chunk in edited["chunks"]][1] == {"page": 3}
    assert before == ("SYNC", [BLACK])
    assert (stores.status(holder, papers), stores.find(holder, papers, "coal")) == ("UPSERTED", ["Coal is dark."])


def test_a_loader_that_would_read_something_else_stays_stale(holder: Caller, papers: str) -> None:
    body = {"storeId": papers, "id": loader_of(holder, papers)["id"], "loaderConfig": {"text": "New."}}
    holder.http.post("/document-store/loader/save", json=body).raise_for_status()

    holder.http.post("/document-store/vectorstore/insert", json={"storeId": papers}).raise_for_status()

    assert stores.status(holder, papers) == "STALE"
    assert stores.find(holder, papers, "black") == [BLACK]


def test_a_deleted_chunk_is_no_longer_found_after_the_next_upsert(holder: Caller, papers: str) -> None:
    chunk = holder.http.get(f"/document-store/chunks/{papers}/all/1").json()["chunks"][0]

    left = holder.http.delete(f"/document-store/chunks/{papers}/{chunk['docId']}/{chunk['id']}").json()
    holder.http.post("/document-store/vectorstore/insert", json={"storeId": papers}).raise_for_status()

    assert ([chunk["pageContent"] for chunk in left["chunks"]], left["count"], left["characters"]) == ([BLACK], 1, 14)
    assert stores.find(holder, papers, "snow", topK=9) == [BLACK]


def test_a_loader_goes_with_what_is_stored_of_it(holder: Caller, papers: str) -> None:
    added = stores.upsert(holder, papers, "Roses are red.")["docId"]

    store = holder.http.delete(f"/document-store/loader/{papers}/{added}").json()

    assert len(store["loaders"]) == 1
    assert sorted(stores.find(holder, papers, "roses", topK=9)) == [BLACK, WHITE]


def test_a_store_is_emptied_and_filled_again(holder: Caller, papers: str) -> None:
    emptied = holder.http.delete(f"/document-store/vectorstore/{papers}")
    refused = holder.http.post(QUERY, json={"storeId": papers, "query": "snow"})
    status = stores.status(holder, papers)
    stored = holder.http.post("/document-store/vectorstore/insert", json={"storeId": papers})

    assert emptied.json() == {"numDeleted": 2}
    assert (refused.status_code, refused.json()["code"]) == (422, "upsert_failed")
    assert refused.json()["message"] == (
        "There is nothing in the document store 'Papers' yet: upsert it, with "
        f"POST /api/v1/document-store/upsert/{papers}."
    )
    assert status == "SYNC"
    assert stored.json()["numAdded"] == 2


def test_another_place_has_to_be_filled_first(holder: Caller, model: ScriptedModel, papers: str) -> None:
    stores.choose(holder, papers, model.url, tableName=f"other {uuid4()}")
    status = stores.status(holder, papers)

    stored = holder.http.post("/document-store/vectorstore/insert", json={"storeId": papers})

    assert status == "SYNC"
    assert stored.json()["numAdded"] == 2


def test_how_a_store_is_searched_may_change_at_any_time(holder: Caller, model: ScriptedModel, papers: str) -> None:
    stores.choose(holder, papers, model.url, topK=2)

    assert stores.status(holder, papers) == "UPSERTED"
    assert len(stores.find(holder, papers, "snow")) == 2


def test_a_record_manager_of_the_owners_takes_away_all_that_is_not_brought(
    holder: Caller, model: ScriptedModel
) -> None:
    manager: dict[str, Any] = {"recordManager": {"name": "postgresRecordManager", "config": {"cleanup": "full"}}}
    store_id = stores.new_store(holder)
    stores.upsert(holder, store_id, **stores.place(model.url), **manager)

    added = stores.upsert(holder, store_id, "Roses are red.")

    # It has to bring the other loaders' chunks along, or they would be gone.
    assert (added["numAdded"], added["numSkipped"], added["numDeleted"]) == (1, 2, 0)
    assert len(stores.find(holder, store_id, "roses", topK=9)) == 3


def test_what_fails_is_told_and_leaves_the_store_as_it_was(holder: Caller, model: ScriptedModel, papers: str) -> None:
    model.embedding_refusals.append(400)
    body = {"loader": {"name": "plainText", "config": {"text": "New."}}}

    refused = holder.http.post(f"/document-store/upsert/{papers}", json=body)

    loaders = holder.http.get(f"/document-store/store/{papers}").json()["loaders"]
    assert (refused.status_code, refused.json()["message"]) == (422, "127.0.0.1 answered 400: not now")
    assert [loader["status"] for loader in loaders] == ["UPSERTED", "SYNC"]


def test_an_upsert_that_fails_half_way_has_to_be_done_again(holder: Caller, model: ScriptedModel, papers: str) -> None:
    stores.upsert(holder, papers, "Roses are red.")
    chunk = holder.http.get(f"/document-store/chunks/{papers}/all/1").json()["chunks"][0]
    address = f"/document-store/chunks/{papers}/{chunk['docId']}/{chunk['id']}"
    holder.http.put(address, json={"pageContent": "Snow is cold."}).raise_for_status()
    model.embedding_refusals.append(400)

    refused = holder.http.post("/document-store/vectorstore/insert", json={"storeId": papers})
    failed = stores.status(holder, papers)
    holder.http.post("/document-store/vectorstore/insert", json={"storeId": papers}).raise_for_status()

    assert (refused.status_code, failed, stores.status(holder, papers)) == (422, "SYNC", "UPSERTED")
    assert "Snow is cold." in stores.find(holder, papers, "snow", topK=9)


def test_a_store_without_a_place_says_what_to_choose(holder: Caller) -> None:
    store_id = stores.new_store(holder)

    refused = holder.http.post(
        f"/document-store/upsert/{store_id}", json={"loader": {"name": "plainText", "config": {"text": "x"}}}
    )

    assert refused.status_code == 422
    assert "has no place for its documents: choose an embedding model and a vector store" in refused.json()["message"]


def test_nothing_read_is_nothing_to_upsert(holder: Caller, model: ScriptedModel) -> None:
    store_id = stores.new_store(holder)
    stores.choose(holder, store_id, model.url)

    refused = holder.http.post("/document-store/vectorstore/insert", json={"storeId": store_id})

    assert (refused.status_code, "process a loader first" in refused.json()["message"]) == (422, True)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 422, "docId, loader or files: one of them has to say what is upserted"),
        ({"loader": {"name": "ghost"}}, 422, "There is no document loader 'ghost' for document stores here; known: "),
        ({"loader": {"name": "plainText"}, "splitter": {"name": "plainText"}}, 422, "There is no text splitter"),
        ({"loader": []}, 400, "loader: Invalid data"),
        ({"loader": {"name": "plainText", "config": "text"}}, 400, "loader.config: expected an object, got text"),
        ({"loader": {"name": "plainText", "config": {"text": "a\0"}}}, 400, "loader.config: Null characters"),
        ({"docId": "x"}, 400, "docId: expected an id"),
        ({"docId": str(uuid4())}, 404, "Loader "),
        ({"vectorStore": {"name": "faiss"}}, 422, "There is no vector store 'faiss' for document stores here; known: "),
        ({"createNewDocStore": True}, 422, "createNewDocStore: make the store first, with POST"),
        ({"replaceExisting": "maybe"}, 400, "replaceExisting: expected true or false"),
        ({"loader": {"name": "textFile", "config": {"txtFile": "a"}}}, 422, "loaderConfig: txtFile must hold files"),
        (
            {"loader": {"name": "plainText", "config": {"metadata": "["}}, "metadata": {"a": 1}},
            422,
            "loader.config.meta",
        ),
    ],
)
def test_what_cannot_be_upserted_is_refused_by_name(
    holder: Caller, papers: str, body: dict[str, Any], status: int, message: str
) -> None:
    refused = holder.http.post(f"/document-store/upsert/{papers}", json=body)

    assert (refused.status_code, refused.json()["message"][: len(message)]) == (status, message)
    assert len(holder.http.get(f"/document-store/store/{papers}").json()["loaders"]) == 1


def test_a_strangers_store_is_not_there(neighbour: Caller, visitor: Caller, holder: Caller, papers: str) -> None:
    loader_id = loader_of(holder, papers)["id"]
    body = {"storeId": papers, "query": "snow", "loaderId": "plainText"}
    calls = [
        ("POST", f"/document-store/upsert/{papers}"),
        ("POST", f"/document-store/refresh/{papers}"),
        ("POST", "/document-store/vectorstore/insert"),
        ("POST", QUERY),
        ("DELETE", f"/document-store/vectorstore/{papers}"),
        ("POST", "/document-store/loader/preview"),
        ("POST", f"/document-store/loader/process/{loader_id}"),
        ("DELETE", f"/document-store/loader/{papers}/{loader_id}"),
    ]

    answers = {
        caller: [caller.http.request(method, path, json=body).status_code for method, path in calls]
        for caller in (neighbour, visitor)
    }

    assert answers == {neighbour: [404] * len(calls), visitor: [401] * len(calls)}
    assert stores.find(holder, papers, "black") == [BLACK]


async def test_work_goes_on_when_whoever_waits_for_it_goes_away() -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await may_end.wait()
        ended.set()

    waiting = asyncio.create_task(to_its_end(work()))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_end.set()

    async with asyncio.timeout(5):
        await ended.wait()


async def test_what_work_gives_or_raises_reaches_whoever_waits() -> None:
    async def work(text: str) -> str:
        if not text:
            raise UpsertFailed("nothing")
        return text

    assert await to_its_end(work("done")) == "done"
    with pytest.raises(UpsertFailed, match="nothing"):
        await to_its_end(work(""))


async def test_a_database_that_is_away_is_told_as_such() -> None:
    @api_view(GET=PUBLIC)
    async def view(request: HttpRequest) -> HttpResponseBase:
        raise OperationalError("server closed the connection")

    response = await view(RequestFactory().get("/api/v1/document-store/store"))

    assert isinstance(response, HttpResponse)
    assert (response.status_code, json.loads(response.content)["code"]) == (503, "unavailable")
