"""The vendors whose embedding models are an HTTP call away: one row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.providers.embeddings import BATCH, openai_body, openai_vectors
from engine.spec import NodeSpec, Param

BATCH_SIZE = Param("batchSize", "number", "Batch Size", optional=True, help="Texts in one call.")
TIMEOUT = Param("timeout", "number", "Timeout", optional=True, help="Milliseconds to wait for the model.")
STRIP = Param("stripNewLines", "boolean", "Strip New Lines", optional=True, help="Blanks instead of line breaks.")
DIMENSIONS = Param("dimensions", "number", "Dimensions", optional=True, help="Length of the vectors, if it can vary.")
CONNECT = Param("credential", "credential", "Connect Credential", optional=True)
USUAL = (STRIP, BATCH_SIZE, TIMEOUT, DIMENSIONS)


def cohere_body(model: str, texts: Sequence[str], params: Mapping[str, Any]) -> Mapping[str, Any]:
    """What Cohere's `/v2/embed` is sent."""
    return {"model": model, "texts": list(texts), "embedding_types": ["float"], **params}


def cohere_vectors(answer: Any) -> list[Any]:
    return list(answer["embeddings"]["float"])


def hugging_face_body(model: str, texts: Sequence[str], params: Mapping[str, Any]) -> Mapping[str, Any]:
    """What Hugging Face's feature extraction is sent; the model is in the path."""
    return {"inputs": list(texts), **params}


def hugging_face_vectors(answer: Any) -> list[Any]:
    return list(answer)


@dataclass(frozen=True, slots=True)
class EmbeddingVendor:
    """A vendor, by the names that exported flows use for it. `path` may hold {model}."""

    name: str
    label: str
    version: float
    kind: str
    base_url: str = ""  # empty: only the input says where
    url_param: str = "basepath"
    url_suffix: str = ""  # put after a base URL that lacks it
    path: str = "/embeddings"
    credential: str = ""
    key_field: str = ""
    needs_key: bool = True
    model: str = ""
    batch: int = BATCH
    extra: tuple[Param, ...] = USUAL
    sent: tuple[tuple[str, str], ...] = (("dimensions", "dimensions"),)  # inputs, and the vendor's names for them
    write: Callable[[str, Sequence[str], Mapping[str, Any]], Mapping[str, Any]] = openai_body
    read: Callable[[Any], list[Any]] = openai_vectors

    @property
    def spec(self) -> NodeSpec:
        where = f" at {self.base_url}" if self.base_url else ""
        is_llama_index = self.kind.endswith("LlamaIndex")
        return NodeSpec(
            name=self.name,
            label=self.label,
            version=self.version,
            category="Embeddings",
            base_classes=(self.label, "BaseEmbedding_LlamaIndex" if is_llama_index else "Embeddings"),
            help=f"Makes vectors of texts{where}.",
            params=(
                *((replace(CONNECT, optional=not self.needs_key),) if self.credential else ()),
                Param("modelName", "asyncOptions", "Model Name", default=self.model or None, help="The vendor's name."),
                Param(
                    self.url_param,
                    "string",
                    "Base URL",
                    default=self.base_url or None,
                    optional=bool(self.base_url),
                    help="Address of another server of the same format.",
                ),
                *self.extra,
            ),
            credentials=(self.credential,) if self.credential else (),
            role="component",
        )


OPENAI = "https://api.openai.com/v1"
OPENAI_MODEL = "text-embedding-ada-002"

