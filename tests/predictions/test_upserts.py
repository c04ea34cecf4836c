"""Filling a flow's vector store, and answering from it."""

from collections.abc import Iterator

import pytest

from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import shelves
from tests.predictions.calls import Caller, data_of
from tests.predictions.conftest import Inside, NewFlow

WHITE = {"pageContent": "Snow is white.", "metadata": {"loc": {"lines": {"from": 1, "to": 1}}}}


@pytest.fixture
def library(new_flow: NewFlow, model: ScriptedModel, request: pytest.FixtureRequest) -> str:
    return new_flow(shelves.library(model.url, store={"tableName": request.node.name}))


@pytest.fixture(scope="session")
def stranger(platform: Platform, inside: Inside) -> Iterator[Caller]:
    key = inside(
        "from tests.factories import make_api_key, make_workspace\nprint(json.dumps(make_api_key(make_workspace())[1]))"
    )
    with Caller(platform.url, key) as caller:
        yield caller


def test_documents_are_stored_once_and_answered_from(holder: Caller, library: str, model: ScriptedModel) -> None:
    first = holder.http.post(f"/vector/upsert/{library}")
    second = holder.http.post(f"/vector/internal-upsert/{library}", json={})

    answered = holder.answer(library, "What is white?")

    assert first.json() | {"addedDocs": 0} == {
        "numAdded": 2, "numDeleted": 0, "numUpdated": 0, "numSkipped": 0, "addedDocs": 0,
    }  # fmt: skip
    assert [document["pageContent"] for document in first.json()["addedDocs"]] == ["Snow is white.", "Coal is black."]
    assert second.status_code == 200
    [found] = answered["sourceDocuments"]
    assert {key: found[key] for key in WHITE} == WHITE
    assert "Snow is white." in str(model.requests[-1].messages[0]["content"])


def test_a_prediction_reads_no_documents(holder: Caller, library: str, model: ScriptedModel) -> None:
    answered = holder.answer(library, "What is white?")

    assert "sourceDocuments" not in answered
    assert [call.body["input"] for call in model.embedded] == [["What is white?"]]


def test_a_stream_tells_what_was_found(holder: Caller, library: str) -> None:
    holder.http.post(f"/vector/upsert/{library}").raise_for_status()

    frames = holder.stream(library, "What is black?")

    assert [document["pageContent"] for document in data_of(frames, "sourceDocuments")] == ["Coal is black."]


