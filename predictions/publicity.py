"""What a public page may know of a flow: the widget's own settings, and the start node's form. Nothing else leaves.

The rest of `flowData` (prompts, headers, credential ids) is not filtered out but never taken in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from chatflows.records import FlowRecord

PRIVATE_KEYS = frozenset({"allowedOrigins", "allowedOriginsError", "postProcessing"})
START_FIELDS = ("startInputType", "formTitle", "formDescription", "formInputTypes")
IMAGE_TYPES = ["image/gif", "image/jpeg", "image/png", "image/webp"]
IMAGE_NODES = frozenset(
    ["llmChain", "conversationChain", "reactAgentChat", "conversationalAgent", "toolAgent", "supervisor", "seqStart"]
)


def public_config(flow: FlowRecord, flow_data: str) -> dict[str, Any]:
    """The body of `/public-chatbotConfig/{id}`."""
    config = {key: value for key, value in flow.chatbot_config.items() if key not in PRIVATE_KEYS}
    if isinstance(prompts := config.get("followUpPrompts"), Mapping):
        config["followUpPrompts"] = {"status": prompts.get("status", False)}
    nodes = [node.get("data") or {} for node in orjson.loads(flow_data).get("nodes", []) if isinstance(node, dict)]
    return {
        **config,
        "uploads": uploads(nodes),
        "flowData": orjson.dumps({"nodes": _start_nodes(nodes), "edges": []}).decode(),
        "isTTSEnabled": False,
    }


def uploads(nodes: list[dict[str, Any]]) -> dict[str, Any]:
    """Which files a visitor may attach."""
    allows_images = any(_allows_images(node) for node in nodes)
    is_agentflow = any(str(node.get("name", "")).endswith("Agentflow") for node in nodes)
    has_image_chain = is_agentflow or any(node.get("name") in IMAGE_NODES for node in nodes)
    can = allows_images and has_image_chain
    return {
        "isSpeechToTextEnabled": False,
        "isImageUploadAllowed": can,
        "isRAGFileUploadAllowed": False,
        "imgUploadSizeAndTypes": [{"fileTypes": IMAGE_TYPES, "maxUploadSize": 5}] if can else [],
        "fileUploadSizeAndTypes": [],
    }


def _allows_images(node: Mapping[str, Any]) -> bool:
    inputs = node.get("inputs") or {}
    candidates = [
        inputs,
        *(value for key, value in inputs.items() if key.endswith("ModelConfig") and isinstance(value, dict)),
    ]
    return any(candidate.get("allowImageUploads") in (True, "true") for candidate in candidates)


def _start_nodes(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    starts = []
    for data in nodes:
        if data.get("name") == "startAgentflow":
            inputs = data.get("inputs") or {}
            shown = {name: inputs[name] for name in START_FIELDS if name in inputs}
            starts.append(
                {"id": data.get("id"), "type": "agentFlow", "data": {"name": "startAgentflow", "inputs": shown}}
            )
    return starts
