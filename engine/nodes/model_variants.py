"""The same vendors under other names: nodes of LlamaIndex's, and nodes for models that continue a text."""

from __future__ import annotations

from dataclasses import replace

from engine.nodes.model_vendors import BASE_OPTIONS, PENALTIES, TIMEOUT, VENDORS, Vendor

LLAMA_INDEX = ("BaseChatModel_LlamaIndex",)
TEXT = ("BaseLLM", "BaseLanguageModel", "Runnable")
KNOWN = {vendor.name: vendor for vendor in VENDORS}


def _llama_index(name: str, original: str, version: float) -> Vendor:
    """A vendor's chat model as flows drawn with LlamaIndex's nodes have it."""
    return replace(KNOWN[original], name=name, version=version, base_classes=LLAMA_INDEX)


def _llm(name: str, label: str, version: float, original: str, *, model: str = "", model_param: str = "") -> Vendor:
    """A vendor's node of the category LLMs: today's servers have answers to messages behind it."""
    vendor = KNOWN[original]
    return replace(
        vendor,
        name=name,
        label=label,
        version=version,
        kind=label.replace(" ", ""),
        category="LLMs",
        base_classes=TEXT,
        model=model or vendor.model,
        model_param=model_param or vendor.model_param,
        extra=(*PENALTIES, TIMEOUT),
    )


VARIANTS = (
    _llama_index("chatOpenAI_LlamaIndex", "chatOpenAI", 2),
    _llama_index("chatMistral_LlamaIndex", "chatMistralAI", 1),
    _llama_index("chatOllama_LlamaIndex", "chatOllama", 1),
    _llama_index("chatTogetherAI_LlamaIndex", "chatTogetherAI", 1),
    _llama_index("chatGroq_LlamaIndex", "groqChat", 1),
    Vendor(
        "openAI",
        "OpenAI",
        4,
        "OpenAI",
        base_url="https://api.openai.com/v1",
        credential="openAIApi",
        key_field="openAIApiKey",
        model="gpt-3.5-turbo-instruct",
        category="LLMs",
        base_classes=TEXT,
        is_text=True,
        extra=(*PENALTIES, TIMEOUT, BASE_OPTIONS),
    ),
    _llm("huggingFaceInference_LLMs", "HuggingFace Inference", 2, "chatHuggingFace"),
    _llm("cohere", "Cohere", 3, "chatCohere"),
    _llm("ollama", "Ollama", 2, "chatOllama"),
    _llm("togetherAI", "TogetherAI", 1, "chatTogetherAI"),
    _llm("fireworks", "Fireworks", 1, "chatFireworks"),
    _llm("sambanova", "Sambanova", 1, "chatSambanova"),
)
