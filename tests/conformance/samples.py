"""Inputs with which each node type can run, and nothing to run it on but fakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.memories import Memory
from engine.nodes.chains import Chain
from engine.parsers import list_parser
from engine.plan import with_defaults
from engine.prompts import Prompt
from engine.providers.base import ChatModel
from engine.spec import NodeSpec, Param
from engine.tools import text_tool
from tests.engine.node_world import NodeWorld

CREDENTIAL = "c1"
# What cannot be guessed from a spec: the least that makes sense.
SAMPLES: Mapping[str, Mapping[str, Any]] = {
    "advancedStructuredOutputParser": {"exampleJson": "z.object({ title: z.string() })"},
    "conditionAgentflow": {"conditions": [{"type": "string", "value1": "a", "operation": "equal", "value2": "a"}]},
    "fewShotPromptTemplate": {"examples": '[{"topic": "rain"}]'},
    "structuredOutputParser": {"jsonStructure": [{"property": "title", "type": "string"}]},
}


async def shout(text: str) -> str:
    return text.upper()


def sample_inputs(spec: NodeSpec, nodes: NodeWorld, model: ChatModel) -> dict[str, Any]:
    """Defaults, fakes for its required anchors, and a text for its required fields."""
    required = {param.name: _fake(param, nodes, model) for param in spec.params if not param.optional}
    return {**required, **with_defaults(spec, {}), **SAMPLES.get(spec.name, {})}


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
        case "Tool":
            return [text_tool("shout", "Shouts.", shout)]
        case "asyncOptions" if param.name.endswith("Model"):
            return "fakeChat"
        case "credential":
            return CREDENTIAL
        case "string" if "url" in param.name.lower() or "basepath" in param.name.lower() or param.name == "apiBase":
            return "http://127.0.0.1:1"
        case _ if param.is_anchor:
            raise AssertionError(f"tests/conformance/samples.py has no fake for {param.kind!r}: add one")
        case _:
            return "text"
