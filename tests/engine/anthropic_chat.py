"""Anthropic's chat model at a scripted server."""

from __future__ import annotations

from typing import Any

from engine.nodes.anthropic import run_chat
from engine.providers.langchain import LangChainChatModel
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.model_server import ScriptedModel

KEY = "sk-ant-api03-secret"


async def anthropic_chat(nodes: NodeWorld, model: ScriptedModel, **inputs: Any) -> LangChainChatModel:
    """The model of a node with these inputs."""
    nodes.credentials = MemoryCredentials({"c1": {"anthropicApiKey": KEY}, "none": {}})
    given = {"modelName": "claude-test", "baseUrl": model.root, **inputs}
    chat: LangChainChatModel = (await run_chat(nodes.context(credential="c1"), given)).value
    return chat
