"""Document stores over HTTP: made, read, listed, set up, changed and deleted by the holder of the workspace's key."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from chatflows.documents.models import DocumentStore, Loader, LoaderFile, Status
from chatflows.documents.services import begin_work, end_work, mark_upserted, replace_chunks
from engine.providers.base import Document
from engine.storing import place_of
from forjinn.core.errors import NotFound
from tests.cast import Api
from tests.factories import graph_text, make_chatflow
from workspaces.models import Workspace

STORE, SAVE = "/document-store/store", "/document-store/loader/save"
PLAIN = {"loaderId": "plainText", "loaderName": "Plain Text", "loaderConfig": {"text": "Snow is white."}}
NOWHERE = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def store(api: Api) -> str:
    return str(api.post(STORE, {"name": "Papers"}).json()["id"])


@pytest.fixture
def loader(api: Api, store: str) -> Loader:
    """A loader that has read two chunks."""
    saved = api.post(SAVE, {"storeId": store, **PLAIN}).json()
    found = Loader.objects.get(pk=saved["id"])
    begun_at = begin_work(loader_ids=[found.pk], status=Status.SYNCING)
    replace_chunks(loader=found, documents=[Document("One.", {"page": 1}), Document("Two.", {"page": 2})])
    end_work(states={found.pk: Status.SYNC}, begun_at=begun_at)
    found.refresh_from_db()
    return found


def test_a_new_store_is_empty(api: Api, workspace: Workspace) -> None:
    created = api.post(STORE, {"name": "Papers", "description": "On snow."})

    body = created.json()
    assert created.status_code == 200
    assert body | {"id": 0, "createdDate": 0, "updatedDate": 0} == {
        "id": 0,
        "name": "Papers",
        "description": "On snow.",
        "status": "EMPTY",
        "loaders": [],
        "totalChunks": 0,
        "totalChars": 0,
        "embeddingConfig": None,
        "vectorStoreConfig": None,
        "recordManagerConfig": None,
        "whereUsed": [],
        "workspaceId": str(workspace.pk),
        "createdDate": 0,
        "updatedDate": 0,
    }
    assert api.get(f"{STORE}/{body['id']}").json() == body


def test_ids_workspaces_and_states_are_nobodys_to_set(api: Api, workspace: Workspace, stranger: Workspace) -> None:
    forged = {"id": NOWHERE, "workspaceId": str(stranger.pk), "status": "UPSERTED", "createdDate": "2001-01-01"}

    body = api.post(STORE, {"name": "Papers", **forged}).json()

    assert body["id"] != NOWHERE
    assert (body["workspaceId"], body["status"]) == (str(workspace.pk), "EMPTY")


def test_a_list_is_newest_first_and_paged(api: Api, store: str, stranger_api: Api) -> None:
    stranger_api.post(STORE, {"name": "Theirs"})
    newer = api.post(STORE, {"name": "Newer"}).json()["id"]

    listed = api.get(f"{STORE}?limit=1")

    assert [found["id"] for found in api.get(STORE).json()] == [newer, store]
    assert ([found["id"] for found in listed.json()], listed.headers["X-Total-Count"]) == ([newer], "2")


def test_a_list_asks_as_often_for_many_stores_as_for_one(
    api: Api, loader: Loader, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        made = api.post(STORE, {"name": str(number)}).json()["id"]
        api.post(SAVE, {"storeId": made, **PLAIN})

    with django_assert_max_num_queries(7):
        assert len(api.get(STORE).json()) == 6


def test_a_change_leaves_the_rest(api: Api, store: str) -> None:
    api.put(f"{STORE}/{store}", {"description": "On snow."})

    changed = api.put(f"{STORE}/{store}", {"name": "Snow"}).json()

    assert (changed["name"], changed["description"]) == ("Snow", "On snow.")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "name: required"),
        ({"name": ""}, "name: must not be empty"),
        ({"name": "n" * 256}, "name: at most 255 characters, got 256"),
        ({"name": 1}, "name: expected text, got a number"),
        ({"name": "a\0"}, "name: Null characters are not allowed."),
    ],
)
def test_a_store_needs_a_name(api: Api, body: dict[str, Any], message: str) -> None:
    refused = api.post(STORE, body)

    assert (refused.status_code, refused.json()["message"]) == (400, message)


def test_a_loader_is_new_until_it_has_read_and_stale_once_it_is_changed(api: Api, store: str, loader: Loader) -> None:
    other = api.post(SAVE, {"storeId": store, **PLAIN}).json()
    assert other["status"] == "NEW"

    changed = api.post(SAVE, {"storeId": store, "id": str(loader.pk), "loaderConfig": {"text": "Coal."}}).json()
    again = api.post(SAVE, {"storeId": store, "id": other["id"], "loaderConfig": {"text": "Coal."}}).json()

    assert (changed["status"], changed["loaderId"], changed["loaderConfig"]) == (
        "STALE",
        "plainText",
        {"text": "Coal."},
    )
    assert again["status"] == "NEW"
    assert api.get(f"{STORE}/{store}").json()["status"] == "NEW"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 422, "loaderId: required: the name of a document loader, such as plainText"),
        ({"loaderId": "ghost"}, 422, "There is no document loader 'ghost' for document stores here; known: "),
        ({"loaderId": "documentStore"}, 422, "There is no document loader 'documentStore' for document stores here"),
        ({**PLAIN, "splitterId": "plainText"}, 422, "There is no text splitter 'plainText' for document stores here"),
        ({**PLAIN, "loaderConfig": []}, 400, "loaderConfig: expected an object, got an array"),
        ({**PLAIN, "loaderConfig": {"text": ["a\0"]}}, 400, "loaderConfig: Null characters are not allowed."),
        ({**PLAIN, "loaderConfig": {"a\0": 1}}, 400, "loaderConfig: Null characters are not allowed."),
        (
            {"loaderId": "textFile", "loaderConfig": {"txtFile": "x"}},
            422,
            "loaderConfig: txtFile must hold files as data",
        ),
        ({**PLAIN, "id": NOWHERE}, 404, f"Loader {NOWHERE} not found in document store 'Papers'"),
        ({**PLAIN, "id": "x"}, 400, "id: expected an id"),
    ],
)
def test_what_is_no_loader_is_refused_by_name(
    api: Api, store: str, body: dict[str, Any], status: int, message: str
) -> None:
    refused = api.post(SAVE, {"storeId": store, **body})

    assert (refused.status_code, refused.json()["message"][: len(message)]) == (status, message)
    assert api.get(f"{STORE}/{store}").json()["loaders"] == []


def test_files_are_told_by_their_names_and_kept_when_the_names_come_back(api: Api, store: str) -> None:
    uri = f"data:text/plain;base64,{base64.b64encode(b'Snow.').decode()},filename:a.txt"
    body = {"storeId": store, "loaderId": "textFile", "loaderConfig": {"txtFile": uri}}
    saved = api.post(SAVE, body).json()

    again = api.post(SAVE, {**body, "id": saved["id"], "loaderConfig": saved["loaderConfig"]}).json()

    assert saved["loaderConfig"] == {"txtFile": "FILE-STORAGE::a.txt"}
    assert [(file["name"], file["size"], file["mimePrefix"]) for file in again["files"]] == [("a.txt", 5, "text/plain")]
    [kept] = LoaderFile.objects.filter(loader_id=saved["id"])
    source, _ = Loader.objects.get(pk=saved["id"]).components()
    assert (bytes(kept.content), source.inputs["txtFile"]) == (b"Snow.", [uri])


def test_another_file_takes_the_place_of_the_first(api: Api, store: str) -> None:
    uris = [
        f"data:text/plain;base64,{base64.b64encode(text).decode()},filename:{name}"
        for name, text in (("a.txt", b"Snow."), ("b.txt", b"Coal."))
    ]
    body = {"storeId": store, "loaderId": "textFile"}
    saved = api.post(SAVE, {**body, "loaderConfig": {"txtFile": uris[0]}}).json()

    again = api.post(SAVE, {**body, "id": saved["id"], "loaderConfig": {"txtFile": uris[1]}}).json()

    assert [file["name"] for file in again["files"]] == ["b.txt"]


def test_chunks_come_by_pages(api: Api, store: str, loader: Loader, workspace: Workspace) -> None:
    page = api.get(f"/document-store/chunks/{store}/{loader.pk}/1").json()
    of_store = api.get(f"/document-store/chunks/{store}/all/1").json()
    after = api.get(f"/document-store/chunks/{store}/{loader.pk}/2").json()

    assert [(chunk["chunkNo"], chunk["pageContent"], chunk["metadata"]) for chunk in page["chunks"]] == [
        (1, "One.", '{"page":1}'),
        (2, "Two.", '{"page":2}'),
    ]
    assert {chunk["docId"] for chunk in page["chunks"]} == {str(loader.pk)}
    assert (page["count"], page["characters"], page["storeName"], page["currentPage"]) == (2, 8, "Papers", 1)
    assert (of_store["chunks"], of_store["file"]) == (page["chunks"], None)
    assert (after["chunks"], after["count"]) == ([], 2)


@pytest.mark.parametrize("page", ["0", "x", "1.5", "9999999999", "²"])
def test_a_page_is_a_number(api: Api, store: str, page: str) -> None:
    assert api.get(f"/document-store/chunks/{store}/all/{page}").status_code == 400


def test_parts_are_chosen_and_taken_back(api: Api, store: str) -> None:
    config = {"tableName": "papers"}
    chosen = api.post(
        "/document-store/vectorstore/save",
        {
            "storeId": store,
            "vectorStoreName": "postgres",
            "vectorStoreConfig": config,
            "embeddingName": "openAIEmbeddings",
        },
    ).json()
    back = api.post("/document-store/vectorstore/update", {"storeId": store, "vectorStoreName": None}).json()

    assert chosen["vectorStoreConfig"] == {"name": "postgres", "config": config}
    assert chosen["embeddingConfig"] == {"name": "openAIEmbeddings", "config": {}}
    assert (back["vectorStoreConfig"], back["embeddingConfig"]) == (None, chosen["embeddingConfig"])


def test_inputs_alone_are_for_the_part_that_is_there(api: Api, store: str) -> None:
    update = "/document-store/vectorstore/update"
    refused = api.post(update, {"storeId": store, "vectorStoreConfig": {"topK": 9}})
    api.post(update, {"storeId": store, "vectorStoreName": "postgres"})

    changed = api.post(update, {"storeId": store, "vectorStoreConfig": {"topK": 9}}).json()

    assert (refused.status_code, refused.json()["message"]) == (
        422,
        "There is no vector store yet: name its node type along with its inputs.",
    )
    assert changed["vectorStoreConfig"] == {"name": "postgres", "config": {"topK": 9}}


def test_a_part_that_cannot_do_it_is_refused_by_name(api: Api, store: str) -> None:
    refused = api.post("/document-store/vectorstore/save", {"storeId": store, "vectorStoreName": "memoryVectorStore"})

    assert refused.status_code == 422
    assert refused.json()["message"].startswith("There is no vector store 'memoryVectorStore' for document stores here")


@pytest.mark.parametrize(
    ("path", "name", "other"),
    [
        ("loaders", "plainText", "documentStore"),
        ("embeddings", "openAIEmbeddings", "plainText"),
        ("vectorstore", "postgres", "memoryVectorStore"),
        ("recordmanager", "postgresRecordManager", "postgres"),
    ],
)
def test_the_node_types_of_each_part_are_listed(api: Api, path: str, name: str, other: str) -> None:
    listed = {entry["name"] for entry in api.get(f"/document-store/components/{path}").json()}

    assert name in listed
    assert other not in listed


def test_a_store_tells_the_flows_that_name_it(api: Api, workspace: Workspace, stranger: Workspace, store: str) -> None:
    node = {"id": "a", "name": "documentStoreVS", "inputs": {"selectedStore": store}}
    flow = make_chatflow(workspace, name="Asks", flow_data=graph_text(node))
    make_chatflow(stranger, name="Theirs", flow_data=graph_text(node))

    assert api.get(f"{STORE}/{store}").json()["whereUsed"] == [{"id": str(flow.pk), "name": "Asks"}]


def test_a_flows_problems_name_the_store_that_is_to_be_filled(api: Api, workspace: Workspace, store: str) -> None:
    nodes = [{"id": "a", "name": "documentStoreVS", "label": "Papers", "inputs": {"selectedStore": store}}]
    flow = make_chatflow(workspace, flow_data=graph_text(*nodes))

    told = [
        problem for problem in api.get(f"/chatflows/{flow.pk}/problems").json() if problem["subject"] == "selectedStore"
    ]

    assert [problem["fix"] for problem in told] == [f"upsert it, with POST /api/v1/document-store/upsert/{store}"]


def test_a_store_goes_with_all_that_it_had_here(api: Api, workspace: Workspace, store: str, loader: Loader) -> None:
    with connection.cursor() as cursor:
        for collection in (store, "another"):
            cursor.execute(
                "INSERT INTO chatflows_vector VALUES (%s, %s, 'd', 'text', '{}', '[1,2]')", [workspace.pk, collection]
            )
            record = f"/{collection}/0123"
            cursor.execute("INSERT INTO chatflows_vectorrecord VALUES (%s, %s, 'd', 's')", [workspace.pk, record])

    deleted = api.delete(f"{STORE}/{store}")

    with connection.cursor() as cursor:
        cursor.execute("SELECT collection FROM chatflows_vector UNION SELECT namespace FROM chatflows_vectorrecord")
        left = {row[0] for row in cursor.fetchall()}
    assert deleted.json() == {"deleted": 1}
    assert api.get(f"{STORE}/{store}").status_code == 404
    assert not Loader.objects.exists()
    assert left == {"another", "/another/0123"}


def test_what_works_for_longer_than_anything_may_was_cut_off(api: Api, store: str, loader: Loader) -> None:
    begin_work(loader_ids=[loader.pk], status=Status.UPSERTING)
    at_work = api.get(f"{STORE}/{store}").json()["status"]

    Loader.objects.filter(pk=loader.pk).update(status_at=timezone.now() - timedelta(hours=1))

    assert at_work == "UPSERTING"
    assert api.get(f"{STORE}/{store}").json()["status"] == "STALE"


def test_a_loader_that_was_changed_while_it_worked_stays_stale(api: Api, store: str, loader: Loader) -> None:
    begun_at = begin_work(loader_ids=[loader.pk], status=Status.SYNCING)
    api.post(SAVE, {"storeId": store, "id": str(loader.pk), "loaderConfig": {"text": "Coal."}})

    end_work(states={loader.pk: Status.SYNC}, begun_at=begun_at)

    assert api.get(f"{STORE}/{store}").json()["status"] == "STALE"


def test_a_store_that_moved_while_it_was_filled_holds_nothing(
    api: Api, workspace: Workspace, store: str, loader: Loader
) -> None:
    parts = {"storeId": store, "embeddingName": "openAIEmbeddings", "vectorStoreName": "postgres"}
    api.post("/document-store/vectorstore/save", parts)
    found = DocumentStore.objects.get(pk=store)
    assert found.collection is not None
    begun_at = begin_work(loader_ids=[loader.pk], status=Status.UPSERTING)
    api.post("/document-store/vectorstore/save", {**parts, "vectorStoreConfig": {"tableName": "another"}})

    mark_upserted(workspace_id=workspace.pk, store_id=found.pk, place=place_of(found.collection))
    end_work(states={loader.pk: Status.UPSERTED}, begun_at=begun_at)

    found.refresh_from_db()
    assert found.upserted_at is None
    assert api.get(f"{STORE}/{store}").json()["status"] == "SYNC"


def test_a_loader_that_was_deleted_while_it_worked_keeps_nothing(api: Api, store: str, loader: Loader) -> None:
    Loader.objects.filter(pk=loader.pk).delete()

    with pytest.raises(NotFound, match="deleted while it read"):
        replace_chunks(loader=loader, documents=[Document("One.")])


def test_a_strangers_store_is_not_there(api: Api, stranger_api: Api, nobody: Api, store: str, loader: Loader) -> None:
    chunk = api.get(f"/document-store/chunks/{store}/all/1").json()["chunks"][0]["id"]
    calls: list[tuple[str, str, Any]] = [
        ("GET", f"{STORE}/{store}", None),
        ("PUT", f"{STORE}/{store}", {"name": "Mine"}),
        ("DELETE", f"{STORE}/{store}", None),
        ("POST", SAVE, {"storeId": store, **PLAIN}),
        ("POST", SAVE, {"storeId": store, "id": str(loader.pk), **PLAIN}),
        ("POST", "/document-store/vectorstore/save", {"storeId": store, "vectorStoreName": None}),
        ("POST", "/document-store/vectorstore/update", {"storeId": store, "vectorStoreName": None}),
        ("GET", f"/document-store/chunks/{store}/{loader.pk}/1", None),
        ("PUT", f"/document-store/chunks/{store}/{loader.pk}/{chunk}", {"pageContent": "Mine"}),
        ("DELETE", f"/document-store/chunks/{store}/{loader.pk}/{chunk}", None),
    ]

    answers = [[who.call(*call).status_code for call in calls] for who in (stranger_api, nobody)]

    assert answers == [[404] * len(calls), [401] * len(calls)]
    assert stranger_api.get(STORE).json() == []
    assert DocumentStore.objects.get(pk=store).name == "Papers"


def test_a_loader_of_another_store_is_not_there(api: Api, store: str, loader: Loader) -> None:
    other = api.post(STORE, {"name": "Other"}).json()["id"]

    refused = api.post(SAVE, {"storeId": other, "id": str(loader.pk), **PLAIN})

    assert refused.status_code == 404
    assert api.get(f"/document-store/chunks/{other}/{loader.pk}/1").status_code == 404
