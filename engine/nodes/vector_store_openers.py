"""How the databases that keep vectors are opened: from what exported flows say to an index, one function each."""

from __future__ import annotations

import json
from collections.abc import Mapping

from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeInputError
from engine.nodes import values
from engine.providers import pinecone
from engine.providers.base import VectorIndex
from engine.providers.chroma import ChromaIndex
from engine.providers.elastic import ElasticIndex, cloud_url
from engine.providers.milvus import EXPRESSION, MilvusIndex
from engine.providers.pinecone import PineconeIndex
from engine.providers.qdrant import QdrantIndex
from engine.providers.rest import RestDatabase, basic_auth
from engine.providers.retrying import Retrying
from engine.providers.supabase import SupabaseIndex
from engine.providers.upstash import UpstashIndex
from engine.providers.weaviate import WeaviateIndex
from engine.spec import Inputs

Secrets = Mapping[str, str]


def open_table(ctx: NodeContext, inputs: Inputs, secrets: Secrets) -> VectorIndex:
    """A collection in the platform's own PostgreSQL. Raises NodeInputError if another server is named."""
    if host := values.text(inputs, "host"):
        raise NodeInputError(f"Vectors are kept in Forjinn's own PostgreSQL, not at {host}: clear 'host', and upsert.")
    if ctx.world.vectors is None:
        raise NodeInputError("There is no database to keep vectors in here.")
    return ctx.world.vectors.table(values.text(inputs, "tableName", "documents"))


def open_pinecone(ctx: NodeContext, inputs: Inputs, secrets: Secrets) -> VectorIndex:
    key = secrets.get("pineconeApiKey", "")
    url = values.text(inputs, "pineconeApiUrl", pinecone.API)
    database = _database(ctx, url, {"Api-Key": key, **pinecone.VERSION}, secrets, own_url=pinecone.API)
    return PineconeIndex(
        database,
        index=_needed(inputs, "pineconeIndex"),
        namespace=values.text(inputs, "pineconeNamespace"),
        text_key=values.text(inputs, "pineconeTextKey", "text"),
    )


def open_qdrant(ctx: NodeContext, inputs: Inputs, secrets: Secrets) -> VectorIndex:
    key = secrets.get("qdrantApiKey", "")
    return QdrantIndex(
        _database(ctx, _needed(inputs, "qdrantServerUrl"), {"api-key": key} if key else {}, secrets),
        collection=_needed(inputs, "qdrantCollection"),
        distance=values.text(inputs, "qdrantSimilarity", "Cosine"),
        text_key=values.text(inputs, "contentPayloadKey", "content"),
        metadata_key=values.text(inputs, "metadataPayloadKey", "metadata"),
    )


def open_chroma(ctx: NodeContext, inputs: Inputs, secrets: Secrets) -> VectorIndex:
    key = secrets.get("chromaApiKey", "")
    url = values.text(inputs, "chromaURL", "http://localhost:8000")
    return ChromaIndex(
        _database(ctx, url, {"x-chroma-token": key} if key else {}, secrets),
        collection=_needed(inputs, "collectionName"),
        tenant=secrets.get("chromaTenant") or "default_tenant",
        name=secrets.get("chromaDatabase") or "default_database",
    )


def open_weaviate(ctx: NodeContext, inputs: Inputs, secrets: Secrets) -> VectorIndex:
    key = secrets.get("weaviateApiKey", "")
    url = f"{values.text(inputs, 'weaviateScheme', 'https')}://{_needed(inputs, 'weaviateHost')}"
    return WeaviateIndex(
        _database(ctx, url, {"Authorization": f"Bearer {key}"} if key else {}, secrets),
        class_name=_needed(inputs, "weaviateIndex"),
        text_key=values.text(inputs, "weaviateTextKey", "text"),
        metadata_keys=_names(inputs, "weaviateMetadataKeys"),
    )


def open_milvus(ctx: NodeContext, inputs: Inputs, secrets: Secrets) -> VectorIndex:
    key = ":".join(filter(None, (secrets.get("milvusUser"), secrets.get("milvusPassword"))))
    return MilvusIndex(
        _database(ctx, _needed(inputs, "milvusServerUrl"), {"Authorization": f"Bearer {key}"} if key else {}, secrets),
        collection=_needed(inputs, "milvusCollection"),
        text_key=values.text(inputs, "milvusTextField", "langchain_text"),
        partition=values.text(inputs, "milvusPartition"),
    )


