"""What databases of other vendors are sent, and what is made of their answers."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from engine.documents import FunctionSource
from engine.errors import NodeInputError, ProviderError
from engine.nodes.vector_store_vendors import VENDORS
from engine.nodes.vector_stores import run_vendor, upsert_vendor
from engine.providers.base import Document
from engine.providers.elastic import cloud_url
from engine.providers.fake import FakeEmbedder
from engine.retrieval import StoreRetriever
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.engine.outside import outside
from tests.engine.web_server import Received, web_server

BY_NAME = {vendor.name: vendor for vendor in VENDORS}
DOCUMENT = Document("Snow is white.", {"source": "a", "loc": {"line": 1}}, id="6f1c2c7e-8b0c-4d7f-9a53-0f9d7f1f2a11")
NOT_THERE, DONE = (404, "{}"), (200, "{}")


async def one_document() -> list[Document]:
    return [DOCUMENT]


def given(name: str, url: str) -> dict[str, Any]:
    """The inputs with which a store of this vendor is at `url`."""
    return {
        "qdrant": {"qdrantServerUrl": url, "qdrantCollection": "c"},
        "chroma": {"chromaURL": url, "collectionName": "c"},
        "weaviate": {
            "weaviateScheme": "http",
            "weaviateHost": url.removeprefix("http://"),
            "weaviateIndex": "books",
            "weaviateMetadataKeys": '["source"]',
        },
        "milvus": {"milvusServerUrl": url, "milvusCollection": "c"},
        "elasticsearch": {"indexName": "c", "similarity": "cosine"},
        "openSearch": {"indexName": "c"},
        "upstash": {"namespace": "n"},
        "supabase": {"supabaseProjUrl": url, "tableName": "my docs", "queryName": "match_documents"},
        "pinecone": {"pineconeIndex": "c", "pineconeApiUrl": url, "pineconeNamespace": "n"},
    }[name]


def secrets(url: str) -> dict[str, str]:
    return {
        "endpoint": url,
        "apiKey": "es-key",
        "openSearchUrl": url,
        "user": "admin",
        "password": "os-password",
        "UPSTASH_VECTOR_REST_URL": url,
        "UPSTASH_VECTOR_REST_TOKEN": "up-token",
        "qdrantApiKey": "q-key-of-theirs",
        "pineconeApiKey": "pc-key-of-theirs",
        "supabaseApiKey": "sb-key-of-theirs",
    }


async def store(name: str, nodes: NodeWorld, url: str, **inputs: Any) -> StoreRetriever:
    nodes.credentials = MemoryCredentials({"c1": secrets(url)})
    vendor = BY_NAME[name]
    built = await run_vendor(vendor)(
        nodes.context(credential="c1"), {**given(name, url), "embeddings": FakeEmbedder(), "topK": "2", **inputs}
    )
    retriever: StoreRetriever = built.value
    return retriever


async def upserted(name: str, nodes: NodeWorld, *answers: tuple[int, str]) -> list[Received]:
    """What an upsert of one document sends."""
    async with web_server(*answers) as server:
        retriever = await store(name, nodes, server.url)
        await retriever.store.add([DOCUMENT])
    return server.received


async def found(name: str, nodes: NodeWorld, *answers: Any, **inputs: Any) -> tuple[list[Document], list[Received]]:
    """What a question finds, and what it sends."""
    async with web_server(*[(200, json.dumps(answer)) for answer in answers]) as server:
        documents = await (await store(name, nodes, server.url, **inputs)).retrieve("What is white?")
    return documents, server.received


async def test_qdrant_makes_its_collection_and_keeps_points(nodes: NodeWorld) -> None:
    looked, made, kept = await upserted("qdrant", nodes, NOT_THERE, DONE, DONE)

    assert (looked.method, looked.path) == ("GET", "/collections/c")
    assert made.body == {"vectors": {"size": 256, "distance": "Cosine"}}
    assert (kept.method, kept.path, kept.query) == ("PUT", "/collections/c/points", {"wait": "true"})
    [point] = kept.body["points"]
    assert (point["id"], point["payload"]) == (
        DOCUMENT.id,
        {"content": "Snow is white.", "metadata": {"source": "a", "loc": {"line": 1}}},
    )
    assert kept.headers["api-key"] == "q-key-of-theirs"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ('{"source": "a"}', {"must": [{"key": "metadata.source", "match": {"value": "a"}}]}),
        ('{"must_not": [{"key": "x"}]}', {"must_not": [{"key": "x"}]}),
    ],
)
async def test_qdrant_is_asked_with_a_filter(nodes: NodeWorld, written: str, sent: Mapping[str, Any]) -> None:
    point = {"id": "p1", "score": 0.9, "payload": {"content": "Snow.", "metadata": {"source": "a"}}}

    documents, [asked] = await found("qdrant", nodes, {"result": {"points": [point]}}, qdrantFilter=written)

    assert documents == [Document("Snow.", {"source": "a"}, "p1")]
    assert (asked.body["limit"], asked.body["filter"]) == (2, sent)


@pytest.mark.parametrize(
    ("name", "field"), [("qdrant", "qdrantCollection"), ("upstash", "namespace"), ("openSearch", "indexName")]
)
async def test_names_cannot_break_out_of_paths(nodes: NodeWorld, name: str, field: str) -> None:
    odd = "a/../../secrets?all=1#"
    async with web_server((400, "{}")) as server:
        found = await store(name, nodes, server.url, **{field: odd})
        with pytest.raises(ProviderError):
            await found.retrieve("snow")

    (received,) = server.received
    assert odd in received.path
    assert received.query == {}


async def test_chroma_keeps_columns(nodes: NodeWorld) -> None:
    made, kept = await upserted("chroma", nodes, (200, '{"id": "u1"}'), DONE)

    assert (made.body["name"], made.body["get_or_create"]) == ("c", True)
    assert kept.path == "/api/v2/tenants/default_tenant/databases/default_database/collections/u1/upsert"
    assert kept.body["documents"] == ["Snow is white."]
    assert kept.body["metadatas"] == [{"source": "a", "loc.line": 1}]


async def test_chroma_finds_in_columns(nodes: NodeWorld) -> None:
    columns = {"ids": [["1"]], "documents": [["Snow."]], "metadatas": [[None]], "distances": [[0.25]]}

    documents, [_, asked] = await found("chroma", nodes, {"id": "u1"}, columns, chromaMetadataFilter='{"a": 1, "b": 2}')

    assert documents == [Document("Snow.", {}, "1")]
    assert asked.body["where"] == {"$and": [{"a": 1}, {"b": 2}]}


async def test_weaviate_keeps_objects(nodes: NodeWorld) -> None:
    [kept] = await upserted("weaviate", nodes, (200, "[{}]"))

    [item] = kept.body["objects"]
    assert (item["class"], item["properties"]) == ("Books", {"source": "a", "loc_line": 1, "text": "Snow is white."})


async def test_weaviate_is_asked_in_graphql(nodes: NodeWorld) -> None:
    item = {"text": "Snow.", "source": "a", "_additional": {"id": "1", "distance": 0.1}}
    where = '{"operator": "Equal", "path": ["source"], "valueText": "a\\"b"}'

    documents, [asked] = await found("weaviate", nodes, {"data": {"Get": {"Books": [item]}}}, weaviateFilter=where)

    assert documents == [Document("Snow.", {"source": "a"}, "1")]
    query = asked.body["query"]
    assert 'where: {operator: Equal, path: ["source"], valueText: "a\\"b"}' in query
    assert "limit: 2" in query


async def test_weaviate_says_what_it_refused(nodes: NodeWorld) -> None:
    async with web_server((200, '[{"result": {"errors": {"error": [{"message": "no vector"}]}}}]')) as server:
        retriever = await store("weaviate", nodes, server.url)
        with pytest.raises(ProviderError, match="refused a document: no vector"):
            await retriever.store.add([DOCUMENT])


@pytest.mark.parametrize("name", ["bad name", "x){y"])
async def test_names_cannot_break_out_of_graphql(nodes: NodeWorld, name: str) -> None:
    with pytest.raises(NodeInputError, match="no name in Weaviate"):
        await store("weaviate", nodes, "http://127.0.0.1:1", weaviateIndex=name)


async def test_milvus_makes_its_collection_and_keeps_entities(nodes: NodeWorld) -> None:
    _, made, kept = await upserted("milvus", nodes, (200, '{"data": {"has": false}}'), DONE, DONE)

    assert (made.body["dimension"], made.body["metricType"]) == (256, "COSINE")
    [entity] = kept.body["data"]
    assert (entity["langchain_text"], entity["source"], entity["loc.line"]) == ("Snow is white.", "a", 1)


@pytest.mark.parametrize(("written", "sent"), [('{"source": "a"}', 'source == "a"'), ("year > 2000", "year > 2000")])
async def test_milvus_is_asked_with_an_expression(nodes: NodeWorld, written: str, sent: str) -> None:
    entity = {"langchain_text": "Snow.", "source": "a", "langchain_primaryid": "1", "distance": 0.9}

    documents, [asked] = await found("milvus", nodes, {"code": 0, "data": [entity]}, milvusFilter=written)

    assert documents == [Document("Snow.", {"source": "a"}, "1")]
    assert asked.body["filter"] == sent


async def test_a_refusal_of_milvus_is_told(nodes: NodeWorld) -> None:
    with pytest.raises(ProviderError, match="refused: no such field"):
        await found("milvus", nodes, {"code": 1100, "message": "no such field"})


async def test_elasticsearch_keeps_documents_in_bulk(nodes: NodeWorld) -> None:
    looked, made, kept = await upserted("elasticsearch", nodes, NOT_THERE, DONE, DONE)

    assert looked.headers["authorization"] == "ApiKey es-key"
    assert made.body["mappings"]["properties"]["embedding"]["dims"] == 256
    assert kept.path == "/_bulk"
    head, document = kept.body
    assert head == {"index": {"_index": "c", "_id": DOCUMENT.id}}
    assert (document["text"], document["metadata"]) == ("Snow is white.", DOCUMENT.metadata)


async def test_elasticsearch_is_asked_for_neighbours(nodes: NodeWorld) -> None:
    hit = {"_id": "1", "_score": 0.95, "_source": {"text": "Snow.", "metadata": {"source": "a"}}}

    documents, [asked] = await found("elasticsearch", nodes, {"hits": {"hits": [hit]}})

    assert documents == [Document("Snow.", {"source": "a"}, "1")]
    assert (asked.body["knn"]["k"], asked.body["size"]) == (2, 2)


async def test_elasticsearch_takes_a_user_and_a_password(nodes: NodeWorld) -> None:
    async with web_server((200, '{"hits": {"hits": []}}')) as server:
        nodes.credentials = MemoryCredentials({"c1": {"cloudId": server.url, "username": "u", "password": "p"}})
        inputs = {"indexName": "c", "embeddings": FakeEmbedder()}
        built = await run_vendor(BY_NAME["elasticsearch"])(nodes.context(credential="c1"), inputs)

        assert await built.value.retrieve("What is white?") == []

    assert server.received[0].headers["authorization"] == "Basic dTpw"


def test_a_cloud_id_says_where_elasticsearch_is() -> None:
    assert cloud_url("mine:" + base64.b64encode(b"eu.found.io:443$abc$def").decode()) == "https://abc.eu.found.io:443"


@pytest.mark.parametrize("cloud_id", ["mine", "mine:bm90aGluZw==", "mine:/w=="])
def test_what_is_no_cloud_id_is_refused(cloud_id: str) -> None:
    with pytest.raises(NodeInputError, match="The Cloud ID in the credential is none"):
        cloud_url(cloud_id)


async def test_supabase_keeps_rows_in_a_table(nodes: NodeWorld) -> None:
    [kept] = await upserted("supabase", nodes, (201, ""))

    assert (kept.path, kept.headers["apikey"]) == ("/rest/v1/my docs", "sb-key-of-theirs")
    assert kept.headers["prefer"] == "resolution=merge-duplicates,return=minimal"
    [row] = kept.body
    assert (row["id"], row["content"], row["metadata"]) == (DOCUMENT.id, DOCUMENT.text, DOCUMENT.metadata)


async def test_a_table_in_supabase_may_number_its_rows_itself(nodes: NodeWorld) -> None:
    refused = (400, '{"message": "invalid input syntax for type bigint: \\"6f1c\\""}')

    first, second = await upserted("supabase", nodes, refused, (201, ""))

    assert (first.body[0]["id"], "id" in second.body[0]) == (DOCUMENT.id, False)


async def test_supabase_is_asked_by_the_projects_function(nodes: NodeWorld) -> None:
    row = {"id": 7, "content": "Snow.", "metadata": None, "similarity": 0.9}

    documents, [asked] = await found("supabase", nodes, [row], supabaseMetadataFilter='{"source": "a"}')

    assert documents == [Document("Snow.", {}, "7")]
    assert (asked.path, asked.query) == ("/rest/v1/rpc/match_documents", {"limit": "2"})
    assert (asked.body["filter"], len(asked.body["query_embedding"])) == ({"source": "a"}, 256)


async def test_a_function_in_supabase_that_gives_something_else_is_told(nodes: NodeWorld) -> None:
    with pytest.raises(ProviderError, match="must give id, content, metadata and similarity"):
        await found("supabase", nodes, [{"id": 7}])


async def test_rows_in_supabase_are_forgotten_by_id(nodes: NodeWorld) -> None:
    async with web_server() as server:
        retriever = await store("supabase", nodes, server.url)
        await retriever.store.delete(["a", 'b")'])

    assert (server.received[0].method, server.received[0].query) == ("DELETE", {"id": 'in.("a","b\\")")'})


async def test_a_filter_that_supabase_cannot_be_asked_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="supabaseRPCFilter is not taken"):
        await store("supabase", nodes, "http://127.0.0.1:1", supabaseRPCFilter='filter("a", "gt", 5)')


async def test_opensearch_is_asked_in_its_own_way(nodes: NodeWorld) -> None:
    documents, [asked] = await found("openSearch", nodes, {"hits": {"hits": []}})

    assert documents == []
    assert asked.body["query"]["knn"]["embedding"]["k"] == 2
    assert asked.headers["authorization"].startswith("Basic ")


async def test_upstash_is_asked_in_its_namespace(nodes: NodeWorld) -> None:
    item = {"id": "1", "score": 0.9, "metadata": {"_pageContentLC": "Snow.", "source": "a"}}

    documents, [asked] = await found("upstash", nodes, {"result": [item]}, upstashMetadataFilter='{"source": "a"}')

    assert documents == [Document("Snow.", {"source": "a"}, "1")]
    assert (asked.path, asked.body["filter"]) == ("/query/n", 'source = "a"')
    assert asked.headers["authorization"] == "Bearer up-token"


async def test_pinecone_keeps_and_deletes_vectors(nodes: NodeWorld) -> None:
    async with outside() as servers:
        retriever = await store("pinecone", nodes, servers.url)
        await retriever.store.add([DOCUMENT])
        before = await retriever.retrieve("What is white?")
        await retriever.store.delete([DOCUMENT.id])
        after = await retriever.retrieve("What is white?")

    assert before == [Document("Snow is white.", {"source": "a", "loc.line": 1}, DOCUMENT.id)]
    assert after == []


async def test_a_passing_refusal_is_tried_again(nodes: NodeWorld) -> None:
    async with web_server((503, "busy"), (200, '{"result": {"points": []}}')) as server:
        documents = await (await store("qdrant", nodes, server.url)).retrieve("What is white?")

    assert (documents, len(server.received)) == ([], 2)


async def test_a_refusal_does_not_repeat_the_key(nodes: NodeWorld) -> None:
    async with web_server((400, "bad key q-key-of-theirs")) as server:
        with pytest.raises(ProviderError, match="answered 400") as refused:
            await (await store("qdrant", nodes, server.url)).retrieve("What is white?")

    assert "q-key-of-theirs" not in refused.value.message


@pytest.mark.parametrize("name", ["pinecone", "elasticsearch", "openSearch", "supabase", "upstash"])
async def test_a_vendor_without_a_key_names_the_credential(nodes: NodeWorld, name: str) -> None:
    vendor = BY_NAME[name]
    inputs = {**given(name, "http://127.0.0.1:1"), "embeddings": FakeEmbedder()}

    with pytest.raises(NodeInputError, match=f"needs a credential of kind '{vendor.credentials[0]}'"):
        await run_vendor(vendor)(nodes.context(), inputs)


async def test_another_postgresql_is_refused(nodes: NodeWorld) -> None:
    inputs = {"host": "db.example.org", "embeddings": FakeEmbedder()}

    with pytest.raises(NodeInputError, match="clear 'host'"):
        await run_vendor(BY_NAME["postgres"])(nodes.context(), inputs)


async def test_an_upsert_counts_what_it_stored(nodes: NodeWorld) -> None:
    source = FunctionSource("one", one_document)
    inputs = {"embeddings": FakeEmbedder(), "document": [source, source]}

    stored = await upsert_vendor(BY_NAME["postgres"])(nodes.context(), inputs)

    assert (stored.output["numAdded"], stored.output["numSkipped"]) == (1, 1)
    assert list(nodes.vectors.kept) == ["documents"]


async def test_an_upsert_without_documents_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="connect a document loader"):
        await upsert_vendor(BY_NAME["postgres"])(nodes.context(), {"embeddings": FakeEmbedder()})
