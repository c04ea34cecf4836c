from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from engine.errors import NodeError, NodeInputError
from engine.nodes.agentflow_agent import run_agent_node
from engine.providers.base import Completion, Message, ToolCall, ToolSpec, Usage
from engine.providers.fake import FakeChatModel, calling
from engine.tools import FunctionTool, text_tool
from tests.engine.node_world import NodeWorld

ADDING = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}


async def add(arguments: Mapping[str, Any]) -> str:
    if "b" not in arguments:
        raise NodeError("b is missing")
    return str(arguments["a"] + arguments["b"])


async def shout(text: str) -> str:
    return text.upper()


ADD = FunctionTool(ToolSpec("add", "Adds two numbers.", ADDING), add)
SHOUT = text_tool("shout", "Shouts.", shout, return_direct=True)


@pytest.fixture
def nodes(nodes: NodeWorld) -> NodeWorld:
    nodes.components |= {"adder": ADD, "kit": [SHOUT, ADD]}
    return nodes


def script(nodes: NodeWorld, *replies: Completion | str) -> FakeChatModel:
    nodes.components["fakeChat"] = model = FakeChatModel(replies)
    return model


def agent(*tools: str, **inputs: Any) -> dict[str, Any]:
    rows = [{"agentSelectedTool": tool, "agentSelectedToolConfig": {"x": tool}} for tool in tools]
    return {"agentModel": "fakeChat", "agentTools": rows or "", **inputs}


async def test_an_agent_without_tools_answers(nodes: NodeWorld) -> None:
    script(nodes, "Hello!")

    result = await run_agent_node(nodes.context("hi", streams=True), agent())

    assert result.output["content"] == "Hello!"
    assert (result.output["usedTools"], result.output["availableTools"]) == ([], [])
    assert nodes.seen.tokens == ["Hello!"]


async def test_a_tool_is_called_and_its_result_told_to_the_model(nodes: NodeWorld) -> None:
    model = script(nodes, calling("add", {"a": 1, "b": 2}), "It is 3")

    result = await run_agent_node(nodes.context("1+2?"), agent("adder"))

    asked = Message("assistant", "", tool_calls=(ToolCall("call_0", "add", {"a": 1, "b": 2}),))
    assert model.calls[1].messages[1:] == (asked, Message("tool", "3", name="add", tool_call_id="call_0"))
    assert [tool.name for tool in model.calls[0].tools] == ["add"]
    assert result.output["content"] == "It is 3"
    assert result.usage == Usage(1, 1) + Usage(2, 3)


async def test_calls_and_results_are_shown_to_those_who_watch(nodes: NodeWorld) -> None:
    script(nodes, calling("add", {"a": 1, "b": 2}), calling("add", {"a": 3, "b": 3}), "It is 6")

    result = await run_agent_node(nodes.context("1+2+3?"), agent("adder"))

    first = {"tool": "add", "toolInput": {"a": 1, "b": 2}, "toolOutput": "3"}
    second = {"tool": "add", "toolInput": {"a": 3, "b": 3}, "toolOutput": "6"}
    assert nodes.seen.called == [[{**first, "toolOutput": ""}], [{**second, "toolOutput": ""}]]
    assert nodes.seen.used == [[first], [first, second]]
    assert result.output["usedTools"] == [first, second]


async def test_an_agent_in_the_middle_of_a_flow_shows_its_tools_in_its_output_alone(nodes: NodeWorld) -> None:
    script(nodes, calling("add", {"a": 1, "b": 2}), "3")

    result = await run_agent_node(nodes.context(is_last=False), agent("adder"))

    assert (nodes.seen.called, nodes.seen.used) == ([], [])
    assert len(result.output["usedTools"]) == 1


async def test_several_calls_run_in_their_order(nodes: NodeWorld) -> None:
    calls = (ToolCall("1", "add", {"a": 1, "b": 1}), ToolCall("2", "shout", {"input": "x"}))
    model = script(nodes, Completion("", calls), "done")

    result = await run_agent_node(nodes.context(), agent("kit"))

    assert [used["toolOutput"] for used in result.output["usedTools"]] == ["2", "X"]
    assert [message.tool_call_id for message in model.calls[1].messages[-2:]] == ["1", "2"]


async def test_a_failing_tool_is_told_to_the_model(nodes: NodeWorld) -> None:
    model = script(nodes, calling("add", {"a": 1}), "I could not")

    result = await run_agent_node(nodes.context(), agent("adder"))

    assert model.calls[1].messages[-1].content == "Error: b is missing"
    assert result.output["usedTools"] == [
        {"tool": "add", "toolInput": {"a": 1}, "toolOutput": "", "error": "b is missing"}
    ]


