"""The databases that keep vectors: one row each, with the params that exported flows use for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.context import NodeContext
from engine.nodes.vector_store_openers import (
    Secrets,
    open_chroma,
    open_elastic,
    open_milvus,
    open_opensearch,
    open_pinecone,
    open_qdrant,
    open_supabase,
    open_table,
    open_upstash,
    open_weaviate,
)
from engine.providers.base import VectorIndex
from engine.spec import Inputs, NodeSpec, Param

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
        "supabase",
        "Supabase",
        4,
        "Documents in Supabase.",
        open_supabase,
        params=(
            Param("supabaseProjUrl", "string", "Supabase Project URL", help="Such as https://abc.supabase.co."),
            Param("tableName", "string", "Table Name", help="With columns id, content, metadata and embedding."),
            Param("queryName", "string", "Query Name", help="The function that finds rows, such as match_documents."),
        ),
        credentials=("supabaseApi",),
        key_fields=("supabaseApiKey",),
        filter_param="supabaseMetadataFilter",
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
