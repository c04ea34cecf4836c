"""Flows as the canvas exports them, drawn by hand: the least of each kind that runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

Node = dict[str, Any]


def classic(node_id: str, category: str, inputs: Mapping[str, Any], *classes: str, **data: Any) -> Node:
    """A node of a chatflow; its type is the id without its number."""
    name = node_id.rpartition("_")[0]
    fields = {"id": node_id, "label": name, "name": name, "version": 1, "category": category}
    outputs = {"type": classes[0], "baseClasses": list(classes), "inputs": dict(inputs), "outputs": {}}
    return {"id": node_id, "type": "customNode", "position": {"x": 0, "y": 0}, "data": {**fields, **outputs, **data}}


def step(node_id: str, label: str, inputs: Mapping[str, Any], **data: Any) -> Node:
    """A node of an AgentFlow v2."""
    fields = {"id": node_id, "label": label, "name": node_id.rpartition("_")[0], "category": "Agent Flows"}
    return {
        "id": node_id,
        "type": "agentFlow",
        "position": {"x": 0, "y": 0},
        "data": {**fields, "version": 1, "inputs": dict(inputs), "outputs": {}, **data},
    }


def wire(source: str, target: str, anchor: str) -> dict[str, str]:
    """An edge of a chatflow, to the target's input `anchor`."""
    name = source.rpartition("_")[0]
    return {
        "id": f"{source}-{target}-{anchor}",
        "source": source,
        "target": target,
        "sourceHandle": f"{source}-output-{name}-Any",
        "targetHandle": f"{target}-input-{anchor}-Any",
        "type": "buttonedge",
    }


def path(*node_ids: str) -> list[dict[str, Any]]:
    """Edges of an AgentFlow v2 from each node to the next."""
    return [
        {
            "id": f"{source}-{target}",
            "source": source,
            "target": target,
            "sourceHandle": f"{source}-output-{source.rpartition('_')[0]}",
            "targetHandle": target,
            "type": "agentFlow",
        }
        for source, target in pairwise(node_ids)
    ]


def branch(source: str, number: int, target: str) -> dict[str, Any]:
    """An edge of an AgentFlow v2 from one of the ways out of a decision."""
    [edge] = path(source, target)
    return {**edge, "id": f"{source}-{number}-{target}", "sourceHandle": f"{source}-output-{number}"}


def flow(nodes: Sequence[Node], edges: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"nodes": nodes, "edges": edges, "viewport": {"x": 0, "y": 0, "zoom": 1}})


def chat_model(model_url: str, **inputs: Any) -> Node:
    given = {"modelName": "scripted", "basepath": model_url, "streaming": True, **inputs}
    credential = given.pop("credential", "")
    return classic("chatOpenAI_0", "Chat Models", given, "ChatOpenAI", "BaseChatModel", credential=credential)


def conversation(model_url: str, **model_inputs: Any) -> str:
    """Chat model, buffer memory, conversation chain."""
    chain = {
        "model": "{{chatOpenAI_0.data.instance}}",
        "memory": "{{bufferMemory_0.data.instance}}",
        "systemMessagePrompt": "You are the house's own secret persona.",
    }
    return flow(
        [
            chat_model(model_url, **model_inputs),
            classic("bufferMemory_0", "Memory", {}, "BufferMemory", "BaseMemory", label="Buffer Memory"),
            classic("conversationChain_0", "Chains", chain, "ConversationChain", "BaseChain"),
        ],
        [
            wire("chatOpenAI_0", "conversationChain_0", "model"),
            wire("bufferMemory_0", "conversationChain_0", "memory"),
        ],
    )


def llm_step(model_url: str, node_id: str = "llmAgentflow_0", label: str = "Ask", **inputs: Any) -> Node:
    config = {"modelName": "scripted", "basepath": model_url, "streaming": True, "llmModel": "chatOpenAI"}
    config |= inputs.pop("llmModelConfig", {})
    given = {"llmModel": "chatOpenAI", "llmModelConfig": config, "llmMessages": [], "llmEnableMemory": True, **inputs}
    return step(node_id, label, given)


def tool_agent(model_url: str, tool_id: str) -> str:
    """Start and one agent, which has a tool that its workspace keeps."""
    tools = [{"agentSelectedTool": "customTool", "agentSelectedToolConfig": {"selectedTool": tool_id}}]
    config = {"modelName": "scripted", "basepath": model_url, "agentModel": "chatOpenAI"}
    inputs = {"agentModel": "chatOpenAI", "agentModelConfig": config, "agentMessages": [], "agentTools": tools}
    nodes = [start(), step("agentAgentflow_0", "Agent", inputs)]
    return flow(nodes, path("startAgentflow_0", "agentAgentflow_0"))


