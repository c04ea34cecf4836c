"""Tools of MCP servers, over HTTP alone: a flow starts no programs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.mcp import McpServer, ServerTool
from engine.nodes import values
from engine.providers.base import Tool
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.tools import FunctionTool

STARTS_PROGRAM = ("command", "args", "env", "cwd")
MAX_OUTPUT = 20_000  # characters of an answer that a model is shown

CUSTOM = NodeSpec(
    name="customMCP",
    label="Custom MCP",
    version=1.1,
    category="Tools (MCP)",
    base_classes=("Custom MCP Tool", "Tool"),
    help="The tools of an MCP server that is reached over Streamable HTTP. Servers that would be started are refused.",
    params=(
        Param(
            "mcpServerConfig",
            "code",
            "MCP Server Config",
            variables=True,
            help='Where the server is: {"url": "https://example.org/mcp", "headers": {"Authorization": "Bearer ..."}}.',
        ),
        Param("mcpActions", "asyncMultiOptions", "Available Actions", optional=True, help="Which tools; all of them."),
    ),
    role="component",
)


def check_config(inputs: Inputs) -> None:
    """Raises NodeInputError for a server that would have to be started here."""
    _config(inputs)


async def run_custom(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Ask the server for its tools. Raises NodeInputError for a config without a URL, or for tools that it lacks."""
    config = _config(inputs)
    url = config.get("url")
    if not isinstance(url, str) or not url:
        raise NodeInputError('mcpServerConfig must say where the server is: {"url": "https://..."}.')
    headers = config.get("headers") or {}
    if not isinstance(headers, Mapping):
        raise NodeInputError("The headers in mcpServerConfig must be a JSON object.")
    server = McpServer(url, ctx.world.http, values.headers(headers))
    offered = await server.tools()
    tools: list[Tool] = [FunctionTool(one.spec, _caller(server, one)) for one in _chosen(inputs, offered)]
    return NodeResult(value=tools)


def _caller(server: McpServer, tool: ServerTool) -> Callable[[Mapping[str, Any]], Awaitable[str]]:
    async def call(arguments: Mapping[str, Any]) -> str:
        return (await server.call(tool.name, arguments))[:MAX_OUTPUT]

    return call


def _config(inputs: Inputs) -> Mapping[str, Any]:
    """The config, as an object or as JSON that people have typed; also as other clients have it, below `mcpServers`."""
    given = inputs.get("mcpServerConfig")
    if isinstance(given, str):
        try:
            given = values.lenient(given) if given.strip() else None
        except ValueError as exc:
            raise NodeInputError('mcpServerConfig must be JSON such as {"url": "https://example.org/mcp"}.') from exc
    if not isinstance(given, Mapping):
        raise NodeInputError('mcpServerConfig must be an object such as {"url": "https://example.org/mcp"}.')
    servers = given.get("mcpServers")
    if isinstance(servers, Mapping):
        if len(servers) != 1:
            raise NodeInputError("mcpServerConfig names several servers: add a Custom MCP node for each.")
        (given,) = servers.values()
    if not isinstance(given, Mapping):
        raise NodeInputError("A server in mcpServerConfig must be an object with a URL.")
    if any(name in given for name in STARTS_PROGRAM):
        raise NodeInputError(
            "mcpServerConfig would start a program on this server, which flows may not do. Run the MCP server "
            'somewhere by itself, with Streamable HTTP, and give its address: {"url": "https://..."}.'
        )
    return given


def _chosen(inputs: Inputs, offered: list[ServerTool]) -> list[ServerTool]:
    wanted = _names(inputs)
    if missing := [name for name in wanted if name not in {tool.name for tool in offered}]:
        known = ", ".join(tool.name for tool in offered) or "none"
        raise NodeInputError(f"The MCP server has no tool {', '.join(missing)}. It offers: {known}.")
    return [tool for tool in offered if not wanted or tool.name in wanted]


def _names(inputs: Inputs) -> list[str]:
    given = inputs.get("mcpActions") or []
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except ValueError:
            given = given.split(",")
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise NodeInputError("mcpActions must be a list of the names of tools.")
    return [name.strip() for name in given if name.strip()]


NODES = (NodeType(CUSTOM, run_custom, check=check_config),)