VENDORS = (
    EmbeddingVendor(
        "openAIEmbeddings",
        "OpenAI Embeddings",
        4,
        "OpenAIEmbeddings",
        base_url=OPENAI,
        credential="openAIApi",
        key_field="openAIApiKey",
        model=OPENAI_MODEL,
    ),
    EmbeddingVendor(
        "openAIEmbeddingsCustom",
        "OpenAI Embeddings Custom",
        3,
        "OpenAIEmbeddingsCustom",
        base_url=OPENAI,
        credential="openAIApi",
        key_field="openAIApiKey",
    ),
    EmbeddingVendor(
        "openAIEmbedding_LlamaIndex",
        "OpenAI Embedding",
        2,
        "OpenAIEmbedding_LlamaIndex",
        base_url=OPENAI,
        credential="openAIApi",
        key_field="openAIApiKey",
        model=OPENAI_MODEL,
        extra=(TIMEOUT,),
    ),
    EmbeddingVendor(
        "localAIEmbeddings",
        "LocalAI Embeddings",
        1,
        "LocalAI Embeddings",
        url_param="basePath",
        credential="localAIApi",
        key_field="localAIApiKey",
        needs_key=False,
        batch=64,
        extra=(),
    ),
    EmbeddingVendor(
        "lmStudioEmbeddings",
        "LM Studio Embedding",
        1,
        "LM Studio Embeddings",
        base_url="http://localhost:1234/v1",
        url_param="basePath",
        credential="lmstudioApi",
        key_field="lmstudioApiKey",
        needs_key=False,
        batch=64,
        extra=(),
    ),
    EmbeddingVendor(
        "ollamaEmbedding",
        "Ollama Embeddings",
        1,
        "OllamaEmbeddings",
        base_url="http://localhost:11434",
        url_param="baseUrl",
        url_suffix="/v1",
        needs_key=False,
        batch=64,
        extra=(),
    ),
    EmbeddingVendor(
        "mistralAIEmbeddings",
        "MistralAI Embeddings",
        2,
        "MistralAIEmbeddings",
        base_url="https://api.mistral.ai/v1",
        url_param="overrideEndpoint",
        credential="mistralAIApi",
        key_field="mistralAIAPIKey",
        model="mistral-embed",
        batch=128,
        extra=(BATCH_SIZE, STRIP),
    ),
    EmbeddingVendor(
        "togetherAIEmbedding",
        "TogetherAIEmbedding",
        1,
        "TogetherAIEmbedding",
        base_url="https://api.together.xyz/v1",
        credential="togetherAIApi",
        key_field="togetherAIApiKey",
        extra=(),
    ),
    EmbeddingVendor(
        "googleGenerativeAiEmbeddings",
        "GoogleGenerativeAI Embeddings",
        2,
        "GoogleGenerativeAiEmbeddings",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        credential="googleGenerativeAI",
        key_field="googleGenerativeAPIKey",
        model="gemini-embedding-001",
        batch=100,
        extra=(STRIP,),
    ),
    EmbeddingVendor(
        "voyageAIEmbeddings",
        "VoyageAI Embeddings",
        1,
        "VoyageAIEmbeddings",
        base_url="https://api.voyageai.com/v1",
        url_param="endpoint",
        credential="voyageAIApi",
        key_field="apiKey",
        model="voyage-2",
        batch=128,
        extra=(),
    ),
    EmbeddingVendor(
        "jinaEmbeddings",
        "Jina Embeddings",
        3,
        "JinaEmbeddings",
        base_url="https://api.jina.ai/v1",
        credential="jinaAIApi",
        key_field="jinaAIAPIKey",
        model="jina-embeddings-v3",
        extra=(Param("modelDimensions", "number", "Dimensions", optional=True, help="Length of the vectors."),),
        sent=(("modelDimensions", "dimensions"),),
    ),
    EmbeddingVendor(
        "cohereEmbeddings",
        "Cohere Embeddings",
        3,
        "CohereEmbeddings",
        base_url="https://api.cohere.com",
        path="/v2/embed",
        credential="cohereApi",
        key_field="cohereApiKey",
        model="embed-english-v3.0",
        batch=96,
        extra=(
            Param(
                "inputType",
                "options",
                "Type",
                default="search_query",
                optional=True,
                options=("search_document", "search_query", "classification", "clustering"),
                help="What the vectors are for.",
            ),
        ),
        sent=(("inputType", "input_type"),),
        write=cohere_body,
        read=cohere_vectors,
    ),
    EmbeddingVendor(
        "huggingFaceInferenceEmbeddings",
        "HuggingFace Inference Embeddings",
        1,
        "HuggingFaceInferenceEmbeddings",
        base_url="https://router.huggingface.co/hf-inference",
        url_param="endpoint",
        path="/models/{model}/pipeline/feature-extraction",
        credential="huggingFaceApi",
        key_field="huggingFaceApiKey",
        model="sentence-transformers/distilbert-base-nli-mean-tokens",
        batch=32,
        extra=(),
        write=hugging_face_body,
        read=hugging_face_vectors,
    ),
)
