from typing import Any

import pytest

from engine.errors import NodeInputError
from engine.memories import Memory
from engine.nodes.agents import NODES, OLDER_TOOL_AGENTS, run_conversational, run_react, run_tool_agent
from engine.nodes.react import Step, read_json, read_react
from engine.nodes.tools import run_calculator
from engine.prompts import Prompt
from engine.providers.base import Message, Tool
from engine.providers.fake import FakeChatModel, calling
from tests.engine.node_world import NodeWorld

USE = "I must work it out.\nAction: calculator\nAction Input: 2*21"
USED = {"tool": "calculator", "toolInput": {"input": "2*21"}, "toolOutput": "42"}


@pytest.fixture
async def calculator(nodes: NodeWorld) -> Tool:
    tool: Tool = (await run_calculator(nodes.context(), {})).value
    return tool


@pytest.fixture
def memory(nodes: NodeWorld) -> Memory:
    nodes.history.sessions["s1"] = [Message("user", "I am Ann"), Message("assistant", "Hello Ann")]
    return Memory(nodes.history)


def told(model: FakeChatModel, call: int = -1) -> list[str]:
    return [message.content for message in model.calls[call].messages]


async def test_a_tool_agent_calls_its_tools(nodes: NodeWorld, calculator: Tool, memory: Memory) -> None:
    model = FakeChatModel([calling("calculator", {"input": "2*21"}), "It is 42"])
    inputs = {"model": model, "tools": [calculator], "memory": memory, "systemMessage": "Be exact."}

    result = await run_tool_agent(nodes.context("2*21?", streams=True), inputs)

    assert told(model, 0) == ["Be exact.", "I am Ann", "Hello Ann", "2*21?"]
    assert (result.value, result.output) == ("It is 42", {"content": "It is 42", "usedTools": [USED]})
    assert nodes.seen.tokens == ["It", " is", " 42"]
    assert nodes.seen.used == [[USED]]


@pytest.mark.parametrize("name", [spec.name for spec in OLDER_TOOL_AGENTS])
async def test_its_older_names_are_the_same_agent(nodes: NodeWorld, calculator: Tool, name: str) -> None:
    model = FakeChatModel([calling("calculator", {"input": "2*21"}), "It is 42"])
    [agent] = [node_type for node_type in NODES if node_type.spec.name == name]

    result = await agent.run(nodes.context("2*21?"), {"model": model, "tools": [[calculator]]})

    assert result.output == {"content": "It is 42", "usedTools": [USED]}


async def test_a_tool_agent_may_have_a_prompt_of_its_own(nodes: NodeWorld, memory: Memory) -> None:
    model = FakeChatModel(["ok"])
    prompt = Prompt((("system", "You are Bob."), ("user", "Question: {input}")))

    await run_tool_agent(nodes.context("why?"), {"model": model, "memory": memory, "chatPromptTemplate": prompt})

    assert told(model) == ["You are Bob.", "I am Ann", "Hello Ann", "Question: why?"]


async def test_a_tool_agent_gives_up_after_its_rounds(nodes: NodeWorld, calculator: Tool) -> None:
    model = FakeChatModel([calling("calculator", {"input": "1"})] * 5)

    result = await run_tool_agent(nodes.context(), {"model": model, "tools": [calculator], "maxIterations": "2"})

    assert result.value == "Agent stopped due to max iterations."
    assert len(model.calls) == 2


async def test_a_react_agent_uses_a_tool_and_answers(nodes: NodeWorld, calculator: Tool, memory: Memory) -> None:
    model = FakeChatModel([USE, "I know it now.\nFinal Answer: It is 42"])
    inputs = {"model": model, "tools": [calculator], "memory": memory}

    result = await run_react(nodes.context("2*21?"), inputs)

    assert result.output == {"content": "It is 42", "usedTools": [USED]}
    assert told(model)[1:] == ["I am Ann", "Hello Ann", "2*21?", USE, "Observation: 42\nThought:"]
    assert "calculator: Useful for" in told(model)[0]
    assert model.calls[0].stop == ("\nObservation:",)


async def test_a_react_agent_streams_the_final_answer_alone(nodes: NodeWorld, calculator: Tool) -> None:
    model = FakeChatModel([USE, "Thought: done\nFinal Answer: It is 42"])

    result = await run_react(nodes.context(streams=True), {"model": model, "tools": [calculator]})

    assert nodes.seen.tokens == ["It", " is", " 42"]
    assert result.value == "It is 42"


