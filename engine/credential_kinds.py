"""The kinds of credentials that node types take: what each is called, and which fields it has."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One value of a credential, under the name that node types read it by."""

    name: str
    label: str
    kind: Literal["password", "string", "number", "json"] = "password"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class CredentialKind:
    """`name` is what exported flows carry."""

    name: str
    label: str
    fields: tuple[CredentialField, ...]


def _key(name: str, field: str, label: str, title: str = "API Key") -> CredentialKind:
    """A kind with one secret and nothing else: most of them."""
    return CredentialKind(name, label, (CredentialField(field, title),))


def _text(name: str, label: str, *, optional: bool = False) -> CredentialField:
    return CredentialField(name, label, "string", optional)


def _secret(name: str, label: str, *, optional: bool = False) -> CredentialField:
    return CredentialField(name, label, "password", optional)


def _login(name: str, label: str, user: str, password: str) -> CredentialKind:
    return CredentialKind(name, label, (_text(user, "User"), _secret(password, "Password")))


MODELS = (
    _key("AlibabaApi", "alibabaApiKey", "Alibaba"),
    _key("anthropicApi", "anthropicApiKey", "Anthropic"),
    CredentialKind(
        "azureOpenAIApi",
        "Azure OpenAI",
        (
            _secret("azureOpenAIApiKey", "API Key"),
            _text("azureOpenAIApiInstanceName", "Instance Name"),
            _text("azureOpenAIApiDeploymentName", "Deployment Name", optional=True),
            _text("azureOpenAIApiVersion", "API Version", optional=True),
        ),
    ),
    CredentialKind(
        "awsApi",
        "AWS",
        (
            _secret("awsKey", "Access Key"),
            _secret("awsSecret", "Secret Access Key"),
            _secret("awsSession", "Session Token", optional=True),
        ),
    ),
    _key("cerebrasAIApi", "cerebrasApiKey", "Cerebras"),
    _key("cohereApi", "cohereApiKey", "Cohere"),
    _key("deepseekApi", "deepseekApiKey", "DeepSeek"),
    _key("fireworksApi", "fireworksApiKey", "Fireworks"),
    _key("googleGenerativeAI", "googleGenerativeAPIKey", "Google Generative AI"),
    CredentialKind(
        "googleVertexAuth",
        "Google Vertex",
        (
            CredentialField("googleApplicationCredential", "Service Account JSON", "json"),
            _text("projectID", "Project", optional=True),
        ),
    ),
    _key("groqApi", "groqApiKey", "Groq"),
    _key("huggingFaceApi", "huggingFaceApiKey", "Hugging Face"),
    _key("jinaAIApi", "jinaAIAPIKey", "Jina AI"),
    _key("litellmApi", "litellmApiKey", "LiteLLM"),
    _key("lmstudioApi", "lmstudioApiKey", "LM Studio"),
    _key("localAIApi", "localAIApiKey", "LocalAI"),
    _key("mistralAIApi", "mistralAIAPIKey", "Mistral AI"),
    _key("nvidiaNIMApi", "nvidiaNIMApiKey", "NVIDIA NIM"),
    _key("ollamaApi", "ollamaApiKey", "Ollama"),
    _key("openAIApi", "openAIApiKey", "OpenAI"),
    _key("openRouterApi", "openRouterApiKey", "OpenRouter"),
    _key("perplexityApi", "perplexityApiKey", "Perplexity"),
    _key("replicateApi", "replicateApiKey", "Replicate"),
    _key("sambanovaApi", "sambanovaApiKey", "SambaNova"),
    _key("togetherAIApi", "togetherAIApiKey", "Together AI"),
    _key("voyageAIApi", "apiKey", "Voyage AI"),
    _key("xaiApi", "xaiApiKey", "xAI"),
)
SEARCHES = (
    _key("braveSearchApi", "braveApiKey", "Brave Search"),
    _key("exaSearchApi", "exaSearchApiKey", "Exa"),
    CredentialKind(
        "googleCustomSearchApi",
        "Google Custom Search",
        (
            _secret("googleCustomSearchApiKey", "API Key"),
            _text("googleCustomSearchApiId", "Programmable Search Engine ID"),
        ),
    ),
    _key("searchApi", "searchApiKey", "SearchApi"),
    _key("serpApi", "serpApiKey", "SerpApi"),
    _key("serperApi", "serperApiKey", "Serper"),
    _key("tavilyApi", "tavilyApiKey", "Tavily"),
    _key("wolframAlphaAppId", "wolframAlphaAppId", "Wolfram Alpha", "App ID"),
)
WEB = (
    CredentialKind("httpApiKey", "HTTP API Key", (_text("key", "Header Name"), _secret("value", "Value"))),
    _login("httpBasicAuth", "HTTP Basic Auth", "basicAuthUsername", "basicAuthPassword"),
    _key("httpBearerToken", "token", "HTTP Bearer Token", "Token"),
    _key("agentflowApi", "agentflowApiKey", "Agentflow"),
    _key("chatflowApi", "chatflowApiKey", "Chatflow"),
    _key("airtableApi", "accessToken", "Airtable", "Access Token"),
    _key("apifyApi", "apifyApiToken", "Apify", "API Token"),
    CredentialKind(
        "confluenceCloudApi",
        "Confluence Cloud",
        (
            _secret("accessToken", "Access Token"),
            _text("username", "User"),
            _text("baseURL", "Base URL", optional=True),
        ),
    ),
    CredentialKind(
        "confluenceServerDCApi",
        "Confluence Server/Data Center",
        (_secret("personalAccessToken", "Personal Access Token"), _text("baseURL", "Base URL", optional=True)),
    ),
    _key("figmaApi", "accessToken", "Figma", "Access Token"),
    _key("fireCrawlApi", "firecrawlApiToken", "FireCrawl", "API Token"),
    CredentialKind(
        "gmailOAuth2",
        "Gmail",
        (
            _text("clientId", "Client ID", optional=True),
            _secret("clientSecret", "Client Secret", optional=True),
            _secret("access_token", "Access Token"),
        ),
    ),
    _key("githubApi", "accessToken", "GitHub", "Access Token"),
    CredentialKind("jiraApi", "Jira", (_text("username", "User"), _secret("accessToken", "Access Token"))),
    _key("openAPIAuth", "openAPIToken", "OpenAPI", "Token"),
    _key("notionApi", "notionIntegrationToken", "Notion", "Integration Token"),
    CredentialKind("slackApi", "Slack", (_secret("botToken", "Bot Token"), _text("teamId", "Team ID"))),
    _key("spiderApi", "spiderApiKey", "Spider"),
    _key("unstructuredApi", "unstructuredAPIKey", "Unstructured"),
)
STORES = (
    _login("PostgresApi", "PostgreSQL", "user", "password"),
    _login("MySQLApi", "MySQL", "user", "password"),
    CredentialKind(
        "astraDBApi", "Astra DB", (_secret("applicationToken", "Application Token"), _text("dbEndPoint", "Endpoint"))
    ),
    CredentialKind(
        "chromaApi",
        "Chroma",
        (
            _secret("chromaApiKey", "API Key"),
            _text("chromaTenant", "Tenant", optional=True),
            _text("chromaDatabase", "Database", optional=True),
        ),
    ),
    CredentialKind("elasticsearchApi", "Elasticsearch", (_text("endpoint", "Endpoint"), _secret("apiKey", "API Key"))),
    CredentialKind(
        "elasticSearchUserPassword",
        "Elasticsearch User",
        (_text("cloudId", "Cloud ID"), _text("username", "User"), _secret("password", "Password")),
    ),
    CredentialKind("mem0MemoryApi", "Mem0", (_secret("apiKey", "API Key"),)),
    _login("milvusAuth", "Milvus", "milvusUser", "milvusPassword"),
    _key("mongoDBUrlApi", "mongoDBConnectUrl", "MongoDB Atlas", "Connection URL"),
    CredentialKind(
        "neo4jApi",
        "Neo4j",
        (_text("url", "URL"), _text("username", "User"), _secret("password", "Password")),
    ),
    CredentialKind(
        "openSearchUrl",
        "OpenSearch",
        (
            _text("openSearchUrl", "URL"),
            _text("user", "User", optional=True),
            _secret("password", "Password", optional=True),
        ),
    ),
    _key("pineconeApi", "pineconeApiKey", "Pinecone"),
    _key("qdrantApi", "qdrantApiKey", "Qdrant"),
    CredentialKind(
        "redisCacheApi",
        "Redis",
        (
            _text("redisCacheHost", "Host"),
            CredentialField("redisCachePort", "Port", "number"),
            _text("redisCacheUser", "User", optional=True),
            _secret("redisCachePwd", "Password", optional=True),
        ),
    ),
    _key("redisCacheUrlApi", "redisUrl", "Redis URL", "URL"),
    _login("singleStoreApi", "SingleStore", "user", "password"),
    _key("supabaseApi", "supabaseApiKey", "Supabase"),
    CredentialKind(
        "upstashRedisApi",
        "Upstash Redis",
        (_text("upstashConnectionUrl", "REST URL"), _secret("upstashConnectionToken", "Token")),
    ),
    _key("upstashRedisMemoryApi", "upstashRestToken", "Upstash Redis Memory", "Token"),
    CredentialKind(
        "upstashVectorApi",
        "Upstash Vector",
        (_text("UPSTASH_VECTOR_REST_URL", "REST URL"), _secret("UPSTASH_VECTOR_REST_TOKEN", "Token")),
    ),
    _key("weaviateApi", "weaviateApiKey", "Weaviate"),
    _key("zepMemoryApi", "apiKey", "Zep"),
)
CREDENTIAL_KINDS: Mapping[str, CredentialKind] = {kind.name: kind for kind in (*MODELS, *SEARCHES, *WEB, *STORES)}

SHORTEST_HIDDEN = 8  # characters; anything shorter may be an ordinary word


def hidden_texts(kind: str, fields: Mapping[str, str]) -> frozenset[str]:
    """Of a credential's fields those that are secret, and what they are sent as beside a name.

    Of a kind that nobody knows, all are.
    """
    known = {field.name: field.kind for field in CREDENTIAL_KINDS[kind].fields} if kind in CREDENTIAL_KINDS else {}
    secret = {name: value for name, value in fields.items() if known.get(name, "password") in ("password", "json")}
    texts = {text for text in secret.values() if len(text) >= SHORTEST_HIDDEN}
    pairs = {f"{fields[name]}:{text}" for name in fields.keys() - secret.keys() for text in texts}
    return frozenset(texts | {b64encode(pair.encode()).decode() for pair in pairs})