def agentflow(model_url: str, **start: Any) -> str:
    """Start and one LLM, which remembers."""
    return flow(
        [step("startAgentflow_0", "Start", {"startInputType": "chatInput", **start}), llm_step(model_url)],
        path("startAgentflow_0", "llmAgentflow_0"),
    )


def reply_flow(model_url: str) -> str:
    """Start, an LLM whose tokens nobody sees, a direct reply."""
    reply = step("directReplyAgentflow_0", "Reply", {"directReplyMessage": "So: {{ llmAgentflow_0 }}"})
    ids = ("startAgentflow_0", "llmAgentflow_0", "directReplyAgentflow_0")
    return flow(
        [step("startAgentflow_0", "Start", {"startInputType": "chatInput"}), llm_step(model_url), reply], path(*ids)
    )


def start(**inputs: Any) -> Node:
    return step("startAgentflow_0", "Start", {"startInputType": "chatInput", **inputs})


def reply(number: int, text: str) -> Node:
    return step(f"directReplyAgentflow_{number}", f"Reply {number}", {"directReplyMessage": text})


def human(number: int = 0, **inputs: Any) -> Node:
    """A person is asked."""
    given = {"humanInputDescriptionType": "fixed", "humanInputDescription": "Send it?", **inputs}
    return step(f"humanInputAgentflow_{number}", f"Approval {number}", given)


def approval_flow(yes: str, no: str = "Not sent", **start_inputs: Any) -> str:
    """Start, a person, and a reply for each of their answers."""
    nodes = [start(**start_inputs), human(), reply(0, yes), reply(1, no)]
    edges = [
        *path("startAgentflow_0", "humanInputAgentflow_0"),
        branch("humanInputAgentflow_0", 0, "directReplyAgentflow_0"),
        branch("humanInputAgentflow_0", 1, "directReplyAgentflow_1"),
    ]
    return flow(nodes, edges)


def waiting_flow(name: str, inputs: dict[str, Any], in_time: str, late: str = "Too late") -> str:
    """Start, a node that waits, a reply for what it waits for, and one for the end of its time."""
    waits = step(f"{name}_0", name, inputs)
    nodes = [start(), waits, reply(0, in_time), reply(1, late)]
    edges = [
        *path("startAgentflow_0", waits["id"]),
        branch(waits["id"], 0, "directReplyAgentflow_0"),
        branch(waits["id"], 1, "directReplyAgentflow_1"),
    ]
    return flow(nodes, edges)


FORM = {
    "startInputType": "formInput",
    "formTitle": "Book a table",
    "formDescription": "Tell us when.",
    "formInputTypes": [
        {"type": "string", "label": "Name", "name": "name", "addOptions": ""},
        {"type": "number", "label": "Guests", "name": "guests", "addOptions": ""},
        {"type": "options", "label": "Meal", "name": "meal", "addOptions": [{"option": "lunch"}, {"option": "dinner"}]},
    ],
}


def form_flow(model_url: str) -> str:
    """A form whose values a model is told."""
    told = [{"role": "user", "content": "A table for {{ $form.guests }}, {{ $form.name }}, {{ $form.meal }}"}]
    return flow(
        [step("startAgentflow_0", "Start", FORM), llm_step(model_url, llmMessages=told, llmEnableMemory=False)],
        path("startAgentflow_0", "llmAgentflow_0"),
    )


def started_by(kind: str) -> str:
    """A flow that only something else than a message starts."""
    return flow([step("startAgentflow_0", "Start", {"startInputType": kind})], [])


def unknown_types() -> str:
    """A conversation chain that needs two node types that nobody has."""
    chain = {"model": "{{chatMoonbeam_0.data.instance}}", "memory": "{{lunarMemory_0.data.instance}}"}
    return flow(
        [
            classic("chatMoonbeam_0", "Chat Models", {}, "ChatMoonbeam", "BaseChatModel"),
            classic("lunarMemory_0", "Memory", {}, "LunarMemory", "BaseMemory"),
            classic("conversationChain_0", "Chains", chain, "ConversationChain", "BaseChain"),
        ],
        [
            wire("chatMoonbeam_0", "conversationChain_0", "model"),
            wire("lunarMemory_0", "conversationChain_0", "memory"),
        ],
    )