def test_files_go_to_the_loader_of_their_kind(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    flow = new_flow(shelves.library(model.url, loader=shelves.text_file(), store={"tableName": "files"}))
    files = [
        ("files", ("a.txt", b"Grass is green.", "text/plain")),
        ("files", ("b.txt", b"Sky is blue.", "text/plain")),
    ]

    stored = holder.http.post(f"/vector/upsert/{flow}", files=files, data={"stopNodeId": "postgres_0"})

    assert [document["metadata"]["source"] for document in stored.json()["addedDocs"]] == ["a.txt", "b.txt"]
    [found] = holder.answer(flow, "What is blue?")["sourceDocuments"]
    assert found["pageContent"] == "Sky is blue."


def test_a_file_that_no_loader_takes_is_refused(holder: Caller, library: str) -> None:
    refused = holder.http.post(f"/vector/upsert/{library}", files=[("files", ("a.pdf", b"%PDF", "application/pdf"))])

    assert refused.status_code == 422
    assert refused.json()["message"] == "No document loader of this flow takes 'a.pdf': add one, and save the flow."


def test_overrides_hold_for_one_upsert(holder: Caller, library: str) -> None:
    stored = holder.http.post(f"/vector/upsert/{library}", json={"overrideConfig": {"text": "Roses are red."}})

    assert [document["pageContent"] for document in stored.json()["addedDocs"]] == ["Roses are red."]


def test_a_filter_holds_what_is_found_to_it(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    flow = new_flow(
        shelves.library(
            model.url, store={"tableName": "filtered", "topK": "5", "pgMetadataFilter": '{"shelf": ["a", "b"]}'}
        )
    )
    for shelf, text in (("a", "Snow on a"), ("c", "Snow on c")):
        body = {"overrideConfig": {"text": text, "metadata": {"plainText_0": {"shelf": shelf}}}}
        assert (stored := holder.http.post(f"/vector/upsert/{flow}", json=body)).status_code == 200, stored.text

    answered = holder.answer(flow, "Where is snow?")

    assert [document["pageContent"] for document in answered["sourceDocuments"]] == ["Snow on a"]


def test_a_record_manager_skips_what_is_stored_and_deletes_what_is_gone(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    flow = new_flow(shelves.library(model.url, store={"tableName": "kept", "topK": "5"}, records="full"))
    holder.http.post(f"/vector/upsert/{flow}").raise_for_status()

    again = holder.http.post(f"/vector/upsert/{flow}").json()
    less = holder.http.post(f"/vector/upsert/{flow}", json={"overrideConfig": {"text": "Coal is black."}}).json()

    assert (again["numAdded"], again["numSkipped"], again["numDeleted"]) == (0, 2, 0)
    assert (less["numAdded"], less["numSkipped"], less["numDeleted"]) == (1, 0, 2)
    texts = [document["pageContent"] for document in holder.answer(flow, "What is white?")["sourceDocuments"]]
    assert texts == ["Coal is black."]


def test_an_upsert_takes_a_key_of_the_flows_workspace(
    visitor: Caller, stranger: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    flow = new_flow(shelves.library(model.url), isPublic=True)

    assert visitor.http.post(f"/vector/upsert/{flow}").status_code == 401
    assert stranger.http.post(f"/vector/upsert/{flow}").status_code == 404


def test_collections_of_one_name_are_apart_between_workspaces(
    holder: Caller, stranger: Caller, library: str, model: ScriptedModel, request: pytest.FixtureRequest
) -> None:
    holder.http.post(f"/vector/upsert/{library}").raise_for_status()
    flow_data = shelves.library(model.url, store={"tableName": request.node.name})
    theirs = stranger.http.post("/chatflows", json={"name": "Theirs", "flowData": flow_data}).json()["id"]
    stranger.http.put(f"/chatflows/{theirs}", json={"deployed": True}).raise_for_status()

    answered = stranger.answer(theirs, "What is white?")

    assert "sourceDocuments" not in answered


def test_a_flow_without_a_store_says_so(holder: Caller, chat: str) -> None:
    refused = holder.http.post(f"/vector/upsert/{chat}")

    assert refused.status_code == 422
    assert refused.json()["message"].startswith("No vector node found")


def test_what_fails_on_the_way_is_told(holder: Caller, library: str, model: ScriptedModel) -> None:
    model.embedding_refusals.append(400)

    refused = holder.http.post(f"/vector/upsert/{library}")

    assert refused.status_code == 422
    assert refused.json()["message"] == "127.0.0.1 answered 400: not now"


def test_a_store_of_another_models_vectors_says_so(holder: Caller, library: str, inside: Inside) -> None:
    holder.http.post(f"/vector/upsert/{library}").raise_for_status()
    inside(
        "from django.db import connection\n"
        "change = \"UPDATE chatflows_vector SET embedding = '[1,2]' WHERE collection LIKE '%another%'\"\n"
        "connection.cursor().execute(change)\n"
        "print('null')"
    )

    response = holder.predict(library, "What is white?")

    assert response.status_code == 422
    assert "made by another model" in response.json()["message"]


def test_what_only_looks_like_an_escape_is_kept_as_it_is(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    flow = new_flow(shelves.library(model.url, store={"tableName": "escapes"}, records="full"))
    override = {"text": "Snow is white.", "metadata": {"source": r"a\u0000b"}}

    stored = holder.http.post(f"/vector/upsert/{flow}", json={"overrideConfig": override})

    assert stored.status_code == 200, stored.text
    [found] = holder.answer(flow, "What is white?")["sourceDocuments"]
    assert found["metadata"]["source"] == r"a\u0000b"


def test_characters_that_no_database_holds_are_left_out(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    loader = shelves.text_file()
    flow = new_flow(shelves.library(model.url, loader=loader, store={"tableName": "nul"}, records="full"))

    stored = holder.http.post(f"/vector/upsert/{flow}", files=[("files", ("a.txt", b"Snow\0 is white.", "text/plain"))])

    assert stored.status_code == 200, stored.text
    assert [document["pageContent"] for document in stored.json()["addedDocs"]] == ["Snow is white."]
    [found] = holder.answer(flow, "What is white?")["sourceDocuments"]
    assert found["pageContent"] == "Snow is white."


@pytest.mark.parametrize(("table", "namespace", "what"), [("t" * 1001, "", "table"), ("t", "n" * 1001, "namespace")])
def test_a_name_that_is_too_long_is_refused(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel, table: str, namespace: str, what: str
) -> None:
    flow = new_flow(shelves.library(model.url, store={"tableName": table}, records="full"))
    override = {"namespace": namespace} if namespace else {}

    refused = holder.http.post(f"/vector/upsert/{flow}", json={"overrideConfig": override})

    assert refused.status_code == 422
    assert refused.json()["message"] == f"The name of the {what} is too long: at most 1000 bytes."
