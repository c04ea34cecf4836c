"""Inputs with which each node type can run, and nothing to run it on but fakes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from engine.answering import RetrievalChain
from engine.documents import FunctionSource
from engine.memories import Memory
from engine.nodes.chains import Chain
from engine.nodes.engines import EngineTool
from engine.nodes.prompt_routing import Part
from engine.parsers import list_parser
from engine.plan import with_defaults
from engine.prompts import Prompt
from engine.providers.base import ChatModel, Document, ToolSpec
from engine.providers.fake import FakeEmbedder
from engine.retrieval import StoreRetriever
from engine.spec import NodeSpec, Param
from engine.tools import text_tool
from engine.vectors import EmbeddedStore, MemoryIndex
from tests.engine.node_world import NodeWorld

CREDENTIAL = "c1"


async def one_document() -> list[Document]:
    return [Document("Snow is white.")]


STATE = {"text": "what a variable of this name holds"}
OPENAPI = (
    "data:application/yaml;base64,"
    + b64encode(
        b'{"openapi": "3.0.0", "servers": [{"url": "http://127.0.0.1:1"}], "paths": {"/x": {"get": {}}}}'
    ).decode()
)
DOCUMENTS = FunctionSource("documents", one_document)
# What cannot be guessed from a spec: the least that makes sense.
SAMPLES: Mapping[str, Mapping[str, Any]] = {
    "advancedStructuredOutputParser": {"exampleJson": "z.object({ title: z.string() })"},
    "customFunction": {"javascriptFunction": "return $input"},
    "customFunctionAgentflow": {"customFunctionJavascriptFunction": "return $input"},
    "customTool": {"customToolFunc": "return $text", "customToolSchema": '[{"property": "text"}]'},
    "ifElseFunction": {"ifFunction": "return $input"},
    "setVariable": {"input": "kept"},
    "conditionAgentflow": {"conditions": [{"type": "string", "value1": "a", "operation": "equal", "value2": "a"}]},
    "conditionAgentAgentflow": {"conditionAgentScenarios": [{"scenario": "yes"}, {"scenario": "no"}]},
    "executeFlowAgentflow": {"executeFlowSelectedFlow": "f2"},
    "iterationAgentflow": {"iterationInput": '["one", "two"]'},
    "documentStore": {"selectedStore": "1:Papers"},
    "documentStoreVS": {"selectedStore": "1:Papers"},
    "retrieverAgentflow": {"retrieverKnowledgeDocumentStores": [{"documentStore": "1:Papers"}]},
    "waitForEventAgentflow": {"waitEventName": "paid"},
    "askUserAgentflow": {"askQuestion": "Who are you?"},
    "sleepAgentflow": {"sleepFor": "1h"},
    "openAPIToolkit": {"yamlFile": OPENAPI},
    "openApiChain": {"yamlFile": OPENAPI, "yamlLink": ""},
    "toolAgentflow": {
        "toolAgentflowSelectedTool": "shout",
        "toolInputArgs": [{"inputArgName": "input", "inputArgValue": "hey"}],
    },
    "fewShotPromptTemplate": {"examples": '[{"topic": "rain"}]'},
    "github": {"repoLink": "https://github.com/owner/name", "githubInstanceApi": "http://127.0.0.1:1"},
    "notionDB": {"databaseId": "b34ca03f219c4420a6046fc4bdfdf7b4"},
    "notionPage": {"pageId": "b34ca03f219c4420a6046fc4bdfdf7b4"},
    "memoryVectorStore": {"document": [DOCUMENTS]},
    "faiss": {"document": [DOCUMENTS]},
    "seqCustomFunction": {"javascriptFunction": "return 'done'"},
    "seqAgent": {"systemMessagePrompt": "Be kind."},
    "seqConditionAgent": {"systemMessagePrompt": "Be kind."},
    "seqLLMNode": {"systemMessagePrompt": "Be kind."},
    "seqLoop": {"target": "seqAgent_0"},
    "replicate": {"model": "meta/meta-llama-3-8b-instruct"},
    "openAIAssistant": {"selectedAssistant": {"model": "gpt-4o-mini"}},
    "sqlDatabaseChain": {"url": "postgresql://u:p@db.example.org/shop", "customPrompt": "```SELECT 1``` {input}"},
    "structuredOutputParser": {"jsonStructure": [{"property": "title", "type": "string"}]},
    "worker": {"target": "supervisor_0"},
}


async def shout(text: str) -> str:
    return text.upper()


def sample_inputs(spec: NodeSpec, nodes: NodeWorld, model: ChatModel) -> dict[str, Any]:
    """Defaults, fakes for its required anchors, and a text for its required fields."""
    nodes.components["shout"] = text_tool("shout", "Shouts.", shout)
    required = {param.name: _fake(param, nodes, model) for param in spec.params if not param.optional}
    shared = {"model": model} if spec.role == "member" else {}  # members have the model of the first one
    return {**shared, **required, **with_defaults(spec, {}), **SAMPLES.get(spec.name, {})}


def _fake(param: Param, nodes: NodeWorld, model: ChatModel) -> Any:
    match param.kind:
        case "BaseChatModel" | "BaseLanguageModel":
            return model
        case "BaseMemory" | "BaseChatMemory":
            return Memory(nodes.history)
        case "BasePromptTemplate" | "ChatPromptTemplate" | "PromptTemplate":
            return Prompt((("user", "About {topic}"),))
        case "BaseLLMOutputParser":
            return list_parser(length=None, separator=",", autofix=False)
        case "BaseChain":
            return Chain(model, Prompt((("user", "{input}"),)))
        case "BaseRetriever" | "VectorStoreRetriever" | "VectorIndexRetriever":
            return StoreRetriever(EmbeddedStore(MemoryIndex(), FakeEmbedder()), model=model, name="all")
        case "BaseQueryEngine":
            return RetrievalChain(StoreRetriever(EmbeddedStore(MemoryIndex(), FakeEmbedder())), model, "{context}")
        case "QueryEngineTool":
            chain = RetrievalChain(StoreRetriever(EmbeddedStore(MemoryIndex(), FakeEmbedder())), model, "{context}")
            return [EngineTool(ToolSpec("look_up", "Looks it up.", {}), chain)]
        case "VectorStore":
            return EmbeddedStore(MemoryIndex(), FakeEmbedder())
        case "Embeddings" | "BaseEmbedding_LlamaIndex":
            return FakeEmbedder()
        case "BaseChatModel_LlamaIndex":
            return model
        case "file":
            return "data:text/plain;base64,aGVsbG8=,filename:hello.txt"
        case "string" if param.name == "apiDocs":
            return f'{{"url": "{nodes.web_url}/all", "data": {{}}}}'
        case "PromptRetriever":
            return [Part("poet", "Poems.", "You are a poet.")]
        case "code" if param.name == "mcpServerConfig":
            return {"url": nodes.mcp_url}
        case "Tool" | "Tool_LlamaIndex":
            return [text_tool("shout", "Shouts.", shout)]
        case "LLMNode" | "Supervisor":
            return ["node_1"]
        case kind if " | " in kind:
            return ["node_1"]
        case "asyncOptions" if param.name.endswith("Model"):
            return "fakeChat"
        case "credential":
            return CREDENTIAL
        case "string" if "url" in param.name.lower() or "basepath" in param.name.lower() or param.name == "apiBase":
            return nodes.web_url
        case _ if param.is_anchor:
            raise AssertionError(f"tests/conformance/samples.py has no fake for {param.kind!r}: add one")
        case _:
            return "text"