async def test_a_react_agent_corrects_the_form_once(nodes: NodeWorld, calculator: Tool) -> None:
    model = FakeChatModel(["Forty-two?", "Final Answer: 42"])

    result = await run_react(nodes.context(), {"model": model, "tools": [calculator]})

    assert result.value == "42"
    assert told(model)[-2:][0] == "Forty-two?"
    assert "Final Answer" in told(model)[-1]


async def test_a_model_that_never_keeps_the_form_is_taken_by_its_word(nodes: NodeWorld, calculator: Tool) -> None:
    model = FakeChatModel(["Forty-two?", " Just 42. "])

    result = await run_react(nodes.context(streams=True), {"model": model, "tools": [calculator]})

    assert result.value == "Just 42."
    assert nodes.seen.tokens == ["Just 42."]


async def test_a_react_agent_is_told_of_tools_that_do_not_exist(nodes: NodeWorld, calculator: Tool) -> None:
    model = FakeChatModel(["Action: google\nAction Input: 42", "Final Answer: unknown"])

    result = await run_react(nodes.context(), {"model": model, "tools": [calculator]})

    assert "There is no tool 'google'. Known tools: calculator." in told(model)[-1]
    assert result.output["usedTools"][0]["error"].startswith("There is no tool")


async def test_a_conversational_agent_talks_in_json(nodes: NodeWorld, calculator: Tool, memory: Memory) -> None:
    use = '```json\n{"action": "calculator", "action_input": "2*21"}\n```'
    model = FakeChatModel([use, '{"action": "Final Answer", "action_input": "It is 42"}'])
    inputs = {"model": model, "tools": [calculator], "memory": memory, "systemMessage": "Be {kind}."}

    result = await run_conversational(nodes.context("2*21?", streams=True), inputs)

    assert result.output == {"content": "It is 42", "usedTools": [USED]}
    assert told(model, 0)[0].startswith("Be {kind}.\n")
    assert nodes.seen.tokens == ["It is 42"]


async def test_a_conversational_agent_that_just_talks_has_answered(nodes: NodeWorld, calculator: Tool) -> None:
    model = FakeChatModel(["Hello there"])

    result = await run_conversational(nodes.context(streams=True), {"model": model, "tools": [calculator]})

    assert (result.value, len(model.calls)) == ("Hello there", 1)
    assert nodes.seen.tokens == ["Hello there"]


@pytest.mark.parametrize("run", [run_tool_agent, run_conversational, run_react])
async def test_an_agent_needs_a_model_and_real_tools(nodes: NodeWorld, run: Any) -> None:
    with pytest.raises(NodeInputError, match="needs a chat model"):
        await run(nodes.context(), {"model": "", "tools": []})
    with pytest.raises(NodeInputError, match="connected as a tool is none"):
        await run(nodes.context(), {"model": FakeChatModel(), "tools": ["text"]})


async def test_images_are_shown_with_the_question(nodes: NodeWorld) -> None:
    model = FakeChatModel(["a cat"])

    await run_tool_agent(nodes.context("What?", images=("data:image/png;base64,AA",)), {"model": model})

    assert model.calls[0].messages[-1].images == ("data:image/png;base64,AA",)


@pytest.mark.parametrize(
    ("text", "step"),
    [
        (USE, Step("calculator", "2*21")),
        ("Thought: x\n**Action 1:** `calculator`\n**Action Input 1:** 1+1\nObservation: 3", Step("calculator", "1+1")),
        ('Action: calculator\n\nAction Input:\n{"a": 1,\n"b": 2}', Step("calculator", '{"a": 1,\n"b": 2}')),
        (
            "Final Answer: yes\nAction: calculator\nAction Input: 1",
            Step(answer="yes\nAction: calculator\nAction Input: 1"),
        ),
        ("Action: calculator\nAction Input: 1\n\nFinal Answer: made up", Step("calculator", "1")),
        ("Final Answer:", Step(answer="")),
        ("I do not know", None),
        ("Action: calculator", None),
    ],
)
def test_a_text_says_what_to_do_first(text: str, step: Step | None) -> None:
    assert read_react(text) == step


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ('Sure! {"action": "calculator", "action_input": {"input": "1"}}', Step("calculator", {"input": "1"})),
        ('{"action": "final answer", "action_input": ["a"]}', Step(answer='["a"]')),
        ('{"other": 1}', None),
        ("[1]", None),
        ("words", None),
    ],
)
def test_json_says_what_to_do(text: str, step: Step | None) -> None:
    assert read_json(text) == step
