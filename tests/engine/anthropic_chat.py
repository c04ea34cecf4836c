"""Anthropic's chat model at a scripted server, and no connection of it left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langchain_anthropic import _client_utils

from engine.nodes.anthropic import run_chat
from engine.providers.langchain import LangChainChatModel
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.model_server import ScriptedModel

KEY = "sk-ant-api03-secret"


@asynccontextmanager
async def anthropic_chat(nodes: NodeWorld, model: ScriptedModel, **inputs: Any) -> AsyncIterator[LangChainChatModel]:
    """The model of a node with these inputs. Its package would keep the connections as long as the process lives."""
    nodes.credentials = MemoryCredentials({"c1": {"anthropicApiKey": KEY}, "none": {}})
    given = {"modelName": "claude-test", "baseUrl": model.root, **inputs}
    chat: Any = (await run_chat(nodes.context(credential="c1"), given)).value
    try:
        yield chat
    finally:
        await chat._model._async_client.close()
        # Another test's server may get the same port.
        _client_utils._get_default_async_httpx_client.cache_clear()
