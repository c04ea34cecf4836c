"""How node types are found: a literal tuple of families, then what installed packages offer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points

from engine.errors import EngineError, MissingTypes
from engine.nodes import (
    agentflow_agent,
    agentflow_condition_agent,
    agentflow_function,
    agentflow_http,
    agentflow_human_input,
    agentflow_llm,
    agentflow_retriever,
    agentflow_tool,
    agents,
    anthropic,
    api_chains,
    bedrock,
    caches,
    called_flows,
    chains,
    conditions,
    confluence,
    csv_agent,
    custom_tools,
    document_stores,
    embeddings,
    engines,
    file_loaders,
    github,
    gmail_tools,
    iterations,
    lookup_tools,
    loops,
    mcp_tools,
    memories,
    models,
    moderations,
    multi_agents,
    notes,
    notion,
    openai_assistant,
    openapi_tools,
    parsers,
    prompt_routing,
    prompts,
    record_managers,
    replicate,
    replies,
    request_tools,
    rerankers,
    retrieval_chains,
    retrievers,
    search_tools,
    sequential_agents,
    sequential_calls,
    sequential_conditions,
    sequential_models,
    sequential_state,
    splitters,
    sql_chain,
    start,
    tools,
    utilities,
    vector_stores,
    vertex,
    waits,
    web_loaders,
    web_tools,
)
from engine.spec import NodeType

FAMILIES = (
    agentflow_agent.NODES,
    agentflow_condition_agent.NODES,
    agentflow_function.NODES,
    agentflow_http.NODES,
    agentflow_human_input.NODES,
    agentflow_llm.NODES,
    agentflow_retriever.NODES,
    agentflow_tool.NODES,
    agents.NODES,
    anthropic.NODES,
    api_chains.NODES,
    bedrock.NODES,
    caches.NODES,
    called_flows.NODES,
    chains.NODES,
    conditions.NODES,
    confluence.NODES,
    csv_agent.NODES,
    custom_tools.NODES,
    document_stores.NODES,
    embeddings.NODES,
    engines.NODES,
    file_loaders.NODES,
    github.NODES,
    gmail_tools.NODES,
    iterations.NODES,
    lookup_tools.NODES,
    loops.NODES,
    mcp_tools.NODES,
    memories.NODES,
    models.NODES,
    moderations.NODES,
    multi_agents.NODES,
    notes.NODES,
    notion.NODES,
    openai_assistant.NODES,
    openapi_tools.NODES,
    parsers.NODES,
    prompt_routing.NODES,
    prompts.NODES,
    record_managers.NODES,
    replicate.NODES,
    replies.NODES,
    request_tools.NODES,
    rerankers.NODES,
    retrieval_chains.NODES,
    retrievers.NODES,
    search_tools.NODES,
    sequential_agents.NODES,
    sequential_calls.NODES,
    sequential_conditions.NODES,
    sequential_models.NODES,
    sequential_state.NODES,
    splitters.NODES,
    sql_chain.NODES,
    start.NODES,
    tools.NODES,
    utilities.NODES,
    vector_stores.NODES,
    vertex.NODES,
    waits.NODES,
    web_loaders.NODES,
    web_tools.NODES,
)
ENTRY_POINTS = "forjinn.nodes"  # each names a tuple of NodeTypes


class Registry:
    """The node types of one server, by name."""

    def __init__(self, types: Iterable[NodeType]) -> None:
        """Raises EngineError if two types have one name: which of them runs must not depend on an order."""
        self._types: dict[str, NodeType] = {}
        for node_type in types:
            name = node_type.spec.name
            if name in self._types:
                raise EngineError(f"Two node types are named {name!r}: rename one, or uninstall the package it is in.")
            self._types[name] = node_type
        # Whatever the level it stands on, a param of such a name is never shown. What is a secret of one type and plain
        # at others (`url`) is hidden where that type runs.
        plain = {param.name for node_type in self for param in node_type.spec.params if param.kind != "password"}
        secret = frozenset().union(*(node_type.spec.secrets for node_type in self))
        self.secrets = frozenset({"credential", "FLOWISE_CREDENTIAL_ID"}) | (secret - plain)

    def get(self, name: str) -> NodeType | None:
        return self._types.get(name)

    def require(self, names: Iterable[str]) -> None:
        """Raises MissingTypes with all names of which there is no type here."""
        if missing := [name for name in names if name not in self._types]:
            raise MissingTypes(missing)

    def __contains__(self, name: str) -> bool:
        return name in self._types

    def __iter__(self) -> Iterator[NodeType]:
        return iter(self._types.values())

    def __len__(self) -> int:
        return len(self._types)


def load_registry() -> Registry:
    """All built-in types and those of installed packages. Raises EngineError if two have one name."""
    types = [node_type for family in FAMILIES for node_type in family]
    for entry_point in entry_points(group=ENTRY_POINTS):
        types += entry_point.load()
    return Registry(types)
