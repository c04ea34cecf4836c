"""JavaScript in agent flows and in tools, and the tools that other people published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from engine.errors import FlowError, NodeError, NodeInputError
from engine.flow import parse_flow
from engine.nodes.agentflow_function import run_custom_function
from engine.nodes.custom_tools import run_custom_tool, template_tool
from engine.plan import plan_for
from engine.registry import load_registry
from engine.tool_templates import ToolTemplate, read_tool_schema, read_tool_template
from tests.engine.javascript import JavaScript
from tests.engine.node_world import MemoryTools, NodeWorld
from tests.engine.web_server import web_server

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEMPLATES = sorted((Path(__file__).resolve().parents[1] / "flows" / "tools").glob("*.json"))


@pytest_asyncio.fixture(loop_scope="session")
async def nodes(javascript: JavaScript) -> NodeWorld:
    return NodeWorld(javascript.http, sandbox=javascript.sandbox)


def function(code: str, *variables: tuple[str, Any], **more: Any) -> dict[str, Any]:
    rows = [{"variableName": name, "variableValue": value} for name, value in variables]
    return {"customFunctionJavascriptFunction": code, "customFunctionInputVariables": rows, **more}


class TestTheFunctionOfAnAgentFlow:
    async def test_sees_its_run(self, nodes: NodeWorld) -> None:
        ctx = nodes.context("hello", state={"count": 2})
        code = "return [$input, $flow.input, $flow.chatId, $flow.sessionId, $flow.state.count, $vars].join()"

        result = await run_custom_function(ctx, function(code))

        assert result.output["content"] == "hello,hello,c1,s1,2,[object Object]"

    async def test_sees_its_variables_by_their_names(self, nodes: NodeWorld) -> None:
        inputs = function("return `${$a} ${$b.c}`", ("a", "text"), ("b", {"c": 1}), ("", "nameless"))

        assert (await run_custom_function(nodes.context(), inputs)).output["content"] == "text 1"

    @pytest.mark.parametrize(
        ("code", "content"),
        [
            ("return 'text'", "text"),
            ("return { a: [1] }", '{\n  "a": [\n    1\n  ]\n}'),
            ("return 1.5", "1.5"),
            ("return false", "false"),
            ("return null", ""),
            ("1 + 1", ""),
        ],
    )
    async def test_gives_text(self, nodes: NodeWorld, code: str, content: str) -> None:
        assert (await run_custom_function(nodes.context(), function(code))).output["content"] == content

    async def test_says_its_text_at_once_if_it_is_the_answer(self, nodes: NodeWorld) -> None:
        await run_custom_function(nodes.context(streams=True), function("return 'said'"))
        await run_custom_function(nodes.context(streams=True, is_last=False), function("return 'kept'"))

        assert nodes.seen.tokens == ["said"]

    async def test_changes_the_state_through_its_node_alone(self, nodes: NodeWorld) -> None:
        ctx = nodes.context(state={"count": 1})
        update = [{"key": "count", "value": "{{ output }}"}]

        result = await run_custom_function(
            ctx, function("$flow.state.count = 5; return 2", customFunctionUpdateState=update)
        )

        assert ctx.state == {"count": 1}
        assert result.state == {"count": "{{ output }}"}

    async def test_shows_its_console_in_the_trace(self, nodes: NodeWorld) -> None:
        result = await run_custom_function(nodes.context(), function("console.log('looked'); return 'done'"))

        assert result.output == {"content": "done", "console": ["looked"]}

    async def test_that_is_empty_says_so(self, nodes: NodeWorld) -> None:
        with pytest.raises(NodeInputError, match="The function is empty"):
            await run_custom_function(nodes.context(), function(" "))

    async def test_that_needs_another_library_says_which_there_are(self, nodes: NodeWorld) -> None:
        with pytest.raises(NodeError, match=r'require\("typeorm"\) is not available: .*axios, buffer, node-fetch, url'):
            await run_custom_function(nodes.context(), function("const { DataSource } = require('typeorm')"))


class TestACustomTool:
    SCHEMA = '[{"id": 1, "property": "city", "type": "string", "description": "Which.", "required": true}]'

    async def test_runs_with_what_the_model_fills_in(self, nodes: NodeWorld) -> None:
        inputs = {"customToolName": "look up", "customToolDesc": "Looks it up.", "customToolSchema": self.SCHEMA}

        code = "return { city: $city, typed: typeof $missing, chat: $flow.chatId }"
        tool = (await run_custom_tool(nodes.context(), {**inputs, "customToolFunc": code})).value

        assert tool.spec.name == "look_up"
        assert tool.spec.description == "Looks it up."
        assert tool.spec.parameters["required"] == ["city"]
        assert orjson.loads(await tool.call({"city": "Rome"})) == {"city": "Rome", "typed": "undefined", "chat": "c1"}

    async def test_finds_undefined_what_the_model_leaves_out(self, nodes: NodeWorld) -> None:
        inputs = {"customToolFunc": "if (!$city) return typeof $city", "customToolSchema": self.SCHEMA}
        tool = (await run_custom_tool(nodes.context(), inputs)).value

        assert await tool.call({}) == "undefined"

    async def test_that_fails_tells_the_model(self, nodes: NodeWorld) -> None:
        inputs = {"customToolFunc": "throw new Error('no such city')", "customToolSchema": self.SCHEMA}
        tool = (await run_custom_tool(nodes.context(), inputs)).value

        with pytest.raises(NodeError, match="no such city"):
            await tool.call({"city": "Atlantis"})

    async def test_of_the_workspace_runs_and_the_node_may_describe_it_otherwise(self, nodes: NodeWorld) -> None:
        kept = ToolTemplate("look up", "Looks it up.", "return `Sun in ${$city}`", read_tool_schema(self.SCHEMA))
        nodes.tools = MemoryTools({"t1": kept})
        inputs = {"selectedTool": "t1", "customToolDesc": "Tells the weather."}

        tool = (await run_custom_tool(nodes.context(), inputs)).value

        assert (tool.spec.name, tool.spec.description) == ("look_up", "Tells the weather.")
        assert tool.spec.parameters["required"] == ["city"]
        assert await tool.call({"city": "Rome"}) == "Sun in Rome"

    async def test_whose_function_the_node_has_needs_no_workspace(self, nodes: NodeWorld) -> None:
        inputs = {"selectedTool": "gone", "customToolFunc": "return 'own'"}

        tool = (await run_custom_tool(nodes.context(), inputs)).value

        assert await tool.call({}) == "own"

    async def test_that_is_not_there_is_told_by_its_id(self, nodes: NodeWorld) -> None:
        with pytest.raises(NodeInputError, match=r"tool 'gone' is not here: .*'customToolFunc'"):
            await run_custom_tool(nodes.context(), {"selectedTool": "gone"})

    async def test_that_nobody_selected_is_told_before_anything_runs(self) -> None:
        data = {
            "id": "t",
            "label": "My tool",
            "name": "customTool",
            "category": "Tools",
            "inputs": {"selectedTool": ""},
        }
        agent = {"id": "a", "label": "Agent", "name": "toolAgent", "category": "Agents", "inputs": {}}
        nodes = [{"id": row["id"], "type": "customNode", "data": row} for row in (data, agent)]
        edge = {
            "source": "t",
            "target": "a",
            "sourceHandle": "t-output-customTool-Tool",
            "targetHandle": "a-input-tools-Tool",
        }
        flow = parse_flow(orjson.dumps({"nodes": nodes, "edges": [edge]}))

        with pytest.raises(FlowError, match=r"My tool \(t\) cannot run here: no tool is selected: choose one"):
            plan_for(flow, load_registry())


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
class TestAPublishedTool:
    async def test_runs_as_it_is_written(self, nodes: NodeWorld, path: Path) -> None:
        """Against a server of the test's own in the place of the one that it names, and without its long waits."""
        async with web_server(*[(200, '{"status": "no", "n": 1}')] * 2) as server:
            text = re.sub(r"https://[\w.-]+|YOUR-WEBHOOK-URL", server.url, path.read_text())
            template = read_tool_template(text)
            tool = template_tool(nodes.context(), template)

            said = await tool.call({name: f"a {name}" for name in template.parameters["properties"]})

        assert tool.spec.name == template.name
        assert len(server.received) == 1
        sent = server.received[0]
        assert all(f"a {name}" in repr((sent.body, sent.path)) for name in template.parameters["properties"])
        assert "Reason: no" in said if "jotterpad" in text else orjson.loads(said) == {"status": "no", "n": 1}

    async def test_survives_that_nobody_answers(self, nodes: NodeWorld, path: Path) -> None:
        template = read_tool_template(re.sub(r"https://[\w.-]+", "http://127.0.0.1:1", path.read_text()))
        tool = template_tool(nodes.context(), template)

        said = await tool.call(dict.fromkeys(template.parameters["properties"], "x"))

        assert said in ("", '{"error":"Reason: Unknown"}')
