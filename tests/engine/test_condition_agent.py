"""Condition Agent nodes: a model chooses the way."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.errors import NodeInputError, ProviderError
from engine.nodes.agentflow_condition_agent import match, run_condition_agent
from engine.providers.base import Message
from engine.providers.fake import FakeChatModel
from tests.engine.drawing import Board, ran
from tests.engine.node_world import NodeWorld

SCENARIOS = [{"scenario": "User wants a refund"}, {"scenario": "User looks for an item"}, {"scenario": "Chatting"}]
PAST = (Message("user", "I am Ann"), Message("assistant", "Hello Ann"))


def inputs(**more: Any) -> dict[str, Any]:
    return {"conditionAgentModel": "fakeChat", "conditionAgentScenarios": SCENARIOS, **more}


def script(nodes: NodeWorld, *replies: Any) -> FakeChatModel:
    nodes.components["fakeChat"] = model = FakeChatModel(replies)
    return model


async def test_the_scenario_that_the_model_names_is_taken(nodes: NodeWorld) -> None:
    script(nodes, '{"output": "User looks for an item"}')

    result = await run_condition_agent(nodes.context("Shoes?", streams=True), inputs())

    assert result.taken == frozenset({1})
    assert [row["isFulfilled"] for row in result.output["conditions"]] == [False, True, False]
    assert result.output["content"] == '{"output": "User looks for an item"}'
    assert nodes.seen.tokens == []


async def test_only_its_way_is_gone(board: Board) -> None:
    board.types["choose"] = "conditionAgentAgentflow"
    board.inputs["choose"] = inputs(conditionAgentModelConfig={})
    board.components["fakeChat"] = FakeChatModel(['{"output": "chatting"}'])

    events = await board.run("start -> choose\nchoose[a] -> refund\nchoose[b] -> item\nchoose[c] -> chat")

    assert ran(events) == ["start", "choose", "chat"]


async def test_an_empty_row_keeps_its_way_and_is_never_taken_for_a_match(nodes: NodeWorld) -> None:
    model = script(nodes, '{"output": "Chatting"}')
    rows = [SCENARIOS[0], {"scenario": " "}, SCENARIOS[2], SCENARIOS[1]]

    result = await run_condition_agent(nodes.context("Hello"), inputs(conditionAgentScenarios=rows))

    assert result.taken == frozenset({2})
    assert [row["isFulfilled"] for row in result.output["conditions"]] == [False, False, True, False]
    assert orjson.loads(model.calls[0].messages[-1].content)["scenarios"] == [
        "User wants a refund",
        "Chatting",
        "User looks for an item",
    ]


@pytest.mark.parametrize(
    ("named", "index"),
    [
        ("User wants a refund", 0),
        ("user LOOKS for an item", 1),
        (" chatting ", 2),
        ("User wants", 0),
        ("an item", 1),
        ("I think: user wants a refund, surely", 0),
        ("User", 0),
        ("nothing of the kind", 2),
        ("", 2),
    ],
)
def test_an_answer_means_the_scenario_that_is_nearest(named: str, index: int) -> None:
    assert match(named, [row["scenario"] for row in SCENARIOS]) == index


async def test_an_answer_that_cannot_be_read_is_asked_for_once_more(nodes: NodeWorld) -> None:
    model = script(nodes, "I would say a refund", '{"output": "User wants a refund"}')

    result = await run_condition_agent(nodes.context("My money!"), inputs())

    assert result.taken == frozenset({0})
    assert "cannot be used" in model.calls[1].messages[-1].content
    assert result.usage.output_tokens == 5 + 5


@pytest.mark.parametrize("second", ["again no JSON", '{"other": "User wants a refund"}', "[]"])
async def test_after_two_answers_that_cannot_be_read_the_last_way_is_taken(nodes: NodeWorld, second: str) -> None:
    model = script(nodes, "no JSON", second)

    result = await run_condition_agent(nodes.context("My money!"), inputs())

    assert result.taken == frozenset({2})
    assert result.output["content"] == second
    assert len(model.calls) == 2


async def test_the_model_is_told_input_scenarios_and_instruction(nodes: NodeWorld) -> None:
    model = script(nodes, '{"output": "Chatting"}')

    await run_condition_agent(
        nodes.context("hi"), inputs(conditionAgentInput="hello", conditionAgentInstructions="Find out.")
    )

    system, task = model.calls[0].messages
    assert (system.role, '"output"' in system.content) == ("system", True)
    assert orjson.loads(task.content) == {
        "input": "hello",
        "scenarios": [row["scenario"] for row in SCENARIOS],
        "instruction": "Find out.",
    }


async def test_the_system_prompt_can_be_the_authors(nodes: NodeWorld) -> None:
    model = script(nodes, *['{"output": "Chatting"}'] * 2)

    await run_condition_agent(nodes.context("hi"), inputs(conditionAgentSystemPrompt="Mine"))
    await run_condition_agent(
        nodes.context("hi"), inputs(conditionAgentSystemPrompt="Mine", conditionAgentOverrideSystemPrompt=True)
    )

    assert [call.messages[0].content == "Mine" for call in model.calls] == [False, True]


@pytest.mark.parametrize(("remembers", "seen"), [("", 0), (True, 3)])
async def test_the_conversation_is_shown_if_the_author_wants_that(nodes: NodeWorld, remembers: Any, seen: int) -> None:
    model = script(nodes, '{"output": "Chatting"}')

    await run_condition_agent(nodes.context("hi", past=PAST), inputs(conditionAgentEnableMemory=remembers))

    assert len(model.calls[0].messages) == 2 + seen


async def test_only_the_question_joins_the_run(nodes: NodeWorld) -> None:
    script(nodes, *['{"output": "Chatting"}'] * 2)

    first = await run_condition_agent(nodes.context("hi"), inputs())
    later = await run_condition_agent(nodes.context("hi", messages=PAST), inputs())

    assert first.messages == (Message("user", "hi"),)
    assert later.messages == ()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"conditionAgentScenarios": ""}, "Scenarios are required"),
        ({"conditionAgentScenarios": [{"scenario": " "}]}, "Scenarios are required"),
        ({"conditionAgentModel": ""}, "Model is required"),
    ],
)
async def test_a_node_that_is_not_filled_in_is_refused(nodes: NodeWorld, more: dict[str, Any], told: str) -> None:
    script(nodes)

    with pytest.raises(NodeInputError, match=f"Error in Condition Agent node: {told}"):
        await run_condition_agent(nodes.context("hi"), inputs(**more))


async def test_a_model_that_does_not_answer_is_an_error_and_no_choice(nodes: NodeWorld) -> None:
    script(nodes, ProviderError("gone", retryable=False, status=500))

    with pytest.raises(ProviderError, match="Error in Condition Agent node: gone"):
        await run_condition_agent(nodes.context("hi"), inputs())
