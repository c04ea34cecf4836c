from typing import Any

import orjson
import pytest

from engine.errors import FlowError, NodeError, NodeInputError, ProviderError
from engine.events import RunFinished
from engine.flow import parse_flow
from engine.nodes.mcp_tools import check_config, run_custom
from engine.providers.base import Tool
from engine.registry import load_registry
from engine.runner import run_flow
from tests.engine.mcp_server import ServedTools, mcp_server
from tests.engine.node_world import NodeWorld
from tests.engine.web_server import web_server
from tests.engine.wired import wired
from tests.model_server import ScriptedModel
from tests.model_wire import Reply


async def tools_of(nodes: NodeWorld, server: ServedTools, **inputs: Any) -> dict[str, Tool]:
    config = orjson.dumps({"url": server.url, "headers": {"Authorization": "Bearer k3y-k3y-k3y"}}).decode()
    tools = (await run_custom(nodes.context(), {"mcpServerConfig": config, **inputs})).value
    return {tool.spec.name: tool for tool in tools}


@pytest.mark.parametrize("speaks_events", [False, True], ids=["json", "events"])
async def test_a_servers_tools_are_listed_and_called(nodes: NodeWorld, speaks_events: bool) -> None:
    async with mcp_server(speaks_events=speaks_events) as server:
        tools = await tools_of(nodes, server)

        said = await tools["add"].call({"a": 2, "b": 3})

    assert list(tools) == ["add", "fail_loudly"]
    assert tools["add"].spec.description == "Adds two numbers."
    assert said == "5\n[image]"
    assert server.methods == ["initialize", "notifications/initialized", "tools/list", "tools/list", "tools/call"]


async def test_calls_carry_the_session_the_version_and_the_headers_of_the_config(nodes: NodeWorld) -> None:
    async with mcp_server() as server:
        await tools_of(nodes, server)

    first, last = server.received[0][0], server.received[-1][0]
    assert first["authorization"] == last["authorization"] == "Bearer k3y-k3y-k3y"
    assert last["mcp-session-id"] == server.sessions[0]
    assert last["mcp-protocol-version"] == "2025-06-18"
    assert "mcp-session-id" not in first


async def test_what_a_tool_calls_an_error_is_one(nodes: NodeWorld) -> None:
    async with mcp_server() as server:
        tools = await tools_of(nodes, server)

        with pytest.raises(NodeError, match="as I said"):
            await tools["fail_loudly"].call({})


async def test_a_forgotten_session_is_begun_anew(nodes: NodeWorld) -> None:
    async with mcp_server() as server:
        tools = await tools_of(nodes, server)
        server.sessions.clear()

        assert await tools["add"].call({"a": 1, "b": 1}) == "2\n[image]"


@pytest.mark.parametrize("actions", ['["add"]', ["add"], "add"])
async def test_only_the_chosen_tools_are_handed_on(nodes: NodeWorld, actions: Any) -> None:
    async with mcp_server() as server:
        assert list(await tools_of(nodes, server, mcpActions=actions)) == ["add"]


async def test_a_chosen_tool_that_is_gone_is_named(nodes: NodeWorld) -> None:
    async with mcp_server() as server:
        with pytest.raises(NodeInputError, match=r"no tool subtract\. It offers: add, fail\.loudly"):
            await tools_of(nodes, server, mcpActions=["add", "subtract"])


async def test_a_server_that_speaks_something_else_is_named(nodes: NodeWorld) -> None:
    async with web_server() as server:
        with pytest.raises(ProviderError, match="does not answer as an MCP server"):
            await run_custom(nodes.context(), {"mcpServerConfig": {"url": server.url}})


async def test_a_refusal_does_not_repeat_the_key(nodes: NodeWorld) -> None:
    async with web_server((403, "not with k3y-k3y-k3y")) as server:
        config = {"url": server.url, "headers": {"X-Key": "k3y-k3y-k3y"}}

        with pytest.raises(ProviderError, match="answered 403") as refused:
            await run_custom(nodes.context(), {"mcpServerConfig": config})

    assert "k3y-k3y" not in refused.value.message