def open_elastic(ctx: NodeContext, inputs: Inputs, secrets: Secrets) -> VectorIndex:
    if secrets.get("endpoint"):
        url, headers = secrets["endpoint"], {"Authorization": f"ApiKey {secrets.get('apiKey', '')}"}
    else:
        url = _address(ctx, cloud_url(secrets.get("cloudId", "")))
        headers = basic_auth(secrets.get("username", ""), secrets.get("password", ""))
    similarity = {"l2_norm": "l2_norm", "dot_product": "dot_product"}.get(values.text(inputs, "similarity"), "cosine")
    database = _database(ctx, url, headers, secrets, own_url=url)
    return ElasticIndex(database, index=_needed(inputs, "indexName"), similarity=similarity)


def open_opensearch(ctx: NodeContext, inputs: Inputs, secrets: Secrets) -> VectorIndex:
    user = secrets.get("user")
    headers = basic_auth(user, secrets.get("password") or "") if user else {}
    url = _address(ctx, secrets.get("openSearchUrl", ""))
    database = _database(ctx, url, headers, secrets, own_url=url)
    return ElasticIndex(database, index=_needed(inputs, "indexName"), is_open=True)


def open_supabase(ctx: NodeContext, inputs: Inputs, secrets: Secrets) -> VectorIndex:
    key = secrets.get("supabaseApiKey", "")
    headers = {"apikey": key, "Authorization": f"Bearer {key}", "Prefer": "resolution=merge-duplicates,return=minimal"}
    url = _needed(inputs, "supabaseProjUrl")
    if values.text(inputs, "supabaseRPCFilter"):
        raise NodeInputError("supabaseRPCFilter is not taken: write the filter into supabaseMetadataFilter as JSON.")
    return SupabaseIndex(
        _database(ctx, url, headers, secrets),
        table=_needed(inputs, "tableName"),
        function=_needed(inputs, "queryName"),
    )


def open_upstash(ctx: NodeContext, inputs: Inputs, secrets: Secrets) -> VectorIndex:
    token = secrets.get("UPSTASH_VECTOR_REST_TOKEN", "")
    url = _address(ctx, secrets.get("UPSTASH_VECTOR_REST_URL", ""))
    database = _database(ctx, url, {"Authorization": f"Bearer {token}"}, secrets, own_url=url)
    return UpstashIndex(database, namespace=values.text(inputs, "namespace"))


def _database(
    ctx: NodeContext, url: str, headers: Mapping[str, str], secrets: Secrets, *, own_url: str = ""
) -> RestDatabase:
    """`own_url`: where the credential belongs, whatever the inputs say."""
    world = ctx.world
    check_destination(secrets, url, own_url=own_url, egress=world.http.egress)
    retrying = Retrying(world.clock, world.random)
    return RestDatabase(url, http=world.http, retrying=retrying, headers=headers, secrets=tuple(secrets.values()))


def _needed(inputs: Inputs, name: str) -> str:
    value = values.text(inputs, name).strip()
    if not value:
        raise NodeInputError(f"{name!r} is empty: it says where the documents are.")
    return value


def _address(ctx: NodeContext, url: str) -> str:
    if not url:
        raise NodeInputError(f"The credential of {ctx.node.label} has no address of a server.")
    return url


def _names(inputs: Inputs, name: str) -> list[str]:
    """A JSON list of texts, or texts by commas."""
    text = values.text(inputs, name)
    try:
        given = json.loads(text) if text.lstrip().startswith("[") else text.split(",")
    except ValueError:
        given = text.split(",")
    return [str(item).strip() for item in given if str(item).strip()]


def metadata_filter(inputs: Inputs, name: str) -> dict[str, object]:
    """A filter as JSON, or in a language of the database's own."""
    text = inputs.get(name)
    if isinstance(text, str) and text.strip() and not text.lstrip().startswith("{"):
        return {EXPRESSION: text}
    return values.mapping(inputs, name)
