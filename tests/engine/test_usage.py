"""What models cost is told with the node that had them asked, whatever of it did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.context import NodeContext
from engine.events import RunFinished, UsageReported
from engine.providers.base import ChatModel, Completion, Message, Usage
from engine.providers.fake import FakeChatModel
from engine.spec import Inputs, NodeResult
from tests.engine.drawing import Board, entry_of


def told(*costs: Usage) -> FakeChatModel:
    return FakeChatModel([Completion("said", (), cost) for cost in costs])


async def asks(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Asks a model as a node's tools, memories and retrievers do: nobody hands on what it cost."""
    model: ChatModel = (await ctx.build("theModel", {})).value
    await model.complete([Message("user", "hi")])
    return NodeResult(output={"content": "done"})


def reported(events: Sequence[Any]) -> list[tuple[str, int, int]]:
    return [(e.node_id, e.input_tokens, e.output_tokens) for e in events if isinstance(e, UsageReported)]


async def test_what_a_part_of_a_node_asks_is_the_nodes_usage(board: Board) -> None:
    board.components["theModel"] = told(Usage(7, 3), Usage(5, 1))
    board.does |= {"a": asks, "b": asks}

    events = await board.run("start -> a -> b")

    assert reported(events) == [("a", 7, 3), ("b", 5, 1)]
    assert entry_of(events, "a")["data"]["output"]["usageMetadata"]["total_tokens"] == 10
    assert isinstance(events[-1], RunFinished)
    assert (events[-1].input_tokens, events[-1].output_tokens) == (12, 4)


async def test_what_a_node_tells_of_itself_counts_once(board: Board) -> None:
    board.components["theModel"] = told(Usage(7, 3))
    board.types["a"] = "llmAgentflow"
    board.inputs["a"] = {"llmModel": "theModel", "llmModelConfig": {}}

    events = await board.run("start -> a")

    assert reported(events) == [("a", 7, 3)]


async def test_each_of_two_nodes_that_run_at_once_has_its_own(board: Board) -> None:
    board.components["theModel"] = told(Usage(7, 3), Usage(5, 1))
    board.does |= {"a": asks, "b": asks}
    board.independent |= {"a", "b"}

    events = await board.run("start -> a\nstart -> b")

    assert sorted(cost for _, *cost in reported(events)) == [[5, 1], [7, 3]]


async def test_an_iteration_costs_what_the_nodes_in_it_do(board: Board) -> None:
    board.components["theModel"] = told(Usage(7, 3), Usage(5, 1))
    board.does["inside"] = asks
    board.types["each"] = "iterationAgentflow"
    board.inputs["each"] = {"iterationInput": '["x", "y"]'}
    board.parents["inside"] = "each"

    events = await board.run("start -> each\ninside")

    assert reported(events)[-1] == ("each", 12, 4)
    assert isinstance(events[-1], RunFinished)
    assert (events[-1].input_tokens, events[-1].output_tokens) == (12, 4)