async def test_a_tool_that_does_not_exist_is_told_to_the_model(nodes: NodeWorld) -> None:
    model = script(nodes, calling("subtract", {}), "I cannot")

    result = await run_agent_node(nodes.context(), agent("adder"))

    assert model.calls[1].messages[-1].content == "Error: There is no tool 'subtract'. Known tools: add."
    assert result.output["content"] == "I cannot"


async def test_a_direct_tool_answers_for_the_agent(nodes: NodeWorld) -> None:
    script(nodes, calling("shout", {"input": "hey"}))

    result = await run_agent_node(nodes.context(streams=True), agent("kit"))

    assert result.output["content"] == "HEY"
    assert nodes.seen.tokens == ["HEY"]


async def test_a_direct_tool_that_fails_does_not_answer(nodes: NodeWorld) -> None:
    script(nodes, calling("shout", {}), "Sorry")

    result = await run_agent_node(nodes.context(), agent("kit"))

    assert result.output["content"] == "Sorry"


async def test_rounds_are_bounded(nodes: NodeWorld) -> None:
    model = script(nodes, *[calling("add", {"a": 1, "b": 1})] * 9)

    result = await run_agent_node(nodes.context(streams=True), agent("adder", agentMaxIterations="3"))

    assert len(model.calls) == 3
    assert result.output["content"] == "Agent stopped due to max iterations."
    assert nodes.seen.tokens == ["Agent stopped due to max iterations."]


async def test_tools_that_share_a_name_are_told_apart(nodes: NodeWorld) -> None:
    model = script(nodes, "ok")

    result = await run_agent_node(nodes.context(), agent("adder", "kit", "adder"))

    assert [tool.name for tool in model.calls[0].tools] == ["add", "shout", "add_2", "add_3"]
    assert [tool["toolNode"]["name"] for tool in result.output["availableTools"]] == ["adder", "kit", "kit", "adder"]
    assert nodes.built[1:] == [("adder", {"x": "adder"}), ("kit", {"x": "kit"}), ("adder", {"x": "adder"})]


async def test_an_answer_is_shaped_by_a_call_of_its_own(nodes: NodeWorld) -> None:
    model = script(nodes, calling("add", {"a": 1, "b": 2}), "It is 3", '{"sum": 3}')
    rows = [{"key": "sum", "type": "number"}]

    result = await run_agent_node(nodes.context("1+2?", streams=True), agent("adder", agentStructuredOutput=rows))

    assert (result.output["content"], result.output["sum"]) == ('{"sum":3}', 3)
    assert [message.role for message in model.calls[2].messages] == ["user", "assistant", "user"]
    assert model.calls[2].schema is not None
    assert nodes.seen.tokens == ['{"sum":3}']


async def test_the_answer_alone_joins_the_run(nodes: NodeWorld) -> None:
    script(nodes, calling("add", {"a": 1, "b": 2}), "It is 3")

    result = await run_agent_node(nodes.context("1+2?", label="Math"), agent("adder"))

    assert [(m.role, m.content, m.name) for m in result.messages] == [
        ("user", "1+2?", ""),
        ("user", "It is 3", "math"),
    ]
    assert orjson.dumps(result.output)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"agentModel": ""}, "Model is required"),
        ({"agentKnowledgeDocumentStores": [{"documentStore": "1:x"}]}, "no document store '1:x'"),
        ({"agentToolsBuiltInOpenAI": '["web_search_preview"]'}, "OpenAI's built-in tools, which are not available"),
        ({"agentTools": [{"agentSelectedTool": "ghost"}]}, "'ghost' is not installed"),
        ({"agentTools": [{"agentSelectedTool": "fakeChat"}]}, "connected as a tool is none"),
    ],
)
async def test_what_an_agent_cannot_have_is_refused_by_name(
    nodes: NodeWorld, inputs: dict[str, Any], told: str
) -> None:
    script(nodes, "ok")

    with pytest.raises(NodeInputError, match=f"Error in Agent node: .*{told}"):
        await run_agent_node(nodes.context(), {**agent(), **inputs})


async def test_empty_lists_of_what_is_missing_are_fine(nodes: NodeWorld) -> None:
    script(nodes, "ok")
    inputs = agent(agentKnowledgeDocumentStores="", agentKnowledgeVSEmbeddings=[], agentToolsBuiltInOpenAI="[]")

    result = await run_agent_node(nodes.context(), inputs)

    assert result.output["content"] == "ok"


async def test_a_model_that_cannot_chat_cannot_be_an_agent(nodes: NodeWorld) -> None:
    nodes.components["fakeChat"] = object()

    with pytest.raises(NodeInputError) as refused:
        await run_agent_node(nodes.context(), agent("adder"))

    assert refused.value.message == "Error in Agent node: Agent needs to have a function calling capable models."