@pytest.mark.parametrize("said", ["Bearer k3y-k3y-k3y", "k3y-k3y-k3y"])
async def test_an_error_of_the_protocol_does_not_repeat_the_key(nodes: NodeWorld, said: str) -> None:
    error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": f"not with {said}"}}
    async with web_server((200, orjson.dumps(error).decode())) as server:
        config = {"url": server.url, "headers": {"Authorization": "Bearer k3y-k3y-k3y"}}

        with pytest.raises(ProviderError, match="refused initialize: not with") as refused:
            await run_custom(nodes.context(), {"mcpServerConfig": config})

    assert "k3y-k3y" not in refused.value.message


STARTERS = [
    '{"command": "npx", "args": ["-y", "server"]}',
    "{command: 'python', // JSON5\n}",
    {"url": "https://example.org/mcp", "env": {"NODE_OPTIONS": "--require x"}},
    {"mcpServers": {"files": {"command": "docker"}}},
    {"url": "https://example.org/mcp", "cwd": "/"},
]


@pytest.mark.parametrize("config", STARTERS)
async def test_a_config_that_starts_a_program_is_refused(nodes: NodeWorld, config: Any) -> None:
    with pytest.raises(NodeInputError, match="would start a program"):
        check_config({"mcpServerConfig": config})
    with pytest.raises(NodeInputError, match="would start a program"):
        await run_custom(nodes.context(), {"mcpServerConfig": config})


@pytest.mark.parametrize(
    "config",
    [
        "",
        "(() => ({url: 'x'}))()",
        "[]",
        {},
        {"url": 7},
        {"url": "http://127.0.0.1:1", "headers": "x"},
        {"url": "ftp://x"},
    ],
)
async def test_a_config_that_says_nowhere_is_refused(nodes: NodeWorld, config: Any) -> None:
    with pytest.raises(NodeInputError, match=r"mcpServerConfig|A URL must begin"):
        await run_custom(nodes.context(), {"mcpServerConfig": config})


async def test_other_clients_way_to_write_it_is_read(nodes: NodeWorld) -> None:
    async with mcp_server() as server:
        config = {"mcpServers": {"adder": {"url": server.url}}}

        tools = (await run_custom(nodes.context(), {"mcpServerConfig": config})).value

    assert [tool.spec.name for tool in tools] == ["add", "fail_loudly"]


def agent_with(config: str, model_url: str) -> str:
    return wired(
        ("chatOpenAI_0", "toolAgent_0", "model"),
        ("customMCP_0", "toolAgent_0", "tools"),
        customMCP_0={"mcpServerConfig": config},
        chatOpenAI_0={"basepath": model_url, "modelName": "m"},
        toolAgent_0={"model": "{{chatOpenAI_0.data.instance}}", "tools": ["{{customMCP_0.data.instance}}"]},
    )


async def test_an_agent_uses_a_servers_tool(nodes: NodeWorld, model: ScriptedModel) -> None:
    model.script(Reply(tool_calls=[("add", {"a": 2, "b": 2})]), "Four.")
    async with mcp_server() as server:
        flow = parse_flow(agent_with(orjson.dumps({"url": server.url}).decode(), model.url))
        request = nodes.context("2+2?").request

        events = [event async for event in run_flow(flow, request, nodes.world, registry=load_registry())]

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "Four."
    assert '"4\\n[image]"' in orjson.dumps(model.requests[1].body).decode()


async def test_a_flow_that_would_start_a_program_does_not_begin(nodes: NodeWorld, model: ScriptedModel) -> None:
    flow = parse_flow(agent_with('{"command": "npx"}', model.url))
    request = nodes.context("2+2?").request

    with pytest.raises(FlowError, match="would start a program"):
        [event async for event in run_flow(flow, request, nodes.world, registry=load_registry())]

    assert model.requests == []
