"""Tool nodes run a tool with the author's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from engine.errors import NodeError, NodeInputError
from engine.nodes.agentflow_tool import run_tool
from engine.providers.base import Document, Sourced, ToolSpec
from engine.tools import FunctionTool
from tests.engine.drawing import Board, entry_of
from tests.engine.node_world import NodeWorld

TYPED = {"type": "object", "properties": {"count": {"type": "integer"}, "text": {"type": "string"}}}


async def show(arguments: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(arguments), option=orjson.OPT_SORT_KEYS).decode()


async def fail(arguments: Mapping[str, Any]) -> str:
    raise NodeError("It broke")


SHOW = FunctionTool(ToolSpec("show", "", TYPED), show)
FAIL = FunctionTool(ToolSpec("fail", "", TYPED), fail)


def tool(**arguments: Any) -> dict[str, Any]:
    rows = [{"inputArgName": name, "inputArgValue": value} for name, value in arguments.items()]
    return {"toolAgentflowSelectedTool": "shower", "toolAgentflowSelectedToolConfig": {"x": 1}, "toolInputArgs": rows}


@pytest.fixture
def nodes(nodes: NodeWorld) -> NodeWorld:
    nodes.components |= {"shower": SHOW, "failer": FAIL, "both": [SHOW, SHOW]}
    return nodes


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("plain", "plain"),
        ('{"a": [1]}', {"a": [1]}),
        ("['x', 'y',]", ["x", "y"]),
        (r"\[\"x\"\]", ["x"]),
        ("{not json", "{not json"),
        ("{not json}", "{not json}"),
        ("7", "7"),
    ],
)
async def test_what_looks_like_json_becomes_that(nodes: NodeWorld, given: str, taken: Any) -> None:
    result = await run_tool(nodes.context(), tool(text=given))

    assert orjson.loads(result.output["content"]) == {"text": taken}
    assert nodes.built == [("shower", {"x": 1})]


async def test_a_number_is_one_where_the_tool_takes_a_number(nodes: NodeWorld) -> None:
    result = await run_tool(nodes.context(), tool(count="7", text="7"))

    assert orjson.loads(result.output["content"]) == {"count": 7, "text": "7"}


async def test_all_tools_of_a_component_run_with_the_same_arguments(nodes: NodeWorld) -> None:
    result = await run_tool(nodes.context(), {**tool(text="x"), "toolAgentflowSelectedTool": "both"})

    assert result.output["content"] == '{"text":"x"}\n{"text":"x"}'


async def test_flows_of_the_first_version_choose_their_tool_by_another_name(nodes: NodeWorld) -> None:
    inputs = {"selectedTool": "shower", "selectedToolConfig": {"y": 2}, "toolInputArgs": ""}

    result = await run_tool(nodes.context(), inputs)

    assert result.output["content"] == "{}"
    assert nodes.built == [("shower", {"y": 2})]


async def test_the_text_is_the_answer_of_a_flow_that_ends_here(nodes: NodeWorld) -> None:
    await run_tool(nodes.context(streams=True), tool(text="x"))

    assert nodes.seen.tokens == ['{"text":"x"}']


async def test_its_result_can_go_into_the_state(board: Board) -> None:
    board.types["tool"] = "toolAgentflow"
    board.components["shower"] = SHOW
    board.inputs["tool"] = {
        **tool(text="{{ question }}"),
        "toolUpdateState": [{"key": "said", "value": "{{ output.text }}"}],
    }

    events = await board.run("start -> tool -> end", "hello")

    assert entry_of(events, "end")["data"]["state"] == {"said": "hello"}
    assert entry_of(events, "tool")["data"]["input"] == {"selectedTool": "shower", "toolInputArgs": {"text": "hello"}}


async def test_no_tool_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="Tool not selected"):
        await run_tool(nodes.context(), {"toolAgentflowSelectedTool": ""})


async def test_a_tool_that_fails_fails_the_node(nodes: NodeWorld) -> None:
    with pytest.raises(NodeError, match="It broke"):
        await run_tool(nodes.context(), {"toolAgentflowSelectedTool": "failer"})


async def test_documents_that_a_tool_found_are_shown(nodes: NodeWorld) -> None:
    async def find(arguments: Mapping[str, Any]) -> str:
        return Sourced("Snow is white.", [Document("Snow is white.", {"source": "snow.txt"})])

    nodes.components["shower"] = FunctionTool(ToolSpec("find", "", TYPED), find)

    result = await run_tool(nodes.context(), tool())

    assert result.output == {
        "content": "Snow is white.",
        "sourceDocuments": [{"pageContent": "Snow is white.", "metadata": {"source": "snow.txt"}}],
    }
