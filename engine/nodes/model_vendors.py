"""The vendors whose chat models speak OpenAI's format: one row each."""

from __future__ import annotations

from dataclasses import dataclass

from engine.spec import NodeSpec, Param


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor, by the names that exported flows use for it."""

    name: str
    label: str
    version: float
    kind: str  # the base class that edges carry
    base_url: str = ""  # empty: only the input says where
    url_param: str = "basepath"  # the input that replaces base_url
    credential: str = ""
    key_field: str = ""
    model: str = ""  # chosen unless the author chooses another
    max_tokens_param: str = "maxTokens"
    needs_key: bool = True
    url_suffix: str = ""  # put after a base URL that lacks it
    is_openai: bool = False
    counts_usage: bool = True
    extra: tuple[Param, ...] = ()
    model_param: str = "modelName"
    category: str = "Chat Models"
    base_classes: tuple[str, ...] = ("BaseChatModel", "BaseLanguageModel", "Runnable")
    is_text: bool = False  # it continues a text, instead of answering messages

    @property
    def spec(self) -> NodeSpec:
        where = f" at {self.base_url}" if self.base_url else ""
        return NodeSpec(
            name=self.name,
            label=self.label,
            version=self.version,
            category=self.category,
            base_classes=(self.kind, *self.base_classes),
            help=f"A {'text' if self.is_text else 'chat'} model served in OpenAI's format{where}.",
            params=self._params(),
            credentials=(self.credential,) if self.credential else (),
            role="component",
        )

    def _params(self) -> tuple[Param, ...]:
        credential = Param("credential", "credential", "Connect Credential", optional=not self.needs_key)
        connect = (credential,) if self.credential else ()
        base_url = Param(
            self.url_param,
            "string",
            "Base URL",
            default=self.base_url or None,
            optional=bool(self.base_url),
            help="Address of another server that speaks OpenAI's format, up to and including its /v1.",
        )
        limit = Param(self.max_tokens_param, "number", "Max Tokens", optional=True, help="Longest answer, in tokens.")
        return (
            *connect,
            Param("cache", "BaseCache", "Cache", optional=True),
            Param(
                self.model_param,
                "asyncOptions",
                "Model Name",
                default=self.model or None,
                help="The vendor's name for it.",
            ),
            TEMPERATURE,
            STREAMING,
            limit,
            TOP_P,
            base_url,
            *self.extra,
        )


TEMPERATURE = Param(
    "temperature", "number", "Temperature", default=0.9, optional=True, help="0: always the likeliest word; 2: wild."
)
STREAMING = Param(
    "streaming", "boolean", "Streaming", default=True, optional=True, help="Hand the answer on word by word."
)
TOP_P = Param("topP", "number", "Top Probability", optional=True, help="Keep to words that make up this probability.")
PENALTIES = (
    Param("frequencyPenalty", "number", "Frequency Penalty", optional=True, help="-2 to 2; more repeats less."),
    Param("presencePenalty", "number", "Presence Penalty", optional=True, help="-2 to 2; more brings up new topics."),
)
STOP = Param("stopSequence", "string", "Stop Sequence", optional=True, help="Texts that end the answer, by commas.")
TIMEOUT = Param("timeout", "number", "Timeout", optional=True, help="Milliseconds to wait for the model.")
BASE_OPTIONS = Param("baseOptions", "json", "BaseOptions", optional=True, help="Headers to send with each call.")
IMAGES = (
    Param("allowImageUploads", "boolean", "Allow Image Uploads", default=False, optional=True, help="Show it images."),
    Param(
        "imageResolution",
        "options",
        "Image Resolution",
        default="low",
        optional=True,
        options=("low", "high", "auto"),
        help="How closely it looks at images.",
    ),
)
REASONING = (
    Param("reasoning", "boolean", "Reasoning", default=False, optional=True, help="It thinks before it answers."),
    Param(
        "reasoningEffort",
        "options",
        "Reasoning Effort",
        optional=True,
        options=("minimal", "low", "medium", "high"),
        help="How long it thinks.",
    ),
)
FULL = (*PENALTIES, TIMEOUT, STOP, BASE_OPTIONS, *IMAGES, *REASONING)
USUAL = (*PENALTIES, TIMEOUT, STOP)

VENDORS = (
    Vendor(
        "chatOpenAI",
        "ChatOpenAI",
        8.3,
        "ChatOpenAI",
        base_url="https://api.openai.com/v1",
        credential="openAIApi",
        key_field="openAIApiKey",
        model="gpt-4o-mini",
        is_openai=True,
        extra=FULL,
    ),
    Vendor(
        "chatOpenAICustom",
        "ChatOpenAI Custom",
        4,
        "ChatOpenAI-Custom",
        base_url="https://api.openai.com/v1",
        credential="openAIApi",
        key_field="openAIApiKey",
        extra=FULL,
    ),
    Vendor(
        "chatGoogleGenerativeAI",
        "ChatGoogleGenerativeAI",
        3.1,
        "ChatGoogleGenerativeAI",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        url_param="baseUrl",
        credential="googleGenerativeAI",
        key_field="googleGenerativeAPIKey",
        model="gemini-2.0-flash",
        max_tokens_param="maxOutputTokens",
        extra=(
            Param("customModelName", "string", "Custom Model Name", optional=True, help="Overrides the model's name."),
            IMAGES[0],
        ),
    ),
    Vendor(
        "groqChat",
        "GroqChat",
        4,
        "GroqChat",
        base_url="https://api.groq.com/openai/v1",
        credential="groqApi",
        key_field="groqApiKey",
        extra=IMAGES,
    ),
    Vendor(
        "chatMistralAI",
        "ChatMistralAI",
        4,
        "ChatMistralAI",
        base_url="https://api.mistral.ai/v1",
        url_param="overrideEndpoint",
        credential="mistralAIApi",
        key_field="mistralAIAPIKey",
        model="mistral-small-latest",
        max_tokens_param="maxOutputTokens",
        counts_usage=False,
        extra=IMAGES,
    ),
    Vendor(
        "chatDeepseek",
        "ChatDeepseek",
        1,
        "chatDeepseek",
        base_url="https://api.deepseek.com",
        credential="deepseekApi",
        key_field="deepseekApiKey",
        model="deepseek-chat",
        extra=USUAL,
    ),
    Vendor(
        "chatOpenRouter",
        "ChatOpenRouter",
        1,
        "ChatOpenRouter",
        base_url="https://openrouter.ai/api/v1",
        credential="openRouterApi",
        key_field="openRouterApiKey",
        extra=(*PENALTIES, TIMEOUT, BASE_OPTIONS, *IMAGES),
    ),
    Vendor(
        "chatTogetherAI",
        "ChatTogetherAI",
        2,
        "ChatTogetherAI",
        base_url="https://api.together.xyz/v1",
        credential="togetherAIApi",
        key_field="togetherAIApiKey",
    ),
    Vendor(
        "chatXAI",
        "ChatXAI",
        2,
        "ChatXAI",
        base_url="https://api.x.ai/v1",
        credential="xaiApi",
        key_field="xaiApiKey",
        extra=IMAGES,
    ),
    Vendor(
        "chatFireworks",
        "ChatFireworks",
        2,
        "ChatFireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        credential="fireworksApi",
        key_field="fireworksApiKey",
    ),
    Vendor(
        "chatOllama",
        "ChatOllama",
        5,
        "ChatOllama",
        base_url="http://localhost:11434",
        url_param="baseUrl",
        url_suffix="/v1",
        credential="ollamaApi",
        key_field="ollamaApiKey",
        needs_key=False,
        extra=IMAGES,
    ),
    Vendor(
        "chatLocalAI",
        "ChatLocalAI",
        3,
        "ChatLocalAI",
        url_param="basePath",
        credential="localAIApi",
        key_field="localAIApiKey",
        needs_key=False,
    ),
    Vendor(
        "chatCohere",
        "ChatCohere",
        2,
        "ChatCohere",
        base_url="https://api.cohere.ai/compatibility/v1",
        credential="cohereApi",
        key_field="cohereApiKey",
        model="command-r",
    ),
    Vendor(
        "chatHuggingFace",
        "ChatHuggingFace",
        3,
        "ChatHuggingFace",
        base_url="https://router.huggingface.co/v1",
        url_param="endpoint",
        url_suffix="/v1",
        credential="huggingFaceApi",
        key_field="huggingFaceApiKey",
        model_param="model",
        extra=(PENALTIES[0], Param("stop", "string", "Stop Sequence", optional=True, help=STOP.help)),
    ),
    Vendor(
        "chatLitellm",
        "ChatLitellm",
        1,
        "ChatLitellm",
        url_param="basePath",
        credential="litellmApi",
        key_field="litellmApiKey",
        needs_key=False,
        extra=IMAGES,
    ),
    Vendor(
        "chatNvidiaNIM",
        "Chat NVIDIA NIM",
        1.1,
        "ChatNvidiaNIM",
        url_param="basePath",
        credential="nvidiaNIMApi",
        key_field="nvidiaNIMApiKey",
        needs_key=False,
        extra=USUAL,
    ),
    Vendor(
        "chatPerplexity",
        "ChatPerplexity",
        1,
        "ChatPerplexity",
        base_url="https://api.perplexity.ai",
        url_param="proxyUrl",
        credential="perplexityApi",
        key_field="perplexityApiKey",
        model="sonar",
        model_param="model",
        extra=PENALTIES,
    ),
    Vendor(
        "chatSambanova",
        "ChatSambanova",
        1,
        "ChatSambanova",
        base_url="https://api.sambanova.ai/v1",
        credential="sambanovaApi",
        key_field="sambanovaApiKey",
        model="Meta-Llama-3.3-70B-Instruct",
        extra=USUAL,
    ),
    Vendor(
        "chatAlibabaTongyi",
        "ChatAlibabaTongyi",
        2,
        "ChatAlibabaTongyi",
        base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
        credential="AlibabaApi",
        key_field="alibabaApiKey",
        model="qwen-plus",
    ),
)
