"""C4: nothing that a flow says starts a program: it is told when the flow is saved, and refused when it runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.errors import FlowError, NodeInputError
from engine.flow import parse_flow
from engine.nodes.mcp_tools import run_custom
from engine.registry import load_registry
from engine.runner import run_flow
from tests.cast import Api
from tests.engine.node_world import NodeWorld
from tests.predictions import drawing
from tests.security.source import calls, imports

PROGRAMS = {
    "text": '{"command": "npx", "args": ["-y", "some-package"]}',
    "object": {"command": "npx", "args": ["-y", "some-package"]},
    "json5": "{command: 'python', // as people type it\n args: ['-c', 'import os'],}",
    "single quotes": "{'command': 'sh'}",
    "escaped": '{"\\u0063ommand": "sh"}',
    "docker": {"command": "docker", "args": ["build", "https://collector.test/context.git"]},
    "nested": {"mcpServers": {"files": {"command": "docker"}}},
    "nested text": '{"mcpServers": {"files": {"command": "npx", "args": ["--yes", "package"]}}}',
    "with a url": {"url": "https://example.org/mcp", "command": "sh"},
    "environment": {"url": "https://example.org/mcp", "env": {"NODE_OPTIONS": "--require /tmp/x"}},
    "small letters": {"url": "https://example.org/mcp", "env": {"node_options": "x", "npm_config_yes": "true"}},
    "folder": {"url": "https://example.org/mcp", "cwd": "/"},
    "arguments": {"url": "https://example.org/mcp", "args": ["--inspect"]},
}
ODD = {
    "javascript": "(() => ({ url: process.env.SECRET_KEY }))()",
    "function": "new Function('return {}')()",
    "a file": {"url": "file:///bin/sh"},
    "stdio": {"url": "stdio:///bin/sh"},
    "a list": [{"command": "sh"}],
    "capitals": {"Command": "sh"},
    "with a blank": {"command ": "sh"},
}
# Where programs are started: the sandbox's guest, and the services of `manage.py run`, for the operator.
STARTERS = {"engine/sandbox/process.py", "forjinn/embedded/processes.py", "forjinn/embedded/start.py"}
STARTING = {
    *("subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_output", "subprocess.check_call"),
    *("os.system", "os.popen", "os.fork", "os.execv", "os.execve", "os.execvp", "os.execvpe", "os.spawnv", "pty.spawn"),
    *("os.posix_spawn", "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"),
}


def agent_with(config: Any) -> str:
    """A chain's agent with the tools of such a server."""
    model = drawing.chat_model("http://127.0.0.1:1/v1")
    tools = drawing.classic("customMCP_0", "Tools (MCP)", {"mcpServerConfig": config}, "Custom MCP Tool", "Tool")
    inputs = {"model": "{{chatOpenAI_0.data.instance}}", "tools": ["{{customMCP_0.data.instance}}"]}
    agent = drawing.classic("toolAgent_0", "Agents", inputs, "AgentExecutor")
    wires = [drawing.wire("chatOpenAI_0", "toolAgent_0", "model"), drawing.wire("customMCP_0", "toolAgent_0", "tools")]
    return drawing.flow([model, tools, agent], wires)


def agentflow_with(config: Any) -> str:
    """An agent node that chose the tools of such a server."""
    chosen = {"agentSelectedTool": "customMCP", "agentSelectedToolConfig": {"mcpServerConfig": config}}
    model = {"modelName": "m", "basepath": "http://127.0.0.1:1/v1", "agentModel": "chatOpenAI"}
    inputs = {"agentModel": "chatOpenAI", "agentModelConfig": model, "agentMessages": [], "agentTools": [chosen]}
    nodes = [drawing.start(), drawing.step("agentAgentflow_0", "Agent", inputs)]
    return drawing.flow(nodes, drawing.path("startAgentflow_0", "agentAgentflow_0"))


@pytest.mark.parametrize("config", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("drawn", [agent_with, agentflow_with])
def test_a_saved_flow_that_would_start_a_program_is_told_so(api: Api, drawn: Any, config: Any) -> None:
    kind = "CHATFLOW" if drawn is agent_with else "AGENTFLOW"
    saved = api.post("/chatflows", {"name": "Imported", "type": kind, "flowData": drawn(config)})

    told = api.get(f"/chatflows/{saved.json()['id']}/problems")

    assert saved.status_code == 200
    assert int(saved.headers["X-Flow-Problems"]) >= 1
    assert "would start a program" in told.content.decode()


@pytest.mark.parametrize("config", PROGRAMS.values(), ids=PROGRAMS)
async def test_a_flow_that_would_start_a_program_does_not_begin(nodes: NodeWorld, config: Any) -> None:
    flow = parse_flow(agent_with(config))

    with pytest.raises(FlowError, match=r"would start a program on this server.*Streamable HTTP"):
        [e async for e in run_flow(flow, nodes.context("hi").request, nodes.world, registry=load_registry())]


@pytest.mark.parametrize("config", [*PROGRAMS.values(), *ODD.values()], ids=[*PROGRAMS, *ODD])
async def test_the_node_refuses_it_too_whoever_built_it(nodes: NodeWorld, config: Any) -> None:
    with pytest.raises(NodeInputError, match=r"mcpServerConfig|must begin with http"):
        await run_custom(nodes.context(), {"mcpServerConfig": config})


@pytest.mark.parametrize("config", PROGRAMS.values(), ids=PROGRAMS)
async def test_a_config_that_a_reference_brings_is_read_after_it(nodes: NodeWorld, config: Any) -> None:
    text = config if isinstance(config, str) else json.dumps(config)

    with pytest.raises(NodeInputError, match="would start a program"):
        await run_custom(nodes.context(), {"mcpServerConfig": text})


def test_no_other_code_of_ours_starts_programs() -> None:
    assert {path for path, name, _ in calls() if name in STARTING} == STARTERS
    assert [path for path, name in imports() if name.partition(".")[0] in ("pty", "pexpect", "docker", "sh")] == []


def test_what_starts_a_program_is_given_no_shell() -> None:
    shells = [path for path, name, call in calls() if name in STARTING for k in call.keywords if k.arg == "shell"]

    assert shells == []
