"""What pays for a run's models, beside the run's own bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.errors import BudgetExceeded
from engine.events import RunFinished
from engine.providers.base import Usage
from engine.providers.fake import FakeChatModel
from tests.engine.drawing import Board, error_of, ran
from tests.engine.test_token_bound import asks, model, said


class Purse:
    """Pays for so many tokens, whoever spends them; implements `engine.budget.Account`."""

    def __init__(self, tokens: int) -> None:
        self.left = tokens
        self.paid: list[tuple[str, Usage]] = []

    async def check(self) -> None:
        if self.left <= 0:
            raise BudgetExceeded("The purse is empty")

    async def spend(self, model_name: str, usage: Usage) -> None:
        self.left -= usage.total_tokens
        self.paid.append((model_name, usage))


@pytest.fixture
def asked(board: Board) -> FakeChatModel:
    asks(board, "a", "b")
    return model(board, said("one", 40), said("two", 60))


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_each_call_of_a_model_is_paid_for(board: Board, asked: FakeChatModel, is_streaming: bool) -> None:
    purse = Purse(1000)
    board.world = replace(board.world, account=purse)

    events = await board.run("start -> a -> b", is_streaming=is_streaming)

    assert isinstance(events[-1], RunFinished)
    assert purse.paid == [("fake", Usage(39, 1)), ("fake", Usage(59, 1))]


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_an_empty_purse_ends_the_run_before_the_next_call(
    board: Board, asked: FakeChatModel, is_streaming: bool
) -> None:
    board.world = replace(board.world, account=Purse(40))
    board.policies["b"] = {"onError": "continue", "retry": {"max": 3}}

    events = await board.run("start -> a -> b", is_streaming=is_streaming)

    assert ran(events) == ["start", "a"]
    assert (error_of(events).code, error_of(events).error) == ("budget_exceeded", "The purse is empty")
    assert len(asked.calls) == 1
