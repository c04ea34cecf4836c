"""The databases that keep vectors: one row each, with the params that exported flows use for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
from engine.providers.upstash import UpstashIndex
from engine.providers.weaviate import WeaviateIndex
from engine.spec import Inputs, NodeSpec, Param

Secrets = Mapping[str, str]
Open = Callable[[NodeContext, Inputs, Secrets], VectorIndex]

TOP_K = Param("topK", "number", "Top K", optional=True, help="How many documents are found; 4 unless given.")
DOCUMENT = Param(
    "document", "Document", "Document", optional=True, is_list=True, help="What is stored when the flow is upserted."
)
EMBEDDINGS = Param("embeddings", "Embeddings", "Embeddings", help="Which model makes the vectors.")
RECORDS = Param(
    "recordManager", "RecordManager", "Record Manager", optional=True, help="Remembers what is stored already."
)
MMR = (
    Param(
        "searchType",
        "options",
        "Search Type",
        default="similarity",
        optional=True,
        options=("similarity", "mmr"),
        help="The most alike, or those alike among which none says the same.",
    ),
    Param("fetchK", "number", "Fetch K (for MMR Search)", optional=True, help="From how many they are chosen."),
    Param("lambda", "number", "Lambda (for MMR Search)", optional=True, help="0: most diverse; 1: most alike."),
)


@dataclass(frozen=True, slots=True)
class StoreVendor:
    """A database, by the names that exported flows use for it."""

    name: str
    label: str
    version: float
    help: str
    open: Open
    params: tuple[Param, ...] = ()
    credentials: tuple[str, ...] = ()
    key_fields: tuple[str, ...] = ()  # nothing works without one of these fields of the credential
    filter_param: str = ""
    is_llama_index: bool = False

    @property
    def spec(self) -> NodeSpec:
        connect = Param("credential", "credential", "Connect Credential", optional=not self.key_fields)
        embeddings = EMBEDDINGS
        anchors: tuple[Param, ...] = (DOCUMENT, embeddings, RECORDS)
        kinds: tuple[str, ...] = (self.label, "VectorStoreRetriever", "BaseRetriever")
        if self.is_llama_index:
            model = Param("model", "BaseChatModel_LlamaIndex", "Chat Model", help="Which model answers from it.")
            embeddings = Param("embeddings", "BaseEmbedding_LlamaIndex", "Embeddings", help=EMBEDDINGS.help)
            anchors, kinds = (DOCUMENT, model, embeddings), (self.label, "VectorIndexRetriever")
        filters = (
            (Param(self.filter_param, "json", "Metadata Filter", optional=True, help="Which documents are looked at."),)
            if self.filter_param
            else ()
        )
        return NodeSpec(
            name=self.name,
            label=self.label,
            version=self.version,
            category="Vector Stores",
            base_classes=kinds,
            help=self.help,
            params=(*((connect,) if self.credentials else ()), *self.params, *filters, TOP_K, *MMR, *anchors),
            outputs=("retriever", "vectorStore"),
            credentials=self.credentials,
            role="component",
        )


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


PINECONE = (
    Param("pineconeIndex", "string", "Pinecone Index", help="Its name."),
    Param("pineconeNamespace", "string", "Pinecone Namespace", optional=True, help="A part of the index."),
    Param("pineconeTextKey", "string", "Pinecone Text Key", optional=True, help="What holds the text; else text."),
    Param("pineconeApiUrl", "string", "Pinecone API URL", optional=True, help="Instead of Pinecone's own address."),
)

VENDORS = (
    StoreVendor(
        "postgres",
        "Postgres",
        7,
        "Documents in the platform's own PostgreSQL.",
        open_table,
        params=(
            Param("host", "string", "Host", optional=True, help="Leave it empty: the database is the platform's."),
            Param("tableName", "string", "Table Name", default="documents", optional=True, help="A collection's name."),
        ),
        filter_param="pgMetadataFilter",
    ),
    StoreVendor(
        "pinecone",
        "Pinecone",
        5,
        "Documents in Pinecone.",
        open_pinecone,
        params=PINECONE,
        credentials=("pineconeApi",),
        key_fields=("pineconeApiKey",),
        filter_param="pineconeMetadataFilter",
    ),
    StoreVendor(
        "pineconeLlamaIndex",
        "Pinecone",
        1,
        "Documents in Pinecone, and a model that answers from them.",
        open_pinecone,
        params=PINECONE,
        credentials=("pineconeApi",),
        key_fields=("pineconeApiKey",),
        filter_param="pineconeMetadataFilter",
        is_llama_index=True,
    ),
    StoreVendor(
        "qdrant",
        "Qdrant",
        5,
        "Documents in Qdrant.",
        open_qdrant,
        params=(
            Param("qdrantServerUrl", "string", "Qdrant Server URL", help="Such as http://localhost:6333."),
            Param("qdrantCollection", "string", "Qdrant Collection Name", help="Made if it is not there."),
            Param("contentPayloadKey", "string", "Content Key", default="content", optional=True, help="Of the text."),
            Param(
                "metadataPayloadKey", "string", "Metadata Key", default="metadata", optional=True, help="Of the rest."
            ),
            Param(
                "qdrantSimilarity",
                "options",
                "Similarity",
                default="Cosine",
                optional=True,
                options=("Cosine", "Euclid", "Dot"),
                help="How likeness is measured, if the collection is made here.",
            ),
        ),
        credentials=("qdrantApi",),
        filter_param="qdrantFilter",
    ),
    StoreVendor(
        "chroma",
        "Chroma",
        2,
        "Documents in Chroma.",
        open_chroma,
        params=(
            Param("collectionName", "string", "Collection Name", help="Made if it is not there."),
            Param("chromaURL", "string", "Chroma URL", optional=True, help="Such as http://localhost:8000."),
        ),
        credentials=("chromaApi",),
        filter_param="chromaMetadataFilter",
    ),
    StoreVendor(
        "weaviate",
        "Weaviate",
        4,
        "Documents in Weaviate.",
        open_weaviate,
        params=(
            Param(
                "weaviateScheme",
                "options",
                "Weaviate Scheme",
                default="https",
                options=("https", "http"),
                help="How it is reached.",
            ),
            Param("weaviateHost", "string", "Weaviate Host", help="Such as localhost:8080."),
            Param("weaviateIndex", "string", "Weaviate Index", help="The class of the objects."),
            Param("weaviateTextKey", "string", "Weaviate Text Key", optional=True, help="What holds the text."),
            Param(
                "weaviateMetadataKeys", "string", "Weaviate Metadata Keys", optional=True, help='Such as ["source"].'
            ),
        ),
        credentials=("weaviateApi",),
        filter_param="weaviateFilter",
    ),
    StoreVendor(
        "milvus",
        "Milvus",
        2.1,
        "Documents in Milvus or Zilliz.",
        open_milvus,
        params=(
            Param("milvusServerUrl", "string", "Milvus Server URL", help="Such as http://localhost:19530."),
            Param("milvusCollection", "string", "Milvus Collection Name", help="Made if it is not there."),
            Param("milvusPartition", "string", "Milvus Partition Name", optional=True, help="A part of it."),
            Param("milvusTextField", "string", "Milvus Text Field", optional=True, help="What holds the text."),
        ),
        credentials=("milvusAuth",),
        filter_param="milvusFilter",
    ),
    StoreVendor(
        "elasticsearch",
        "Elasticsearch",
        2,
        "Documents in Elasticsearch.",
        open_elastic,
        params=(
            Param("indexName", "string", "Index Name", help="Made if it is not there."),
            Param(
                "similarity",
                "options",
                "Similarity",
                default="l2_norm",
                optional=True,
                options=("l2_norm", "dot_product", "cosine"),
                help="How likeness is measured, if the index is made here.",
            ),
        ),
        credentials=("elasticsearchApi", "elasticSearchUserPassword"),
        key_fields=("endpoint", "cloudId"),
    ),
    StoreVendor(
        "openSearch",
        "OpenSearch",
        3,
        "Documents in OpenSearch.",
        open_opensearch,
        params=(Param("indexName", "string", "Index Name", help="Made if it is not there."),),
        credentials=("openSearchUrl",),
        key_fields=("openSearchUrl",),
    ),
    StoreVendor(
        "upstash",
        "Upstash Vector",
        2,
        "Documents in Upstash.",
        open_upstash,
        params=(Param("namespace", "string", "Namespace", optional=True, help="A part of the index."),),
        credentials=("upstashVectorApi",),
        key_fields=("UPSTASH_VECTOR_REST_TOKEN",),
        filter_param="upstashMetadataFilter",
    ),
)
